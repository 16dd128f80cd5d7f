/**
 * Filters in the terms of sift, which evaluates them by the rules of MongoDB queries. The only import
 * of sift. It is chosen for those rules, which are known and hard to get right on lists; we give it
 * our own table of operators, so that nothing in a filter is ever executed.
 */
import sift from "sift";
import { describe } from "./describe.ts";
import { InvalidInputError } from "./errors.ts";
import { markAll, type Needs, needsOf, newNeeds, queryPath } from "./filter-payload.ts";

/** An object of plain data. */
export type PlainObject = { readonly [field: string]: unknown };

/** A filter in sift's terms, and what of a payload it looks at. */
export interface CompiledQuery {
  readonly query: PlainObject;
  readonly needs: Needs;
}

const { $eq, $ne, $gt, $gte, $lt, $lte, $in, $nin, $exists } = sift;
const { $not, $all, $elemMatch, $size, $and, $or, $nor } = sift;
/** Stand under a field, and compare it. */
const COMPARING = {
  $eq,
  $ne,
  $gt,
  $gte,
  $lt,
  $lte,
  $in,
  $nin,
  $exists,
  $not,
  $all,
  $elemMatch,
  $size,
};
/** Stand beside fields, and combine filters. */
const COMBINING = { $and, $or, $nor, $not };

/** A function that evaluates a query on what `project` made of a payload. */
export function matcherOf(query: PlainObject): (projected: unknown) => boolean {
  return sift.createQueryTester<unknown>(query, { operations: { ...COMPARING, ...COMBINING } });
}

/** Whether an object holds operators that compare, rather than fields. */
export function isComparison(value: PlainObject): boolean {
  return Object.keys(value).some((key) => key.startsWith("$") && !isCombining(key, value[key]));
}

/**
 * Compiles a filter that is known to be plain data.
 * @throws {InvalidInputError} When an operator is unknown, in the wrong place or has a wrong operand.
 */
export function compileQuery(filter: PlainObject, what: string): CompiledQuery {
  const refuse = (path: readonly string[], problem: string): InvalidInputError =>
    new InvalidInputError(
      `The ${what} ${path.length > 0 ? `at ${describe(path.join("."))} ` : ""}${problem}.`,
      { value: filter },
    );
  const place: Place = { path: [], needs: newNeeds(), refuse };
  return { query: compileEither(filter, place), needs: place.needs };
}

/** Where in a filter the compiler is, and where in the payload. */
interface Place {
  readonly path: readonly string[];
  readonly needs: Needs;
  readonly refuse: (path: readonly string[], problem: string) => InvalidInputError;
}

function inside(place: Place, key: string): Place {
  return { ...place, path: [...place.path, key] };
}

function compileEither(filter: PlainObject, place: Place): PlainObject {
  return isComparison(filter) ? compileComparison(filter, place) : compileFields(filter, place);
}

function compileFields(filter: PlainObject, place: Place): PlainObject {
  const clauses = Object.entries(filter).flatMap(([key, value]): PlainObject[] => {
    if (!key.startsWith("$")) return compileField([key], value, inside(place, key));
    if (key === "$not") return [{ $not: compileFields(value as PlainObject, inside(place, key)) }];
    return [{ [key]: compileList(value, inside(place, key)) }];
  });
  return clauses.length === 0 ? {} : { $and: clauses };
}

function compileList(value: unknown, place: Place): PlainObject[] {
  if (!Array.isArray(value) || value.length === 0 || !value.every(isObject))
    throw place.refuse(place.path, "needs a list of one or more filters");
  return value.map((filter: PlainObject, index) =>
    compileEither(filter, inside(place, String(index))),
  );
}

/** What one field asks for, or each of those that its object lists. */
function compileField(fields: readonly string[], value: unknown, place: Place): PlainObject[] {
  const names = fields.flatMap((field) => field.split("."));
  if (names.includes("")) throw place.refuse(place.path, "has an empty field name");
  if (names.includes("__proto__"))
    throw place.refuse(place.path, 'asks for the field "__proto__", which no payload has');
  const here = { ...place, needs: names.reduce(needsOf, place.needs) };
  if (!isObject(value)) return [{ [queryPath(names)]: compileComparison({ $eq: value }, here) }];
  if (Object.keys(value).some((key) => key.startsWith("$")))
    return [{ [queryPath(names)]: compileComparison(value, here) }];
  if (Object.keys(value).length === 0)
    throw place.refuse(place.path, "lists no fields. Write { $eq: {} } for an object without any");
  return Object.entries(value).flatMap(([field, inner]) =>
    compileField([...fields, field], inner, inside(place, field)),
  );
}

function compileComparison(comparison: PlainObject, place: Place): PlainObject {
  const operators = Object.entries(comparison).map(([name, operand]) => {
    if (!Object.hasOwn(COMPARING, name)) throw misplaced(name, place);
    return [name, compileOperand(name, operand, inside(place, name))] as const;
  });
  return Object.fromEntries(operators);
}

function compileOperand(name: string, operand: unknown, place: Place): unknown {
  const expect = (isRight: boolean, expected: string): void => {
    if (!isRight) throw place.refuse(place.path, `is ${describe(operand)}. Expected ${expected}`);
  };
  switch (name) {
    case "$not":
      expect(isObject(operand) && isComparison(operand), "an object of operators");
      return compileComparison(operand as PlainObject, place);
    case "$elemMatch":
      expect(isObject(operand), "a filter or an object of operators");
      return compileEither(operand as PlainObject, place);
    case "$exists":
      expect(typeof operand === "boolean", "true or false");
      return operand;
    case "$size":
      expect(Number.isSafeInteger(operand) && (operand as number) >= 0, "a whole number from 0");
      return operand;
    case "$all":
      expect(
        Array.isArray(operand) && operand.length > 0 && operand.every(isSingle),
        "a list of one or more texts, numbers, booleans or nulls",
      );
      return operand;
    case "$in":
    case "$nin":
      expect(Array.isArray(operand), "a list");
      return markAll(operand, place.needs);
    case "$eq":
    case "$ne":
      return markAll(operand, place.needs);
    default:
      expect(typeof operand === "number" || typeof operand === "string", "a number or a text");
      return operand;
  }
}

function misplaced(name: string, place: Place): InvalidInputError {
  const fields = Object.keys(COMPARING).join(" ");
  const filters = Object.keys(COMBINING).join(" ");
  const problem = !name.startsWith("$")
    ? `mixes operators with the field ${describe(name)}`
    : Object.hasOwn(COMBINING, name)
      ? `has ${name} under a field, where it does not stand`
      : `has the unknown operator ${describe(name)}`;
  return place.refuse(
    place.path,
    `${problem}. Under a field may stand ${fields}; beside fields, ${filters}`,
  );
}

/** `$not` stands in both places: beside fields it takes a filter, under a field it takes operators. */
function isCombining(key: string, operand: unknown): boolean {
  if (key === "$not") return isObject(operand) && !isComparison(operand);
  return Object.hasOwn(COMBINING, key);
}

function isObject(value: unknown): value is PlainObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isSingle(value: unknown): boolean {
  return typeof value !== "object" || value === null;
}
