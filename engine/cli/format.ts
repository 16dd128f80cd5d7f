/** Values as lines of text and as JSON. Pure; what is shown may come from anywhere. */
import Table from "cli-table3";
import { toJson } from "../index.ts";

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

/** A value as JSON on one line, by the rules of `toJson`. One that cannot be written is a text. */
export function jsonText(value: unknown): string {
  try {
    return toJson(value);
  } catch {
    return '"a value that cannot be shown"'; // a circle, in the data of a log line
  }
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
