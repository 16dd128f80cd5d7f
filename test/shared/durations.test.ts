import { runInNewContext } from "node:vm";
import test from "ava";
import fc from "fast-check";
import { Temporal as OtherTemporal } from "temporal-polyfill/implementation";
import { describe } from "../../shared/describe.ts";
import {
  type DurationInput,
  EARLIEST_INSTANT_MS,
  type InstantInput,
  instantFromMs,
  LATEST_INSTANT_MS,
  LONGEST_DURATION_MS,
  Temporal,
  toDurationMs,
  toInstantMs,
  toTimeoutMs,
} from "../../shared/durations.ts";
import { InvalidInputError } from "../../shared/errors.ts";

const HOUR = 3_600_000;
const hostile = new Proxy(
  {},
  {
    get() {
      throw new Error("no");
    },
    getPrototypeOf() {
      throw new Error("no");
    },
  },
);

const durations: readonly [input: DurationInput, ms: number][] = [
  ["90s", 90_000],
  ["24h", 24 * HOUR],
  ["7 days", 168 * HOUR],
  ["1 day", 24 * HOUR],
  ["2w", 336 * HOUR],
  ["1m 30s", 90_000],
  ["1m30s", 90_000],
  ["1 hour, 5 minutes", HOUR + 300_000],
  ["250ms", 250],
  ["1.5h", 1.5 * HOUR],
  ["0.1s", 100],
  ["1.1h", 3_960_000],
  ["0s", 0],
  [" 10 sec ", 10_000],
  ["PT1H", HOUR],
  ["P1W", 168 * HOUR],
  ["p1dt1m", 24 * HOUR + 60_000],
  ["PT0.5S", 500],
  ["PT0.0001S", 1],
  [{ hours: 24 }, 24 * HOUR],
  [{ weeks: 1, days: 1, hours: 1, minutes: 1, seconds: 1, milliseconds: 1 }, 694_861_001],
  [{ hours: 1.5 }, 1.5 * HOUR],
  [{ microseconds: 1 }, 1],
  [{ nanoseconds: 1_000_001 }, 2],
  [{ seconds: 0.1, milliseconds: 0.2 }, 101],
  [{ milliseconds: 0 }, 0],
  [Temporal.Duration.from({ hours: 2 }), 2 * HOUR],
  [Temporal.Duration.from({ years: 0, days: 1 }), 24 * HOUR],
  [{ days: 36_525 }, LONGEST_DURATION_MS],
];

for (const [input, ms] of durations)
  test(`the duration ${describe(input)} is ${ms} ms`, (t) =>
    t.is(toDurationMs(input, "pause"), ms));

const badDurations: readonly [input: unknown, message: RegExp][] = [
  [500, /The pause is 500, which has no unit\. Write the unit: "500ms"/],
  ["500", /The pause is "500", which has no unit\. Write the unit: "500ms"/],
  [Number.NaN, /The pause is NaN, which has no unit/],
  ["", /"", which is not a duration\. Write a text such as "90s"/],
  ["soon", /"soon", which is not a duration/],
  ["1h 1", /is not a duration/],
  ["1h -1m", /is not a duration/],
  ["5 parsecs", /"5 parsecs", which has an unknown unit "parsecs"/],
  ["5 constructor", /has an unknown unit "constructor"/],
  ["1h 2h", /says its hours twice/],
  ["-1h", /"-1h", which is negative/],
  ["-PT1H", /is negative/],
  [{ hours: -1 }, /\{ hours: -1 \}, which is negative/],
  [Temporal.Duration.from({ hours: -1 }), /is negative/],
  ["1 month", /has months or years\. The length .* use sleepUntil with a date/],
  ["P1M", /use sleepUntil/],
  ["1 year", /use sleepUntil/],
  [{ months: 1 }, /use sleepUntil/],
  [Temporal.Duration.from({ years: 1 }), /use sleepUntil/],
  ["PT", /is not a duration of ISO 8601/],
  ["P1H", /is not a duration of ISO 8601/],
  ["101 years", /use sleepUntil/],
  ["36526 days", /is longer than 100 years/],
  [`1${"0".repeat(150)} days`, /is longer than 100 years/],
  ["1".repeat(10_000), /is too long a text/],
  [{}, /\{\}, which has no parts/],
  [{ hour: 1 }, /has an unknown part "hour"/],
  [{ hours: "1" }, /has hours that are not a number/],
  [{ hours: Number.POSITIVE_INFINITY }, /has hours that are not a number/],
  [{ hours: 1n }, /has hours that are not a number/],
  [null, /The pause is null, which is not a duration/],
  [undefined, /undefined, which is not a duration/],
  [true, /true, which is not a duration/],
  [Symbol("s"), /Symbol\(s\), which is not a duration/],
  [() => 1, /a function, which is not a duration/],
  [[1], /\[1\], which is not a duration/],
  [new Date(0), /00Z, which is not a duration/],
  [Temporal.PlainTime.from("10:00"), /is not a duration/],
  [hostile, /cannot be read/],
];

for (const [input, message] of badDurations)
  test(`the duration ${describe(input)} is refused with ${message}`, (t) => {
    const error = t.throws(() => toDurationMs(input as DurationInput, "pause"), {
      instanceOf: InvalidInputError,
      message,
    });
    t.is((error as unknown as { value: unknown }).value, input);
  });

test("a duration that is not of ISO 8601 keeps what Temporal said as its cause", (t) => {
  t.true(t.throws(() => toDurationMs("PT", "pause")).cause instanceof RangeError);
});

test("a duration of another copy of Temporal counts like one of ours", (t) => {
  t.is(toDurationMs(foreign({ hours: 2 }) as DurationInput, "pause"), 2 * HOUR);
  t.throws(() => toDurationMs(foreign({ months: 2 }) as DurationInput, "pause"), {
    message: /use sleepUntil/,
  });
  t.is(toDurationMs(OtherTemporal.Duration.from("PT2H"), "pause"), 2 * HOUR);
  t.is(toDurationMs(runInNewContext("({ hours: 2 })") as DurationInput, "pause"), 2 * HOUR);
});

test("a whole number of any unit is never rounded", (t) => {
  const unit = fc.constantFrom(
    ...([
      ["w", 168 * HOUR],
      ["d", 24 * HOUR],
      ["h", HOUR],
      ["m", 60_000],
      ["s", 1_000],
      ["ms", 1],
    ] as const),
  );
  fc.assert(
    fc.property(unit, fc.nat(5_000), fc.nat(999), ([name, unitMs], count, rest) => {
      const text = name === "ms" ? `${count}ms` : `${count}${name} ${rest}ms`;
      return toDurationMs(text, "pause") === count * unitMs + (name === "ms" ? 0 : rest);
    }),
  );
  t.pass();
});

test("a duration is as Temporal has it, rounded up to a millisecond", (t) => {
  const parts = fc.record(
    {
      days: fc.nat(1_000),
      hours: fc.nat(1_000),
      minutes: fc.nat(1_000),
      seconds: fc.nat(1_000),
      milliseconds: fc.nat(10_000),
      microseconds: fc.nat(10_000),
    },
    { requiredKeys: ["hours"] },
  );
  fc.assert(
    fc.property(parts, (input) => {
      const duration = Temporal.Duration.from(input);
      const microseconds = Math.round(duration.total("microseconds"));
      const expected = Math.ceil(microseconds / 1_000);
      return (
        toDurationMs(input, "a") === expected &&
        toDurationMs(duration, "b") === expected &&
        toDurationMs(duration.toString(), "c") === expected
      );
    }),
  );
  t.pass();
});

test("whatever a duration is given as, it is a whole number of milliseconds or refused by name", (t) => {
  const text = fc
    .array(fc.constantFrom("1", "2.5", " ", "h", "m", "ms", "P", "T", "-", ",", "days", "x"))
    .map((pieces) => pieces.join(""));
  fc.assert(
    fc.property(fc.oneof(fc.anything(), text), (input) => {
      try {
        const ms = toDurationMs(input as DurationInput, "pause");
        return Number.isSafeInteger(ms) && ms >= 0 && ms <= LONGEST_DURATION_MS;
      } catch (error) {
        return error instanceof InvalidInputError && error.message.startsWith("The pause is ");
      }
    }),
  );
  t.pass();
});

test("a time limit is a duration of more than zero", (t) => {
  t.is(toTimeoutMs({ nanoseconds: 1 }, "timeout"), 1);
  t.throws(() => toTimeoutMs("0s", "timeout"), {
    instanceOf: InvalidInputError,
    message: /The timeout is "0s"\. Expected more than zero/,
  });
  t.throws(() => toTimeoutMs(5 as never, "timeout"), { message: /has no unit/ });
});

const instants: readonly [input: InstantInput, ms: number][] = [
  ["2030-01-31T09:00:00Z", Date.UTC(2030, 0, 31, 9)],
  ["2030-01-31T10:00:00+01:00", Date.UTC(2030, 0, 31, 9)],
  [" 2030-01-31T09:00Z ", Date.UTC(2030, 0, 31, 9)],
  ["2030-01-31T10:00:00+01:00[Europe/Berlin]", Date.UTC(2030, 0, 31, 9)],
  ["2030-01-31T10:00:00[Europe/Berlin]", Date.UTC(2030, 0, 31, 9)],
  [new Date(1_000), 1_000],
  [Temporal.Instant.fromEpochMilliseconds(1_000), 1_000],
  [Temporal.Instant.from("1970-01-01T00:00:01Z").toZonedDateTimeISO("Asia/Tokyo"), 1_000],
  [{ epochMilliseconds: 1_000 }, 1_000],
  [{ epochMilliseconds: 1_000.5 }, 1_001],
  [new Date(-1), -1],
  [new Date(LATEST_INSTANT_MS), LATEST_INSTANT_MS],
  [new Date(EARLIEST_INSTANT_MS), EARLIEST_INSTANT_MS],
];

for (const [input, ms] of instants)
  test(`the instant ${describe(input)}, ${String(input)}, is ${ms} ms`, (t) =>
    t.is(toInstantMs(input, "deadline"), ms));

const badInstants: readonly [input: unknown, message: RegExp][] = [
  ["2030-01-31T09:00:00", /does not say its zone, so it is another instant on every machine/],
  ["2030-01-31", /does not say its zone/],
  [
    "tomorrow",
    /The deadline is "tomorrow", which is not a point in time\. Write a Temporal\.Instant/,
  ],
  ["", /is not a point in time/],
  ["1".repeat(1_000), /is too long a text/],
  [1_893_456_000_000, /is not a point in time/],
  [null, /is not a point in time/],
  [undefined, /is not a point in time/],
  [{}, /is not a point in time/],
  [{ epochMilliseconds: "1" }, /is not a point in time/],
  [new Date(Number.NaN), /is not a valid date/],
  [new Date(LATEST_INSTANT_MS + 1), /is not in the years 1 to 9999/],
  [new Date(EARLIEST_INSTANT_MS - 1), /is not in the years 1 to 9999/],
  [{ epochMilliseconds: Number.POSITIVE_INFINITY }, /is not in the years 1 to 9999/],
  [hostile, /is not a point in time/],
];

for (const [input, message] of badInstants)
  test(`the instant ${describe(input)} is refused with ${message}`, (t) => {
    t.throws(() => toInstantMs(input as InstantInput, "deadline"), {
      instanceOf: InvalidInputError,
      message,
    });
  });

test("an instant of another realm or copy counts like one of ours", (t) => {
  t.is(toInstantMs(runInNewContext("new Date(1000)") as InstantInput, "deadline"), 1_000);
  t.is(toInstantMs(OtherTemporal.Instant.fromEpochMilliseconds(1_000), "deadline"), 1_000);
});

test("an instant made from milliseconds reads back as them", (t) => {
  fc.assert(
    fc.property(fc.integer({ min: EARLIEST_INSTANT_MS, max: LATEST_INSTANT_MS }), (ms) => {
      const instant = instantFromMs(ms);
      return (
        toInstantMs(instant, "a") === ms &&
        toInstantMs(instant.toString(), "b") === ms &&
        toInstantMs(new Date(ms), "c") === ms
      );
    }),
  );
  t.pass();
});

/** What a Duration of another implementation looks like: getters on a class of its own. */
function foreign(parts: { readonly [unit: string]: number }): object {
  class Duration {
    get [Symbol.toStringTag](): string {
      return "Temporal.Duration";
    }
  }
  for (const unit of ["years", "months", "weeks", "days", "hours", "minutes", "seconds"])
    Object.defineProperty(Duration.prototype, unit, { get: () => parts[unit] ?? 0 });
  return new Duration();
}
