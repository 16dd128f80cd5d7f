/** Reads what stands on the command line. Every refusal says what was expected. */
import { readFileSync } from "node:fs";
import { InvalidArgumentError } from "commander";
import { InvalidInputError, systemClock, toDurationMs } from "../../shared/index.ts";
import { shorten } from "./format.ts";

/** For options that take a whole number in a range. */
export function wholeNumber(from: number, to: number): (text: string) => number {
  return (text) => {
    const number = Number(text);
    if (text.trim() === "" || !Number.isInteger(number) || number < from || number > to)
      throw new InvalidArgumentError(`Expected a whole number from ${from} to ${to}.`);
    return number;
  };
}

/** For options that take a length of time. */
export function duration(text: string): number {
  try {
    return toDurationMs(text, "duration");
  } catch (error) {
    throw new InvalidArgumentError((error as Error).message);
  }
}

/** For options that take a length of time or "forever": what was written. */
export function durationOrForever(text: string): string {
  if (text !== "forever") duration(text);
  return text;
}

/** For options that take an instant, or how long ago it was: milliseconds since the epoch. */
export function instantOrAgo(text: string): number {
  const at = /^\d{4}-\d{2}-\d{2}/.test(text) ? Date.parse(text) : Number.NaN;
  if (!Number.isNaN(at)) return at;
  try {
    return systemClock.now() - toDurationMs(text, "length of time");
  } catch (error) {
    throw new InvalidArgumentError(
      `Expected an instant as 2026-11-24T12:00:00Z, or a length of time. ${(error as Error).message}`,
    );
  }
}

/**
 * A value given as JSON: the text itself, `@file` for the content of a file, or `-` for what comes on
 * standard input.
 * @param what Names the value in the error.
 * @throws {InvalidInputError} When it is no JSON, or the file cannot be read.
 */
export function jsonValue(text: string, what: string): unknown {
  const source = sourceOf(text, what);
  try {
    return JSON.parse(source) as unknown;
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new InvalidInputError(
      `The ${what} is not JSON: ${shorten(reason, 200)}. Write it between single quotes, for instance '{"id":"42"}'; a text needs quotes of its own: '"hello"'. "@file" reads a file, "-" reads standard input.`,
      { cause, value: text },
    );
  }
}

function sourceOf(text: string, what: string): string {
  if (text !== "-" && !text.startsWith("@")) return text;
  try {
    return readFileSync(text === "-" ? 0 : text.slice(1), "utf8");
  } catch (cause) {
    const where = text === "-" ? "standard input" : `the file ${JSON.stringify(text.slice(1))}`;
    throw new InvalidInputError(
      `The ${what} cannot be read from ${where}: ${(cause as Error).message}.`,
      { cause, value: text },
    );
  }
}
