import test from "ava";
import { z } from "zod";
import { applySchemas } from "../../shared/condition-schemas.ts";
import { CONDITION_DEPTH, CONDITION_LEAVES, isCondition } from "../../shared/conditions.ts";
import { describe } from "../../shared/describe.ts";
import { InvalidInputError, InvariantError, LimitExceededError } from "../../shared/errors.ts";
import {
  allOf,
  anyOf,
  type ChildHandle,
  type Condition,
  child,
  event,
  sleep,
  sleepUntil,
  task,
} from "../../shared/task.ts";

const packItem = task({ name: "pack-item", run: (input: { sku: string }) => input.sku });
const handle: ChildHandle<string> = {
  taskName: "pack-item",
  runId: "started",
  result: async () => "",
};
const hostile = Proxy.revocable({}, {});
hostile.revoke();
const Paid = z.object({ cents: z.coerce.number() });
const plain = (condition: Condition): unknown => JSON.parse(JSON.stringify(condition));

test("conditions are frozen plain data, known in every copy of the package", (t) => {
  const condition = anyOf(sleep("1s"), allOf({ paid: event("order.paid", { where: { a: 1 } }) }));
  t.deepEqual(plain(condition), {
    kind: "anyOf",
    of: [
      [0, { kind: "sleep", until: { afterMs: 1_000 } }],
      [
        1,
        { kind: "allOf", of: [["paid", { kind: "event", name: "order.paid", where: { a: 1 } }]] },
      ],
    ],
  });
  t.true(Object.isFrozen(condition));
  t.true(isCondition(condition));
  const copy = Object.defineProperty({}, Symbol.for("contrail.condition"), { value: true });
  t.true(isCondition(copy));
  for (const other of [
    null,
    undefined,
    "a",
    {},
    { kind: "sleep" },
    Promise.resolve(),
    hostile.proxy,
  ])
    t.false(isCondition(other));
});

const refused: readonly [name: string, make: () => unknown, message: RegExp][] = [
  ["a sleep without a unit", () => sleep(5 as never), /The sleep is 5, which has no unit/],
  [
    "a sleep until no time",
    () => sleepUntil("x"),
    /The instant to sleep until is "x", which is not/,
  ],
  ["an event without a name", () => event(""), /The event name "" is empty/],
  ["an event with a bad pattern", () => event("a.>.b"), /has ">" before its end/],
  [
    "an event with a bad filter",
    () => event("a", { where: { b: { $bad: 1 } } }),
    /The filter of event "a" at "b" has the unknown operator "\$bad"/,
  ],
  [
    "an event from elsewhere",
    () => event("a", { from: "start" as "now" }),
    /The option "from" of event "a" is "start"\. Expected "now"/,
  ],
  [
    "an event with a schema that is none",
    () => event("a", { schema: {} as never }),
    /The option "schema" of event "a" is \{\}\. Expected a Standard Schema/,
  ],
  [
    "an event with a misspelled option",
    () => event("a", { were: { b: 1 } } as never),
    /The argument of event "a" has an unknown option "were"\. Expected where, from, schema/,
  ],
  [
    "a child with a misspelled option",
    () => child(packItem, { sku: "a" }, { key: 1 } as never),
    /"key"/,
  ],
  [
    "a child of a proxy",
    () => child(hostile.proxy as never),
    /child\(\) got an object that cannot be read/,
  ],
  [
    "a child with an odd way to go on",
    () => child(packItem, { sku: "a" }, { whenCanceled: "stay" as never }),
    /The option "whenCanceled" of a child is "stay"\. Expected "cancel" or "leave"\./,
  ],
  ["a child of no task", () => child({} as never), /child\(\) got \{\}\. Expected a task made by/],
  ["a child of nothing", () => child(null as never), /child\(\) got null/],
  [
    "a child with a bad id",
    () => child(packItem, { sku: "a" }, { id: "" }),
    /The run id "" is empty/,
  ],
  ["anyOf nothing", () => anyOf(), /anyOf\(\) has no parts and would wait forever/],
  ["anyOf no names", () => anyOf({}), /anyOf\(\) has no parts/],
  [
    "anyOf a promise",
    () => anyOf(sleep("1s"), Promise.resolve() as never),
    /Part 1 of anyOf\(\) is Promise \{\}\. Expected what sleep\(\), /,
  ],
  ["anyOf a class", () => anyOf(new Date(0) as never), /Part 0 of anyOf\(\) is 1970/],
  ["anyOf null", () => anyOf(null as never), /Part 0 of anyOf\(\) is null/],
  ["half a pair", () => anyOf({ "a\ud800": sleep("1s") }), /half of a surrogate pair/],
  ["allOf an unknown", () => allOf({ a: 1 as never }), /Part "a" of allOf\(\) is 1/],
];

for (const [name, make, message] of refused)
  test(`${name} is refused with ${message}`, (t) => {
    t.throws(make, { instanceOf: InvalidInputError, message });
  });

test("conditions are nested to their depth and no deeper", (t) => {
  let condition: Condition = sleep("1s");
  for (let depth = 1; depth <= CONDITION_DEPTH; depth++) condition = allOf(condition);
  const deepest = condition;
  const error = t.throws(() => anyOf(deepest), {
    instanceOf: LimitExceededError,
    message: /anyOf\(\) is nested more than 32 deep/,
  });
  t.like(error, { limit: CONDITION_DEPTH, actual: CONDITION_DEPTH + 1 });
});

test("conditions have a bounded number of leaves, counted where they are shared or empty too", (t) => {
  const many = allOf(...new Array(CONDITION_LEAVES).fill(sleep("1s")));
  t.is(many.of.length, CONDITION_LEAVES);
  for (const make of [
    () => anyOf(many, sleep("1s")),
    () => allOf(many, many),
    () => allOf(many, allOf()),
    () => allOf(...new Array(CONDITION_LEAVES + 1).fill(allOf())),
  ])
    t.throws(make, { instanceOf: LimitExceededError, message: /ctx\.run\(task, inputs\)/ });
});

test("a child is one to start, or one that was started", (t) => {
  t.deepEqual<unknown, unknown>(child(packItem, { sku: "a" }, { id: "p" }).child, {
    task: packItem,
    input: { sku: "a" },
    id: "p",
  });
  t.deepEqual<unknown, unknown>(child(packItem, { sku: "a" }, { whenCanceled: "leave" }).child, {
    ...{ task: packItem, input: { sku: "a" }, isLeft: true },
  });
  t.deepEqual<unknown, unknown>(child(handle).child, { taskName: "pack-item", runId: "started" });
});

test("a sleep is as long as it says, or until when it says", (t) => {
  t.deepEqual(sleep({ seconds: 1 }).until, { afterMs: 1_000 });
  t.deepEqual(sleepUntil(new Date(5_000)).until, { at: 5_000 });
});

test("an event keeps what it was asked for", (t) => {
  const asked = event("a.*", { where: { b: { $gt: 1 } }, from: "now", schema: Paid });
  t.deepEqual<unknown, unknown>(
    { ...asked },
    { kind: "event", name: "a.*", where: { b: { $gt: 1 } }, from: "now", schema: Paid },
  );
});

const paid = event("paid", { schema: Paid });
const settled = (data: unknown): { kind: string; data: unknown } => ({ kind: "event", data });
const raw = settled({ cents: "5" });
const parsed = settled({ cents: 5 });

const applied: readonly [condition: Condition, result: unknown, expected: unknown][] = [
  [sleep("1s"), { kind: "sleep" }, { kind: "sleep" }],
  [child(packItem, { sku: "a" }), { kind: "child" }, { kind: "child" }],
  [event("paid"), raw, raw],
  [paid, raw, parsed],
  [anyOf(sleep("1s"), paid), { ...raw, index: 1 }, { ...parsed, index: 1 }],
  [anyOf({ a: paid, b: paid }), { ...raw, key: "b" }, { ...parsed, key: "b" }],
  [anyOf(event("paid"), paid), { ...raw, index: 0 }, { ...raw, index: 0 }],
  [allOf(paid, sleep("1s")), [raw, { kind: "sleep" }], [parsed, { kind: "sleep" }]],
  [allOf({ a: paid, b: event("b") }), { a: raw, b: raw }, { a: parsed, b: raw }],
  [
    anyOf(allOf(paid)),
    { kind: "allOf", value: [raw], index: 0 },
    { kind: "allOf", value: [parsed], index: 0 },
  ],
  [
    anyOf({ a: anyOf(paid) }),
    { kind: "anyOf", value: { ...raw, index: 0 }, key: "a" },
    { kind: "anyOf", value: { ...parsed, index: 0 }, key: "a" },
  ],
];

for (const [index, [condition, result, expected]] of applied.entries())
  test(`${index}: schemas in ${describe(condition)} are applied to its result`, (t) =>
    t.deepEqual(applySchemas(condition, result), expected));

test("asynchronous schemas are awaited wherever they stand", async (t) => {
  const later = event("later", { schema: Paid.refine(async () => true) });
  t.deepEqual(await applySchemas(later, raw), parsed);
  t.deepEqual(await applySchemas(anyOf(anyOf(later)), { value: { ...raw, index: 0 }, index: 0 }), {
    value: { ...parsed, index: 0 },
    index: 0,
  });
  t.deepEqual(await applySchemas(allOf({ a: later, b: paid }), { a: raw, b: raw }), {
    a: parsed,
    b: parsed,
  });
});

test("a payload that does not fit names the event", (t) => {
  t.throws(() => applySchemas(allOf(paid), [settled({})]), {
    instanceOf: InvalidInputError,
    message: /The payload of event "paid" does not fit its schema: cents: /,
  });
});

test("a result of another condition breaks an invariant", (t) => {
  t.throws(() => applySchemas(anyOf(paid), { ...raw, index: 7 }), { instanceOf: InvariantError });
});
