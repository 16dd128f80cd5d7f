/** Filters held against an oracle that knows nothing of the library behind them. */
import test from "ava";
import fc from "fast-check";
import { InvalidInputError } from "../../shared/errors.ts";
import { compileFilter, equalityKeys, type Filter, valuesAt } from "../../shared/filters.ts";

// The oracle: the same rules written once more, for values found through lists, without sift.
type Data = { readonly [field: string]: unknown };
const MISSING = Symbol("missing");

function candidates(payload: unknown, path: readonly string[]): unknown[] {
  if (path.length === 0)
    return Array.isArray(payload)
      ? [...payload.flatMap((item) => candidates(item, [])), payload]
      : [payload];
  if (Array.isArray(payload)) return payload.flatMap((item) => candidates(item, path));
  const [field = "", ...rest] = path;
  const isObject = typeof payload === "object" && payload !== null;
  if (!isObject || !Object.hasOwn(payload, field)) return [MISSING];
  return candidates((payload as Data)[field], rest);
}

function isEqual(a: unknown, b: unknown): boolean {
  if (b === null) return a === null || a === MISSING;
  return JSON.stringify(a) === JSON.stringify(b);
}

function holds(operator: string, operand: unknown, found: readonly unknown[]): boolean {
  const values = found.length > 0 ? found : [];
  const some = (test: (value: unknown) => boolean): boolean => values.some(test);
  const compares = (test: (value: never, other: never) => boolean): boolean =>
    some((value) => typeof value === typeof operand && test(value as never, operand as never));
  switch (operator) {
    case "$eq":
      return some((value) => isEqual(value, operand));
    case "$ne":
      return !some((value) => isEqual(value, operand));
    case "$in":
      return some((value) => (operand as unknown[]).some((one) => isEqual(value, one)));
    case "$nin":
      return !some((value) => (operand as unknown[]).some((one) => isEqual(value, one)));
    case "$gt":
      return compares((a, b) => a > b);
    case "$lte":
      return compares((a, b) => a <= b);
    case "$exists":
      return some((value) => value !== MISSING) === operand;
    default:
      throw new Error(operator);
  }
}

function expected(filter: Data, payload: unknown): boolean {
  return Object.entries(filter).every(([key, value]) => {
    const parts = value as Data[];
    if (key === "$and") return parts.every((part) => expected(part, payload));
    if (key === "$or") return parts.some((part) => expected(part, payload));
    if (key === "$nor") return !parts.some((part) => expected(part, payload));
    if (key === "$not") return !expected(value as Data, payload);
    const found = candidates(payload, key.split("."));
    if (typeof value !== "object" || value === null) return holds("$eq", value, found);
    return Object.entries(value).every(([operator, operand]) =>
      operator === "$not"
        ? !Object.entries(operand as Data).every(([inner, other]) => holds(inner, other, found))
        : holds(operator, operand, found),
    );
  });
}

const scalar = fc.constantFrom<unknown>(0, 1, 2, "1", "b", true, null);
const field = fc.constantFrom("a", "b", "a.b", "b.a");
const operator = fc.oneof(
  fc.record({ $eq: scalar }),
  fc.record({ $ne: scalar }),
  fc.record({ $gt: fc.constantFrom(0, 1, "1") }),
  fc.record({ $lte: fc.constantFrom(0, 1, "1") }),
  fc.record({ $in: fc.array(scalar, { maxLength: 3 }) }),
  fc.record({ $nin: fc.array(scalar, { maxLength: 3 }) }),
  fc.record({ $exists: fc.boolean() }),
) as fc.Arbitrary<Data>;
const operators = fc.oneof(
  operator,
  fc.tuple(operator, operator).map(([first, second]): Data => ({ ...first, ...second })),
);
const { filter: filters } = fc.letrec<{ filter: Data; fields: Data }>((tie) => ({
  fields: fc.dictionary(
    field,
    fc.oneof(scalar, operators, fc.record({ $not: operators })) as fc.Arbitrary<unknown>,
    { minKeys: 1, maxKeys: 2 },
  ),
  filter: fc.oneof(
    { maxDepth: 3 },
    tie("fields"),
    fc.record({ $and: fc.array(tie("filter"), { minLength: 1, maxLength: 3 }) }),
    fc.record({ $or: fc.array(tie("filter"), { minLength: 1, maxLength: 3 }) }),
    fc.record({ $nor: fc.array(tie("filter"), { minLength: 1, maxLength: 2 }) }),
    fc.record({ $not: tie("fields") }),
  ),
}));
const leaf = fc.oneof(scalar, fc.array(scalar, { maxLength: 3 }));
const object = fc.record({ a: leaf, b: leaf }, { requiredKeys: [] });
const payloads = fc.oneof(
  fc.record(
    { a: fc.oneof(leaf, object, fc.array(object, { maxLength: 2 })), b: fc.oneof(leaf, object) },
    { requiredKeys: [] },
  ),
  scalar,
);

test("filters match as an oracle without the library says, and as their keys say", (t) => {
  fc.assert(
    fc.property(filters, payloads, (filter, payload) => {
      const isMatch = compileFilter(filter)(payload);
      if (isMatch !== expected(filter, payload)) return false;
      const isPossible = equalityKeys(filter as Filter).every(([path, value]) =>
        valuesAt(payload, path).has(value),
      );
      return isPossible || !isMatch;
    }),
    { numRuns: 5_000 },
  );
  t.pass();
});

test("whatever a filter and a payload are, the answer is a boolean or an error by name", (t) => {
  const anyFilter = fc.oneof(
    filters,
    fc.anything(),
    fc.object({
      key: fc.constantFrom("a", "$eq", "$or", "$not", "$in", "$elemMatch", "$all", "__proto__"),
    }),
  );
  fc.assert(
    fc.property(anyFilter, fc.anything({ withBigInt: true, withDate: true }), (filter, payload) => {
      try {
        return typeof compileFilter(filter)(payload) === "boolean";
      } catch (error) {
        return error instanceof InvalidInputError && error.message.startsWith("The filter ");
      }
    }),
    { numRuns: 2_000 },
  );
  t.pass();
});
