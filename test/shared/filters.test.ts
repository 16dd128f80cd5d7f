import { runInNewContext } from "node:vm";
import test from "ava";
import { decode, encode } from "../../shared/codec.ts";
import { describe } from "../../shared/describe.ts";
import { InvalidInputError } from "../../shared/errors.ts";
import { MATCHED_PAYLOAD_DEPTH } from "../../shared/filter-payload.ts";
import {
  checkFilter,
  compileFilter,
  equalityKeys,
  FILTER_BYTES,
  FILTER_DEPTH,
  type Filter,
  valuesAt,
} from "../../shared/filters.ts";

const order = {
  order: { id: "42", total: 100, tags: ["new", "gift"] },
  at: "2030-01-31",
  note: null,
};
const items = {
  items: [
    { sku: "a", count: 1 },
    { sku: "b", count: 3 },
  ],
};

const table: readonly [filter: Filter, payload: unknown, isMatch: boolean][] = [
  [{}, order, true],
  [{}, 42, true],
  // equality, inside too
  [{ order: { id: "42" } }, order, true],
  [{ order: { id: 42 } }, order, false],
  [{ "order.id": "42" }, order, true],
  [{ "order.id": "42", at: "2030-01-31" }, order, true],
  [{ "order.id": "42", at: "2030" }, order, false],
  [{ order: { id: "42", total: { $gte: 100 } } }, order, true],
  [{ order: { id: "42", total: { $gt: 100 } } }, order, false],
  [{ note: null }, order, true],
  [{ missing: null }, order, true],
  [{ at: null }, order, false],
  [{ n: 42 }, { n: 42 }, true],
  [{ n: 42 }, { n: "42" }, false],
  [{ n: "42" }, { n: 42 }, false],
  [{ n: true }, { n: 1 }, false],
  [{ n: 0 }, { n: -0 }, true],
  [{ n: 0 }, { n: "" }, false],
  [{ n: 0 }, { n: null }, false],
  // whole values
  [{ order: { $eq: { id: "42" } } }, order, false],
  [
    { a: { $eq: { x: 1, y: { z: [1, { q: 2 }] } } } },
    { a: { y: { z: [1, { q: 2 }] }, x: 1 } },
    true,
  ],
  [{ a: { $eq: {} } }, { a: {} }, true],
  [{ a: { $eq: {} } }, { a: { b: 1 } }, false],
  [{ a: { $ne: { b: 1 } } }, { a: { b: 1 } }, false],
  [{ a: { $in: [{ b: 1 }, 2] } }, { a: { b: 1 } }, true],
  [{ a: { $in: [{ b: 1 }, 2] } }, { a: { b: 1, c: 2 } }, false],
  [{ a: { $eq: { $x: 1 } } }, { a: { $x: 1 } }, true],
  [{ $or: [{ a: { $eq: { b: 1 } } }, { "a.c": 2 }] }, { a: { c: 2, d: 3 } }, true],
  // lists
  [{ "order.tags": "gift" }, order, true],
  [{ "order.tags": "old" }, order, false],
  [{ "order.tags": ["new", "gift"] }, order, true],
  [{ "order.tags": ["gift", "new"] }, order, false],
  [{ "items.sku": "b" }, items, true],
  [{ "items.sku": "a", "items.count": 3 }, items, true],
  [{ items: { $elemMatch: { sku: "a", count: 3 } } }, items, false],
  [{ items: { $elemMatch: { sku: "b", count: { $gt: 2 } } } }, items, true],
  [{ "order.tags": { $elemMatch: { $gt: "m" } } }, order, true],
  [{ "order.tags": { $elemMatch: { $gt: "o" } } }, order, false],
  [{ "order.tags": { $all: ["gift", "new"] } }, order, true],
  [{ "order.tags": { $all: ["gift", "old"] } }, order, false],
  [{ items: { $size: 2 } }, items, true],
  [{ items: { $size: 1 } }, items, false],
  [{ at: { $size: 10 } }, order, false],
  // comparisons
  [{ at: { $gt: "2029-12-31", $lt: "2030-02-01" } }, order, true],
  [{ n: { $lt: 5 } }, { n: 4 }, true],
  [{ n: { $lt: 5 } }, { n: "4" }, false],
  [{ n: { $lt: "5" } }, { n: 4 }, false],
  [{ n: { $lte: 5 } }, { n: 5 }, true],
  [{ n: { $gte: 0 } }, { n: null }, false],
  [{ n: { $gte: 0 } }, {}, false],
  [{ n: { $in: [1, 2] } }, { n: 2 }, true],
  [{ n: { $in: [] } }, { n: 2 }, false],
  [{ n: { $nin: [1, 2] } }, { n: 2 }, false],
  [{ n: { $nin: [1, 2] } }, {}, true],
  [{ n: { $ne: 1 } }, {}, true],
  [{ n: { $ne: 1 } }, { n: [1, 2] }, false],
  [{ n: { $exists: true } }, { n: null }, true],
  [{ n: { $exists: true } }, {}, false],
  [{ n: { $exists: false } }, {}, true],
  [{ "a.b": { $exists: false } }, { a: 1 }, true],
  [{ n: { $not: { $gt: 5 } } }, { n: 5 }, true],
  [{ n: { $not: { $gt: 5 } } }, { n: 6 }, false],
  [{ n: { $not: { $gt: 5 } } }, {}, true],
  // combinations
  [{ $or: [{ a: 1 }, { b: 1 }] }, { b: 1 }, true],
  [{ $or: [{ a: 1 }, { b: 1 }] }, { c: 1 }, false],
  [{ $and: [{ a: 1 }, { b: 1 }] }, { a: 1 }, false],
  [{ $nor: [{ a: 1 }, { b: 1 }] }, { c: 1 }, true],
  [{ $nor: [{ a: 1 }, {}] }, { c: 1 }, false],
  [{ $not: { a: 1 } }, { a: 2 }, true],
  [{ $not: { a: 1 } }, { a: 1 }, false],
  [{ c: 1, $or: [{ a: 1 }, { $and: [{ b: 1 }, { b: { $ne: 2 } }] }] }, { b: 1, c: 1 }, true],
  [{ a: { b: 1 }, "a.b": { $gt: 0 } }, { a: { b: 1 } }, true],
  [{ a: { b: 1 }, "a.b": { $gt: 1 } }, { a: { b: 1 } }, false],
  // payloads that are no objects
  [{ $gte: 30 }, 42, true],
  [{ $gte: 30 }, 20, false],
  [{ $elemMatch: { sku: "a" } }, [{ sku: "a" }], true],
  [{ $or: [{ $eq: "a" }, { b: 1 }] }, "a", true],
  [{ a: 1 }, 42, false],
  [{ a: 1 }, null, false],
  [{ a: 1 }, undefined, false],
  [{ a: 1 }, "a", false],
  [{ length: 1 }, "a", false],
  // nothing inherited, nothing built in (L3)
  [{ constructor: { $exists: true } }, {}, false],
  [{ "constructor.name": "Object" }, {}, false],
  [{ "a.constructor.name": "Array" }, { a: [] }, false],
  [{ "a.length": 2 }, { a: [1, 2] }, false],
  [{ "a.length": 2 }, { a: "ab" }, false],
  [{ "a.0": 1 }, { a: [1] }, false],
  [{ "a.0": 1 }, { a: { 0: 1 } }, true],
  [{ toString: null }, {}, true],
  [{ constructor: "x" }, { constructor: "x" }, true],
  [{ hasOwnProperty: 1 }, { hasOwnProperty: 1 }, true],
  [{ a: 1 }, JSON.parse('{"__proto__":{"a":1}}'), false],
  [{ a: 1 }, Object.create({ a: 1 }), false],
  // one meaning, however it was sent (L4)
  [{ at: "2030-01-31T00:00:00.000Z" }, { at: new Date("2030-01-31") }, true],
  [{ at: { $gt: "2030" } }, { at: new Date("2030-01-31") }, true],
  [{ at: null }, { at: new Date(Number.NaN) }, true],
  [{ n: 5 }, { n: 5n }, true],
  [{ n: 2 ** 60 }, { n: 2n ** 60n }, false],
  [{ n: { $gt: 1 } }, { n: 2n ** 60n }, false],
  [{ b: { $exists: true } }, { b: new Uint8Array(3) }, true],
  [{ b: { 0: 0 } }, { b: new Uint8Array(3) }, false],
  [{ b: { $eq: {} } }, { b: Buffer.alloc(0) }, false],
  [{ f: { $exists: true } }, { f: () => 1 }, true],
  [{ a: 1 }, runInNewContext("({ a: 1 })"), true],
];

for (const [index, [filter, payload, isMatch]] of table.entries())
  test(`${index}: ${JSON.stringify(filter)} ${isMatch ? "matches" : "does not match"} ${describe(payload)}`, (t) => {
    const stored = decode(encode(checkFilter(filter, "filter"), "filter"), "nowhere");
    t.deepEqual(stored, filter);
    const matches = compileFilter(stored);
    t.is(matches(payload), isMatch);
    t.is(matches(payload), isMatch); // the same when asked again
    for (const [path, value] of equalityKeys(filter))
      if (isMatch) t.true(valuesAt(payload, path).has(value));
  });

test("no filter at all matches everything", (t) => {
  t.true(compileFilter(undefined)(42));
  t.deepEqual(equalityKeys(undefined), []);
});

const circular: { self?: unknown } = {};
circular.self = circular;
const hostile = new Proxy(
  {},
  {
    getPrototypeOf() {
      throw new Error("no");
    },
  },
);
let deep: unknown = 1;
for (let depth = 0; depth < FILTER_DEPTH; depth++) deep = { a: deep };

const refused: readonly [filter: unknown, message: RegExp][] = [
  [null, /The filter is null\. A filter is plain data: an object of/],
  ["a", /is "a"/],
  [[], /is \[\]/],
  [new Map(), /is Map \{\}/],
  [hostile, /cannot be read/],
  [{ a: { b: undefined } }, /at "a\.b" is undefined, which is often a forgotten value/],
  [{ a: new Date(0) }, /at "a" is 1970.*; write its ISO 8601 text/],
  [{ a: Number.NaN }, /at "a" is NaN/],
  [{ a: Number.POSITIVE_INFINITY }, /at "a" is Infinity/],
  [{ a: 1n }, /at "a" is 1n/],
  [{ a: () => 1 }, /at "a" is a function/],
  [{ a: Symbol("s") }, /at "a" is Symbol\(s\)/],
  [{ a: /x/ }, /at "a" is RegExp/],
  [{ a: new Array(1) }, /at "a\.0" is undefined/],
  [circular, /is nested more than 32 deep, or circular/],
  [{ a: deep }, /is nested more than 32 deep, or circular/],
  [{ a: "x".repeat(FILTER_BYTES) }, /is larger than 65536 bytes/],
  [{ ["x".repeat(FILTER_BYTES)]: 1 }, /is larger than 65536 bytes/],
  [{ a: new Array(10_000).fill(1) }, /is larger than 65536 bytes/],
  [
    { $where: "1" },
    /has the unknown operator "\$where"\. Under a field may stand \$eq \$ne.*; beside fields, \$and/,
  ],
  [{ a: { $regex: "x" } }, /at "a" has the unknown operator "\$regex"/],
  [{ a: { $type: "x" } }, /has the unknown operator "\$type"/],
  [{ a: { constructor: 1, $gt: 1 } }, /at "a" mixes operators with the field "constructor"/],
  [{ a: 1, $gt: 1 }, /mixes operators with the field "a"/],
  [{ a: { b: 1, $gt: 1 } }, /at "a" mixes operators with the field "b"/],
  [{ a: { $or: [{ b: 1 }] } }, /at "a" has \$or under a field/],
  [{ a: { b: { $and: [] } } }, /at "a\.b" has \$and under a field/],
  [{ a: { $gt: 1, $or: [] } }, /has \$or under a field/],
  [{ $or: [] }, /at "\$or" needs a list of one or more filters/],
  [{ $and: { a: 1 } }, /at "\$and" needs a list/],
  [{ $nor: [1] }, /at "\$nor" needs a list/],
  [{ $or: [{ a: { $bad: 1 } }] }, /at "\$or\.0\.a" has the unknown operator "\$bad"/],
  [{ $not: 1 }, /at "\$not" is 1\. Expected an object of operators/],
  [{ a: { $not: { b: 1 } } }, /at "a\.\$not" is \{ b: 1 \}\. Expected an object of operators/],
  [{ a: { $not: 1 } }, /at "a\.\$not" is 1/],
  [{ a: { $elemMatch: 1 } }, /Expected a filter or an object of operators/],
  [{ a: { $exists: 1 } }, /at "a\.\$exists" is 1\. Expected true or false/],
  [{ a: { $size: -1 } }, /Expected a whole number from 0/],
  [{ a: { $size: 1.5 } }, /Expected a whole number from 0/],
  [{ a: { $all: [] } }, /Expected a list of one or more/],
  [{ a: { $all: 1 } }, /Expected a list of one or more/],
  [{ a: { $all: [{ b: 1 }] } }, /Expected a list of one or more/],
  [{ a: { $in: 1 } }, /Expected a list/],
  [{ a: { $nin: { b: 1 } } }, /Expected a list/],
  [{ a: { $gt: null } }, /Expected a number or a text/],
  [{ a: { $lte: true } }, /Expected a number or a text/],
  [{ "a..b": 1 }, /at "a\.\.b" has an empty field name/],
  [{ "": 1 }, /has an empty field name/],
  [{ "a.__proto__": 1 }, /asks for the field "__proto__"/],
  [JSON.parse('{"a":{"__proto__":1}}'), /asks for the field "__proto__"/],
  [{ a: {} }, /at "a" lists no fields\. Write \{ \$eq: \{\} \}/],
];

for (const [index, [filter, message]] of refused.entries())
  test(`${index}: a filter is refused with ${message}`, (t) => {
    t.throws(() => checkFilter(filter, "filter"), { instanceOf: InvalidInputError, message });
    t.throws(() => compileFilter(filter), { instanceOf: InvalidInputError, message });
  });

test("an accepted filter is a copy that nobody can change any more", (t) => {
  const where = { a: { $in: [1, { b: 1 }] } };
  const filter = checkFilter(where, "filter");
  where.a.$in.push(2);
  t.deepEqual(filter as unknown, { a: { $in: [1, { b: 1 }] } });
  t.true(Object.isFrozen(filter.a) && Object.isFrozen((filter.a as { $in: unknown }).$in));
});

test("a filter that could not be stored is refused when it is written (L1)", (t) => {
  t.throws(() => checkFilter({ a: { $eq: { constructor: 1, toJSON: 2 } } }, "filter of event"), {
    instanceOf: InvalidInputError,
    message: /^The filter of event at "a.\$eq" has a field "toJSON"/,
  });
  t.notThrows(() => checkFilter({ toJSON: 2, a: { constructor: 1 } }, "filter"));
});

test("a payload that cannot be read matches no filter, not even a negation (L2)", (t) => {
  const isOther = compileFilter({ a: { $ne: 1 } });
  const getter = {
    get a() {
      throw new Error("no");
    },
  };
  let nested: unknown = 1;
  for (let depth = 0; depth <= MATCHED_PAYLOAD_DEPTH; depth++) nested = [nested];
  const own = new Proxy(
    {},
    {
      getOwnPropertyDescriptor() {
        throw new Error("no");
      },
    },
  );
  for (const payload of [getter, { a: nested }, own]) {
    t.false(isOther(payload));
    t.is(valuesAt(payload, "a").size, 0);
  }
  t.true(isOther({ b: nested })); // what the filter does not look at does not matter
  const wide: { [field: string]: unknown } = {};
  wide.self = wide;
  t.true(isOther(wide));
  t.false(compileFilter({ self: { $ne: { b: 1 } } })(wide));
});

test("the keys of a filter are the equalities that every match has", (t) => {
  const keys = equalityKeys({
    orderId: "42",
    order: { customer: { id: 7 }, "address.zip": { $eq: "10115" } },
    paid: { $in: [true] },
    total: { $gte: 1 },
    note: null,
    tags: ["a"],
    whole: { $eq: { a: 1 } },
    $and: [{ a: 1 }, { $and: [{ b: { $eq: 2, $ne: 3 } }] }],
    $or: [{ c: 1 }],
    $nor: [{ d: 1 }],
    $not: { e: 1 },
  });
  t.deepEqual(keys, [
    ["orderId", "42"],
    ["order.customer.id", 7],
    ["order.address.zip", "10115"],
    ["paid", true],
    ["a", 1],
    ["b", 2],
  ]);
  t.deepEqual(equalityKeys({ $eq: 42 }), []);
});

test("the values of a payload at a path are found through lists, as numbers and texts", (t) => {
  t.deepEqual([...valuesAt({ a: [{ b: 1 }, { b: ["x", [true]] }, 3] }, "a.b")], [1, "x", true]);
  t.deepEqual([...valuesAt({ a: new Date(0) }, "a")], ["1970-01-01T00:00:00.000Z"]);
  t.deepEqual([...valuesAt({ a: 5n }, "a")], [5]);
  t.deepEqual([...valuesAt({ a: null }, "a")], []);
  t.deepEqual([...valuesAt({}, "constructor")], []);
  t.deepEqual([...valuesAt("text", "length")], []);
});
