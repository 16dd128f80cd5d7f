/**
 * Filters on the payloads of events: plain data, checked when it is written, compiled where events
 * are matched.
 *
 * L1. A filter that was accepted can be stored and read back without change.
 * L2. A compiled filter never throws, whatever the payload is.
 * L3. Only own fields of a payload count; nothing inherited is ever seen.
 * L4. A payload means the same however it was sent: as JSON, or as CBOR with dates and big integers.
 */
import { describe } from "./describe.ts";
import { InvalidInputError } from "./errors.ts";
import { project } from "./filter-payload.ts";
import { compileQuery, isComparison, matcherOf, type PlainObject } from "./filter-query.ts";
import { storageProblem } from "./storable.ts";

export { valuesAt } from "./filter-payload.ts";

/** How deep a filter may be nested. */
export const FILTER_DEPTH = 32;
/** Size of a filter: bytes of its texts and field names, and 8 for every other value. */
export const FILTER_BYTES: number = 64 * 1024;

/** A single value. Numbers and texts are never equal: 42 is not "42". */
export type FilterScalar = string | number | boolean | null;

/** Plain data to compare with. */
export type FilterLiteral =
  | FilterScalar
  | readonly FilterLiteral[]
  | { readonly [field: string]: FilterLiteral };

/** Comparisons; all that are given must hold. On a list, most hold when they do for one element. */
export interface FilterOperators {
  /** Equal in every field, where a plain object without operators asks only for those it lists. */
  readonly $eq?: FilterLiteral;
  /** Not equal, or not there. */
  readonly $ne?: FilterLiteral;
  /** Greater: numbers by size, texts by their code units. Never true between different types. */
  readonly $gt?: string | number;
  readonly $gte?: string | number;
  readonly $lt?: string | number;
  readonly $lte?: string | number;
  /** Equal to one of these. An empty list matches nothing. */
  readonly $in?: readonly FilterLiteral[];
  /** Equal to none of these. */
  readonly $nin?: readonly FilterLiteral[];
  /** Whether the field is there, be it null. */
  readonly $exists?: boolean;
  readonly $not?: FilterOperators;
  /** A list that has all of these. */
  readonly $all?: readonly FilterScalar[];
  /** A list with an element for which all of this holds. */
  readonly $elemMatch?: Filter | FilterOperators;
  /** A list of this length. */
  readonly $size?: number;
}

/**
 * What a payload has to be. Each field must be equal to its value; `{ order: { id: "42" } }` and
 * `{ "order.id": "42" }` both look inside, and further fields of the payload do not matter. Where the
 * payload has a list, one of its elements must fit. A value can also be an object of operators: $eq
 * $ne $gt $gte $lt $lte $in $nin $exists $not $all $elemMatch $size. Beside the fields, $and, $or,
 * $nor and $not combine whole filters. Null is equal to null and to a missing field. Dates of a
 * payload are compared as their ISO 8601 text. At most 32 deep and 64 KB.
 */
export interface Filter {
  readonly [field: string]: FilterLiteral | FilterOperators | readonly Filter[];
}

/** A value that must be at this path, in every payload that matches. */
export type EqualityKey = readonly [path: string, value: string | number | boolean];

/**
 * A frozen copy of a filter.
 * @param what Names the filter in the error, for instance `filter of event "order.paid"`.
 * @throws {InvalidInputError} When it is not plain data, has an unknown operator or one in the wrong
 * place, or is too deep or too large. Says where.
 */
export function checkFilter(where: unknown, what: string): Filter {
  const copy = copyOf(where, what);
  compileQuery(copy, what);
  const problem = storageProblem(copy);
  if (problem)
    throw new InvalidInputError(
      `The ${what} at ${describe(problem.path.join("."))} ${problem.text}.`,
      { value: where },
    );
  return copy as Filter;
}

/**
 * A function that says whether a payload matches. It never throws; a payload that it cannot read
 * does not match. No filter at all matches everything.
 * @throws {InvalidInputError} When the filter cannot be used.
 */
export function compileFilter(where: unknown): (payload: unknown) => boolean {
  if (where === undefined) return () => true;
  const { query, needs } = compileQuery(copyOf(where, "filter"), "filter");
  const matches = matcherOf(query);
  return (payload) => {
    try {
      return matches(project(payload, needs));
    } catch {
      return false; // a proxy or a getter that throws, or nested too deeply
    }
  };
}

/**
 * The equalities that hold in every payload that matches, for an index: a payload can match only if
 * `valuesAt(payload, path)` has the value, for each of them.
 */
export function equalityKeys(where: Filter | undefined): EqualityKey[] {
  return where === undefined || isComparison(where) ? [] : keysOf(where, []);
}

function keysOf(filter: PlainObject, prefix: readonly string[]): EqualityKey[] {
  return Object.entries(filter).flatMap(([field, value]): EqualityKey[] => {
    if (field === "$and") return (value as PlainObject[]).flatMap((part) => keysOf(part, prefix));
    if (field.startsWith("$")) return [];
    const path = [...prefix, field];
    if (isPlainObject(value) && !isComparison(value)) return keysOf(value, path);
    const equal = isPlainObject(value) ? onlyValue(value) : value;
    return isIndexable(equal) ? [[path.join("."), equal]] : [];
  });
}

/** The one value that operators leave possible, where they say so plainly. */
function onlyValue({ $eq, $in }: PlainObject): unknown {
  return $eq === undefined && Array.isArray($in) && $in.length === 1 ? $in[0] : $eq;
}

/** Null is not: it is equal to a missing field too. */
function isIndexable(value: unknown): value is string | number | boolean {
  return typeof value === "string" || typeof value === "number" || typeof value === "boolean";
}

const utf8 = new TextEncoder();

/** Copies plain data, and refuses all else. */
function copyOf(where: unknown, what: string): PlainObject {
  let bytes = 0;
  const refuse = (path: readonly string[], problem: string): InvalidInputError =>
    new InvalidInputError(
      `The ${what} ${path.length > 0 ? `at ${describe(path.join("."))} ` : ""}${problem}. A filter is plain data: an object of objects, lists, texts, finite numbers, booleans and null.`,
      { value: where },
    );
  const count = (text: string): void => {
    bytes += utf8.encode(text).length;
    if (bytes > FILTER_BYTES) throw refuse([], `is larger than ${FILTER_BYTES} bytes`);
  };
  const copy = (value: unknown, path: readonly string[]): unknown => {
    count(typeof value === "string" ? value : "8 bytes.");
    if (isScalar(value)) return value;
    if (path.length >= FILTER_DEPTH)
      throw refuse([], `is nested more than ${FILTER_DEPTH} deep, or circular`);
    if (Array.isArray(value))
      return Object.freeze(Array.from(value, (item, index) => copy(item, [...path, `${index}`])));
    if (!isPlainObject(value)) throw refuse(path, `is ${describe(value)}${hintFor(value)}`);
    const entries = Object.entries(value).map(([field, inner]) => {
      count(field);
      return [field, copy(inner, [...path, field])] as const;
    });
    return Object.freeze(Object.fromEntries(entries));
  };
  try {
    if (!isPlainObject(where)) throw refuse([], `is ${describe(where)}`);
    return copy(where, []) as PlainObject;
  } catch (error) {
    throw error instanceof InvalidInputError ? error : refuse([], "cannot be read");
  }
}

function hintFor(value: unknown): string {
  if (value === undefined) return ", which is often a forgotten value; leave the field out";
  return value instanceof Date ? "; write its ISO 8601 text" : "";
}

function isScalar(value: unknown): value is FilterScalar {
  return (
    value === null ||
    (isIndexable(value) && !(typeof value === "number" && !Number.isFinite(value)))
  );
}

function isPlainObject(value: unknown): value is PlainObject {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}
