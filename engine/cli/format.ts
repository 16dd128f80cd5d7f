/** Values as lines of text and as JSON. Pure; what is shown may come from anywhere. */
import Table from "cli-table3";

/** Longest text in a cell of a table. */
const CELL_LENGTH = 100;
const BORDERS = [
  ...["top", "top-mid", "top-left", "top-right", "bottom", "bottom-mid", "bottom-left"],
  ...["bottom-right", "left", "left-mid", "mid", "mid-mid", "right", "right-mid"],
];

/** A table without borders, as lines. The last column is not padded. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const made = new Table({
    head: [...head],
    chars: { ...Object.fromEntries(BORDERS.map((name) => [name, ""])), middle: "  " },
    style: { head: [], border: [], "padding-left": 0, "padding-right": 0 },
  });
  for (const row of rows) made.push(row.map((cell) => shorten(printable(cell), CELL_LENGTH)));
  return made
    .toString()
    .split("\n")
    .map((line) => line.trimEnd())
    .join("\n");
}

/**
 * A text in which no character commands the terminal: names and messages come from anywhere. Control
 * characters are written as JavaScript writes them; line breaks too.
 */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu, (char) => {
    if (char === "\n") return "\\n";
    if (char === "\t") return "\\t";
    return `\\u${(char.codePointAt(0) ?? 0).toString(16).padStart(4, "0")}`;
  });
}

/**
 * A value as JSON on one line. What JSON does not know is written as what comes nearest: big integers
 * and dates as texts, bytes as base64 text, maps as objects, sets as arrays, and what is not there as
 * null. A circle is cut.
 */
export function jsonText(value: unknown): string {
  return JSON.stringify(toJson(value, [])) ?? "null";
}

/** An instant in JSON output: ISO 8601 in UTC with milliseconds; null when it is none. */
export function isoTime(ms: number): string | null {
  return Math.abs(ms) <= 8.64e15 ? new Date(ms).toISOString() : null;
}

/** Cuts a text that is longer than so many characters. */
export function shorten(text: string, length: number): string {
  return text.length <= length
    ? text
    : `${text.slice(0, length - 1).replace(/[\ud800-\udbff]$/, "")}…`;
}

function toJson(value: unknown, above: readonly object[]): unknown {
  if (typeof value === "bigint") return value.toString();
  if (typeof value === "number") return Number.isFinite(value) ? value : String(value);
  if (typeof value === "function" || typeof value === "symbol") return null;
  if (typeof value !== "object" || value === null) return value ?? null;
  if (above.includes(value)) return "a circle";
  if (value instanceof Date) return isoTime(value.getTime());
  if (value instanceof Uint8Array) return Buffer.from(value).toString("base64");
  const inside = [...above, value];
  if (Array.isArray(value)) return value.map((item) => toJson(item, inside));
  if (value instanceof Set) return [...value].map((item) => toJson(item, inside));
  const entries =
    value instanceof Map
      ? [...value].map(([key, item]): [string, unknown] => [String(key), item])
      : Object.entries(value);
  return Object.fromEntries(
    entries
      .filter(([, item]) => item !== undefined)
      .map(([key, item]) => [key, toJson(item, inside)]),
  );
}
