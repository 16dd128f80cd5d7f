import { runInNewContext } from "node:vm";
import test from "ava";
import fc from "fast-check";
import { DESCRIPTION_LENGTH, describe } from "../../shared/describe.ts";

const circular: { self?: unknown } = {};
circular.self = circular;
class Order {
  id = "42";
}
const hostile = new Proxy(
  {},
  {
    ownKeys() {
      throw new Error("no");
    },
    getPrototypeOf() {
      throw new Error("no");
    },
  },
);
const revoked = Proxy.revocable(() => {}, {});
revoked.revoke();

const table: readonly [name: string, value: unknown, shown: string][] = [
  ["a text", 'a "b"\n', '"a \\"b\\"\\n"'],
  ["a number", 1.5, "1.5"],
  ["minus zero", -0, "-0"],
  ["NaN", Number.NaN, "NaN"],
  ["a big integer", 10n, "10n"],
  ["a boolean", true, "true"],
  ["null", null, "null"],
  ["undefined", undefined, "undefined"],
  ["a symbol", Symbol("s"), "Symbol(s)"],
  ["a function", () => 1, "a function"],
  ["a list", [1, "a", null], '[1, "a", null]'],
  ["a list with a hole", new Array(1), "[empty]"],
  ["a long list", [1, 2, 3, 4, 5, 6], "[1, 2, 3, 4, 5, …]"],
  ["an object", { a: 1, "b c": [] }, '{ a: 1, "b c": [] }'],
  ["an empty object", {}, "{}"],
  ["a large object", { a: 1, b: 2, c: 3, d: 4, e: 5, f: 6 }, "{ a: 1, b: 2, c: 3, d: 4, e: 5, … }"],
  ["a deep object", { a: { b: { c: [] }, d: [1] } }, "{ a: { b: {…}, d: […] } }"],
  ["an object without prototype", Object.create(null), "{}"],
  ["an object whose class has no name", new (class {})(), "{}"],
  [
    "an object whose class is hidden",
    Object.create({
      get constructor() {
        throw new Error("no");
      },
    }),
    "{}",
  ],
  ["an instance", new Order(), 'Order { id: "42" }'],
  ["an instance without fields", new (class Empty {})(), "Empty {}"],
  ["a date", new Date(0), "1970-01-01T00:00:00.000Z"],
  ["an invalid date", new Date(Number.NaN), "an invalid Date"],
  ["an object of another realm", runInNewContext("({ a: 1 })"), "{ a: 1 }"],
  ["a circle", circular, "{ self: { self: {…} } }"],
  [
    "a getter, without calling it",
    {
      get a() {
        throw new Error("no");
      },
    },
    "{ a: a getter }",
  ],
  ["a proxy that refuses to be read", hostile, "an object that cannot be read"],
  ["a revoked function", revoked.proxy, "a function"],
];

for (const [name, value, shown] of table)
  test(`a description shows ${name}`, (t) => t.is(describe(value), shown));

test("a description is cut to its length, and no pair of surrogates in half", (t) => {
  const long = describe("x".repeat(1_000));
  t.is(long.length, DESCRIPTION_LENGTH);
  t.true(long.endsWith("…"));
  const cut = describe(`${"x".repeat(DESCRIPTION_LENGTH - 3)}🙂🙂`);
  t.false(/\p{Surrogate}/u.test(cut));
});

test("a description of anything at all is a short text on one line", (t) => {
  fc.assert(
    fc.property(fc.anything({ withBigInt: true, withDate: true, withMap: true }), (value) => {
      const shown = describe(value);
      return shown.length <= DESCRIPTION_LENGTH && !shown.includes("\n");
    }),
  );
  t.pass();
});
