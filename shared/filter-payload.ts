/**
 * Payloads as filters see them: only what a filter looks at is copied, only own fields, and every
 * field under a name that nothing inherits.
 */

/** A payload nested deeper along the fields of a filter does not match it. */
export const MATCHED_PAYLOAD_DEPTH = 200;

/** What of a payload, or of a part of it, a filter looks at. Grows while the filter is compiled. */
export interface Needs {
  /** Whether it compares with objects, and so with all their fields. */
  isWhole: boolean;
  readonly fields: Map<string, Needs>;
}

/**
 * Stands before every field name in a query and in a payload: no object inherits a field of such a
 * name, no text or list has one of its own, none is a position in a list, and none is an operator.
 */
const MARK = "=";
/** What a payload may hold and a filter cannot name: bytes, functions, symbols. Equal to nothing. */
const OPAQUE = Symbol("opaque");

const WHOLE: Needs = { isWhole: true, fields: new Map() };

/** Of a filter that has asked for nothing yet. */
export function newNeeds(): Needs {
  return { isWhole: false, fields: new Map() };
}

/** The needs at a field; from now on the filter looks at it. */
export function needsOf(needs: Needs, field: string): Needs {
  const known = needs.fields.get(field);
  if (known !== undefined) return known;
  const added = newNeeds();
  needs.fields.set(field, added);
  return added;
}

/** The path of a field in a query. */
export function queryPath(names: readonly string[]): string {
  return names.map((name) => MARK + name).join(".");
}

/** An operand to compare a payload with, its fields marked; the filter then needs whole objects. */
export function markAll(operand: unknown, needs: Needs): unknown {
  if (typeof operand !== "object" || operand === null) return operand;
  if (Array.isArray(operand)) return operand.map((item: unknown) => markAll(item, needs));
  needs.isWhole = true;
  return Object.fromEntries(
    Object.entries(operand).map(([field, inner]) => [MARK + field, markAll(inner, needs)]),
  );
}

/**
 * What a query is evaluated on.
 * @throws When the payload cannot be read, or is nested too deeply.
 */
export function project(payload: unknown, needs: Needs): unknown {
  return projectTo(payload, needs, 0);
}

function projectTo(payload: unknown, needs: Needs, depth: number): unknown {
  const value = plain(payload);
  if (typeof value !== "object" || value === null) return value;
  if (depth > MATCHED_PAYLOAD_DEPTH) throw new RangeError("The payload is nested too deeply.");
  if (Array.isArray(value)) return value.map((item) => projectTo(item, needs, depth + 1));
  const fields = needs.isWhole ? Object.keys(value) : needs.fields.keys();
  const seen: { [field: string]: unknown } = {};
  for (const field of fields) {
    if (!Object.hasOwn(value, field)) continue;
    const inner = needs.isWhole ? WHOLE : needsOf(needs, field);
    seen[MARK + field] = projectTo((value as typeof seen)[field], inner, depth + 1);
  }
  return seen;
}

/** The single values that a payload has at a path, those of lists included. Never throws. */
export function valuesAt(payload: unknown, path: string): Set<string | number | boolean> {
  const found = new Set<string | number | boolean>();
  try {
    collect(payload, { names: path.split("."), position: 0, depth: 0 }, found);
  } catch {
    // a payload that cannot be read has no values here, as it matches no filter
    found.clear();
  }
  return found;
}

interface PathPosition {
  readonly names: readonly string[];
  readonly position: number;
  readonly depth: number;
}

function collect(payload: unknown, at: PathPosition, found: Set<string | number | boolean>): void {
  const value = plain(payload);
  const { names, position, depth } = at;
  if (depth > MATCHED_PAYLOAD_DEPTH) throw new RangeError("The payload is nested too deeply.");
  if (Array.isArray(value)) {
    for (const item of value) collect(item, { ...at, depth: depth + 1 }, found);
  } else if (position === names.length) {
    if (typeof value === "string" || typeof value === "number" || typeof value === "boolean")
      found.add(value);
  } else if (typeof value === "object" && value !== null) {
    const name = names[position] as string;
    if (!Object.hasOwn(value, name)) return;
    const inner = (value as { readonly [field: string]: unknown })[name];
    collect(inner, { names, position: position + 1, depth: depth + 1 }, found);
  }
}

/** Dates as their text, big integers as numbers where that is exact, as JSON would have sent them. */
function plain(value: unknown): unknown {
  switch (typeof value) {
    case "bigint":
      return Number.isSafeInteger(Number(value)) ? Number(value) : OPAQUE;
    case "function":
    case "symbol":
      return OPAQUE;
    case "object":
      if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : value.toISOString();
      return ArrayBuffer.isView(value) ? OPAQUE : value;
    default:
      return value;
  }
}
