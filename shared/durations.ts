/**
 * What a user may write for a length of time or a point in time, and how many milliseconds it is.
 * The only import of temporal-polyfill.
 *
 * D1. A day is 24 hours and a week is 7 of them; what depends on a calendar is refused.
 * D2. Values of another Temporal, native or another copy, are as good as ours: nothing here asks
 *     for a class.
 */
import { Temporal } from "temporal-polyfill";
import { describe } from "./describe.ts";
import { InvalidInputError } from "./errors.ts";

export { Temporal };

/** The longest duration that is accepted: 100 years of 365.25 days, in milliseconds. */
export const LONGEST_DURATION_MS: number = 36_525 * 86_400_000;
/** The earliest instant that is accepted: the beginning of the year 1. */
export const EARLIEST_INSTANT_MS: number = Date.parse("0001-01-01T00:00:00Z");
/** The latest instant that is accepted: the end of the year 9999. */
export const LATEST_INSTANT_MS: number = Date.parse("9999-12-31T23:59:59.999Z");

/** A duration by its parts, which add up. Each is a number from 0; `{ hours: 1.5 }` is fine. */
export interface DurationParts {
  readonly weeks?: number;
  readonly days?: number;
  readonly hours?: number;
  readonly minutes?: number;
  readonly seconds?: number;
  readonly milliseconds?: number;
  readonly microseconds?: number;
  readonly nanoseconds?: number;
}

/**
 * A length of time: `"90s"`, `"1m 30s"`, `"1.5h"`, `"7 days"`, `"250ms"`, ISO 8601 as in `"PT1H"`,
 * `{ hours: 24 }`, or a `Temporal.Duration`. Units of a text are w, d, h, m, s, ms, and their names
 * in full. A day is 24 hours. Refused are bare numbers, whose unit nobody sees, and months and
 * years, whose length depends on the calendar: sleep until a date instead. From 0 to 100 years; a
 * part of a millisecond counts as a whole one.
 */
export type DurationInput = string | DurationParts | Temporal.Duration;

/**
 * A point in time: a `Temporal.Instant`, a `Temporal.ZonedDateTime`, a `Date`, or ISO 8601 text that
 * says its offset or zone, as in `"2030-01-31T09:00:00Z"`. From the year 1 to the year 9999; one
 * that has passed is as good as now.
 */
export type InstantInput =
  | Temporal.Instant
  | Temporal.ZonedDateTime
  | Date
  | string
  | { readonly epochMilliseconds: number };

const UNIT_MS = {
  weeks: 604_800_000,
  days: 86_400_000,
  hours: 3_600_000,
  minutes: 60_000,
  seconds: 1_000,
  milliseconds: 1,
  microseconds: 1e-3,
  nanoseconds: 1e-6,
} as const satisfies { readonly [unit in keyof Required<DurationParts>]: number };

/** Every spelling of a unit in a short text. */
const UNIT_NAMES: { readonly [name: string]: keyof typeof UNIT_MS | "months" | "years" } = {
  ...spell("weeks", "w wk wks week weeks"),
  ...spell("days", "d day days"),
  ...spell("hours", "h hr hrs hour hours"),
  ...spell("minutes", "m min mins minute minutes"),
  ...spell("seconds", "s sec secs second seconds"),
  ...spell("milliseconds", "ms msec msecs millisecond milliseconds"),
  ...spell("months", "mo month months"),
  ...spell("years", "y yr yrs year years"),
};

const ACCEPTED =
  'Write a text such as "90s", "1m 30s", "24h", "7 days" or "PT1H", an object such as { hours: 24 }, or a Temporal.Duration.';
const CALENDAR =
  "The length of months and years depends on the calendar: use sleepUntil with a date, or write days.";
/** Longer texts are refused before they are read. */
const TEXT_LENGTH = 200;

/**
 * The milliseconds of a duration, a whole number.
 * @param what Names the value in the error, for instance `timeout of task "pack-item"`.
 * @throws {InvalidInputError} When it is no duration, negative, longer than 100 years, or counted
 * in months or years.
 */
export function toDurationMs(value: DurationInput, what: string): number {
  const refuse = (problem: string, help = ACCEPTED): InvalidInputError =>
    new InvalidInputError(`The ${what} is ${describe(value)}, which ${problem}. ${help}`, {
      value,
    });
  const ms =
    typeof value === "string" ? textMs(value, refuse) : partsMs(readParts(value, refuse), refuse);
  if (!(ms <= LONGEST_DURATION_MS)) throw refuse("is longer than 100 years");
  return roundUp(ms);
}

/**
 * The milliseconds of a time limit: a duration of more than zero.
 * @throws {InvalidInputError} When it is none.
 */
export function toTimeoutMs(value: DurationInput, what: string): number {
  const ms = toDurationMs(value, what);
  if (ms > 0) return ms;
  throw new InvalidInputError(
    `The ${what} is ${describe(value)}. Expected more than zero; leave it out for no limit.`,
    { value },
  );
}

/**
 * The milliseconds since the epoch of an instant, a whole number.
 * @param what Names the value in the error.
 * @throws {InvalidInputError} When it is no instant, has no zone, or is not in the years 1 to 9999.
 */
export function toInstantMs(value: InstantInput, what: string): number {
  const refuse = (problem: string): InvalidInputError =>
    new InvalidInputError(
      `The ${what} is ${describe(value)}, which ${problem}. Write a Temporal.Instant, a Temporal.ZonedDateTime, a Date, or a text with its offset such as "2030-01-31T09:00:00Z" or "2030-01-31T10:00:00+01:00".`,
      { value },
    );
  const ms = typeof value === "string" ? textInstantMs(value, refuse) : objectInstantMs(value);
  if (ms === undefined) throw refuse("is not a point in time");
  if (Number.isNaN(ms)) throw refuse("is not a valid date");
  if (ms < EARLIEST_INSTANT_MS || ms > LATEST_INSTANT_MS)
    throw refuse("is not in the years 1 to 9999");
  return Math.ceil(ms);
}

/** The instant at some milliseconds since the epoch. */
export function instantFromMs(ms: number): Temporal.Instant {
  return Temporal.Instant.fromEpochMilliseconds(ms);
}

type Refuse = (problem: string, help?: string) => InvalidInputError;
type Parts = { readonly [unit: string]: unknown };

function textMs(text: string, refuse: Refuse): number {
  if (text.length > TEXT_LENGTH) throw refuse("is too long a text for a duration");
  const trimmed = text.trim();
  if (/^[+-]?P/i.test(trimmed)) return partsMs(isoParts(trimmed, refuse), refuse);
  if (/^-/.test(trimmed)) throw refuse("is negative");
  if (/^\d+(\.\d+)?$/.test(trimmed)) throw refuse("has no unit", noUnit(trimmed));
  const pieces = [...trimmed.matchAll(/(\d+(?:\.\d+)?) ?([a-z]+)(?:,? +|$)?/gy)];
  const readLength = pieces.reduce((length, [piece]) => length + piece.length, 0);
  if (pieces.length === 0 || readLength !== trimmed.length) throw refuse("is not a duration");
  const parts: { [unit: string]: number } = {};
  for (const [, number, name = ""] of pieces) {
    const unit = Object.hasOwn(UNIT_NAMES, name) ? UNIT_NAMES[name] : undefined;
    if (unit === undefined) throw refuse(`has an unknown unit "${name}"`);
    if (parts[unit] !== undefined) throw refuse(`says its ${unit} twice`);
    parts[unit] = Number(number);
  }
  return partsMs(parts, refuse);
}

function isoParts(text: string, refuse: Refuse): Parts {
  try {
    return Temporal.Duration.from(text) as unknown as Parts;
  } catch (cause) {
    const error = refuse("is not a duration of ISO 8601");
    error.cause = cause;
    throw error;
  }
}

/** Checks that an object is a duration by parts: a plain one, or some Temporal.Duration. */
function readParts(value: unknown, refuse: Refuse): Parts {
  if (typeof value === "number") throw refuse("has no unit", noUnit(String(value)));
  if (typeof value !== "object" || value === null) throw refuse("is not a duration");
  try {
    const parts = value as Parts & { readonly [Symbol.toStringTag]?: unknown };
    if (parts[Symbol.toStringTag] === "Temporal.Duration") return parts;
    const prototype: unknown = Object.getPrototypeOf(value);
    if (prototype !== null && Object.getPrototypeOf(prototype) !== null)
      throw refuse("is not a duration");
    const units = Object.keys(value);
    if (units.length === 0) throw refuse("has no parts");
    const unknown = units.find((unit) => !Object.hasOwn(UNIT_MS, unit) && !isCalendarUnit(unit));
    if (unknown !== undefined) throw refuse(`has an unknown part ${describe(unknown)}`);
    return parts;
  } catch (error) {
    throw error instanceof InvalidInputError ? error : refuse("cannot be read");
  }
}

function partsMs(parts: Parts, refuse: Refuse): number {
  if (["years", "months"].some((unit) => (parts[unit] ?? 0) !== 0))
    throw refuse("has months or years", CALENDAR);
  let ms = 0;
  for (const [unit, unitMs] of Object.entries(UNIT_MS)) {
    const count = parts[unit] ?? 0;
    if (typeof count !== "number" || !Number.isFinite(count))
      throw refuse(`has ${unit} that are not a number`);
    if (count < 0) throw refuse("is negative");
    ms += count * unitMs;
  }
  return ms;
}

function textInstantMs(text: string, refuse: Refuse): number | undefined {
  if (text.length > TEXT_LENGTH) throw refuse("is too long a text for a point in time");
  const trimmed = text.trim();
  try {
    return Temporal.Instant.from(trimmed).epochMilliseconds;
  } catch {
    // not an exact time; it may still name its zone
  }
  try {
    return Temporal.ZonedDateTime.from(trimmed).epochMilliseconds;
  } catch {
    // not zoned either; a date without a zone gets an error of its own
  }
  if (isPlainDateTime(trimmed))
    throw refuse("does not say its zone, so it is another instant on every machine");
  return undefined;
}

function isPlainDateTime(text: string): boolean {
  try {
    return Temporal.PlainDateTime.from(text) !== undefined;
  } catch {
    return false;
  }
}

function objectInstantMs(value: unknown): number | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  try {
    return Date.prototype.getTime.call(value); // also a Date of another realm
  } catch {
    // not a Date
  }
  try {
    const { epochMilliseconds } = value as { readonly epochMilliseconds?: unknown };
    return typeof epochMilliseconds === "number" ? epochMilliseconds : undefined;
  } catch {
    return undefined; // a proxy that refuses to be read
  }
}

/** The next whole number, unless what lies above the last one is but an error of floating point. */
function roundUp(ms: number): number {
  const nearest = Math.round(ms);
  return Math.abs(ms - nearest) <= ms * 4 * Number.EPSILON ? nearest : Math.ceil(ms);
}

function isCalendarUnit(unit: string): boolean {
  return unit === "months" || unit === "years";
}

function noUnit(number: string): string {
  return `Write the unit: "${number}ms" for milliseconds, "${number}s" for seconds.`;
}

function spell<Unit extends string>(unit: Unit, names: string): { readonly [name: string]: Unit } {
  return Object.fromEntries(names.split(" ").map((name) => [name, unit]));
}
