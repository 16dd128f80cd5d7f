/** Shows any value in an error message: short, on one line, and without ever failing itself. */

/** The longest text that `describe` returns, in characters. */
export const DESCRIPTION_LENGTH = 100;
/** Objects inside objects are shown to this depth. */
const DEPTH = 2;
/** Fields or elements of one object that are shown. */
const BREADTH = 5;

/**
 * Writes a value for people. Calls no method and no getter of the value, so that nothing a caller
 * passes, be it circular, a proxy or a symbol, can turn one error into another.
 */
export function describe(value: unknown): string {
  try {
    return shorten(show(value, 0));
  } catch {
    return "an object that cannot be read"; // a proxy
  }
}

function show(value: unknown, depth: number): string {
  switch (typeof value) {
    case "string":
      return JSON.stringify(value.slice(0, DESCRIPTION_LENGTH));
    case "bigint":
      return `${value}n`;
    case "function":
      return "a function";
    case "object":
      return value === null ? "null" : showObject(value, depth);
    default:
      return Object.is(value, -0) ? "-0" : String(value);
  }
}

function showObject(object: object, depth: number): string {
  const date = dateText(object);
  if (date !== undefined) return date;
  if (depth === DEPTH) return Array.isArray(object) ? "[…]" : "{…}";
  const shown: string[] = [];
  if (Array.isArray(object)) {
    const count = Math.min(object.length, BREADTH);
    for (let index = 0; index < count; index++) shown.push(showField(object, index, depth));
    return `[${shown.join(", ")}${object.length > BREADTH ? ", …" : ""}]`;
  }
  const keys = Object.keys(object);
  for (const key of keys.slice(0, BREADTH))
    shown.push(
      `${/^\w+$/.test(key) ? key : JSON.stringify(key)}: ${showField(object, key, depth)}`,
    );
  const fields = `${shown.join(", ")}${keys.length > BREADTH ? ", …" : ""}`;
  return className(object) + (fields === "" ? "{}" : `{ ${fields} }`);
}

function showField(object: object, key: string | number, depth: number): string {
  const property = Object.getOwnPropertyDescriptor(object, key);
  if (property === undefined) return "empty";
  return "value" in property ? show(property.value, depth + 1) : "a getter";
}

/** The text of a date, also of another realm's, whatever methods it may have been given. */
function dateText(object: object): string | undefined {
  try {
    const ms = Date.prototype.getTime.call(object);
    return Number.isNaN(ms) ? "an invalid Date" : new Date(ms).toISOString();
  } catch {
    return undefined; // not a date
  }
}

/** The name of the class and a space, unless the object is a plain one. */
function className(object: object): string {
  const prototype: unknown = Object.getPrototypeOf(object);
  if (typeof prototype !== "object" || prototype === null) return "";
  const made = Object.getOwnPropertyDescriptor(prototype, "constructor")?.value;
  if (typeof made !== "function") return "";
  const name: unknown = Object.getOwnPropertyDescriptor(made, "name")?.value;
  return typeof name === "string" && name !== "" && name !== "Object" ? `${name} ` : "";
}

function shorten(text: string): string {
  if (text.length <= DESCRIPTION_LENGTH) return text;
  const cut = text.slice(0, DESCRIPTION_LENGTH - 1);
  // a pair of surrogates is not cut in half
  return `${/[\uD800-\uDBFF]$/.test(cut) ? cut.slice(0, -1) : cut}…`;
}
