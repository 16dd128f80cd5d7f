import test from "ava";
import fc from "fast-check";
import { describe } from "../../shared/describe.ts";
import { LONGEST_DURATION_MS } from "../../shared/durations.ts";
import { InvalidInputError, InvariantError, UnavailableError } from "../../shared/errors.ts";
import {
  DEFAULT_RETRIES,
  nextDelayMs,
  normalizeRetries,
  type RetryOptions,
  type RetryPolicy,
  retryDelayMs,
} from "../../shared/retry.ts";
import { RetryAfterError } from "../../shared/retry-after-error.ts";

const isNetwork = (error: unknown): boolean => error instanceof TypeError;
const never = { ...DEFAULT_RETRIES, jitter: 0 };
const noJitter = (): number => 0;

const rules: readonly [options: RetryOptions | number | undefined, policy: RetryPolicy][] = [
  [undefined, DEFAULT_RETRIES],
  [{}, DEFAULT_RETRIES],
  [0, { ...DEFAULT_RETRIES, limit: 0 }],
  [7, { ...DEFAULT_RETRIES, limit: 7 }],
  [{ limit: Number.POSITIVE_INFINITY }, { ...DEFAULT_RETRIES, limit: Number.POSITIVE_INFINITY }],
  [
    { limit: 3, backoff: { initial: "1s", factor: 2, max: "1m" } },
    { limit: 3, initialMs: 1_000, factor: 2, maxMs: 60_000, jitter: 0.2 },
  ],
  [{ backoff: { initial: "1h" } }, { ...DEFAULT_RETRIES, initialMs: 3.6e6, maxMs: 3.6e6 }],
  [{ backoff: { max: "10ms" } }, { ...DEFAULT_RETRIES, initialMs: 10, maxMs: 10 }],
  [{ backoff: { initial: "0s", jitter: 0 } }, { ...DEFAULT_RETRIES, initialMs: 0, jitter: 0 }],
  [{ retryIf: isNetwork }, { ...DEFAULT_RETRIES, retryIf: isNetwork }],
];

for (const [options, policy] of rules)
  test(`retries of ${describe(options)} are ${describe(policy)}`, (t) =>
    t.deepEqual(normalizeRetries(options, "retries"), policy));

test("what retries do not say is as in the defaults that are given", (t) => {
  const defaults = { ...DEFAULT_RETRIES, limit: 9, initialMs: 5, retryIf: isNetwork };
  t.is(normalizeRetries(undefined, "retries", defaults), defaults);
  t.deepEqual(normalizeRetries({ backoff: { factor: 1 } }, "retries", defaults), {
    ...defaults,
    factor: 1,
  });
});

const refused: readonly [options: unknown, message: RegExp][] = [
  [-1, /The limit of the retries is -1\. Expected a whole number from 0, or Infinity/],
  [1.5, /The limit of the retries is 1\.5/],
  [Number.NaN, /The limit of the retries is NaN/],
  [{ limit: "3" }, /The limit of the retries is "3"/],
  [null, /The retries is null\. Expected an object with limit, backoff, retryIf/],
  ["3", /The retries is "3"/],
  [[3], /The retries is \[3\]/],
  [{ times: 3 }, /The retries has an unknown option "times"\. Expected limit, backoff, retryIf/],
  [{ retryIf: true }, /The retryIf of the retries is true\. Expected a function/],
  [{ backoff: "1s" }, /The backoff of the retries is "1s"\. Expected an object with initial/],
  [{ backoff: { min: "1s" } }, /The backoff of the retries has an unknown option "min"/],
  [{ backoff: { initial: 100 } }, /The initial backoff of the retries is 100, which has no unit/],
  [{ backoff: { max: "x" } }, /The longest backoff of the retries is "x", which is not a duration/],
  [{ backoff: { initial: "2s", max: "1s" } }, /is "1s"\. Expected not less than the initial/],
  [{ backoff: { factor: 0.5 } }, /The backoff factor of the retries is 0\.5\. Expected a number/],
  [{ backoff: { factor: 101 } }, /Expected a number from 1 to 100/],
  [{ backoff: { factor: "2" } }, /factor of the retries is "2"/],
  [{ backoff: { jitter: 1.1 } }, /jitter of the retries is 1\.1\. Expected a number from 0 to 1/],
  [{ backoff: { jitter: Number.NaN } }, /jitter of the retries is NaN/],
];

for (const [options, message] of refused)
  test(`retries of ${describe(options)} are refused with ${message}`, (t) => {
    t.throws(() => normalizeRetries(options as RetryOptions, "retries"), {
      instanceOf: InvalidInputError,
      message,
    });
  });

test("waits double up to the longest one, and end with the limit", (t) => {
  const policy = normalizeRetries(
    { limit: 5, backoff: { initial: "1s", factor: 2, max: "5s", jitter: 0 } },
    "retries",
  );
  const waits = [1, 2, 3, 4, 5, 6].map((attempt) => nextDelayMs(policy, attempt, noJitter));
  t.deepEqual(waits, [1_000, 2_000, 4_000, 5_000, 5_000, undefined]);
});

test("no wait at all stays none after any number of attempts", (t) => {
  const policy = { ...never, limit: Number.POSITIVE_INFINITY, initialMs: 0 };
  t.is(nextDelayMs(policy, 1e6, noJitter), 0);
});

test("a wait is within its bounds, whatever the rule", (t) => {
  const rule = fc.record({
    limit: fc.oneof(fc.nat(100), fc.constant(Number.POSITIVE_INFINITY)),
    initialMs: fc.nat(1e9),
    factor: fc.double({ min: 1, max: 100, noNaN: true }),
    maxMs: fc.nat(1e9),
    jitter: fc.double({ min: 0, max: 1, noNaN: true }),
  });
  const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
  fc.assert(
    fc.property(rule, fc.integer({ min: 1, max: 1e6 }), random, (bounds, attempt, drawn) => {
      const policy = { ...bounds, maxMs: Math.max(bounds.maxMs, bounds.initialMs) };
      const ms = nextDelayMs(policy, attempt, () => drawn);
      if (attempt > policy.limit) return ms === undefined;
      const next = nextDelayMs({ ...policy, limit: Infinity }, attempt + 1, () => drawn);
      return (
        ms !== undefined &&
        next !== undefined &&
        Number.isSafeInteger(ms) &&
        ms <= policy.maxMs &&
        ms >= Math.floor(policy.initialMs * (1 - policy.jitter)) &&
        next >= ms
      );
    }),
  );
  t.pass();
});

test("an error that says it is not retryable is not tried again", (t) => {
  t.is(retryDelayMs(never, { error: new InvariantError("x"), attempt: 1 }, noJitter), undefined);
  t.is(retryDelayMs(never, { error: new UnavailableError("x"), attempt: 1 }, noJitter), 1_000);
  t.is(retryDelayMs(never, { error: { retryable: false }, attempt: 1 }, noJitter), undefined);
  for (const error of [new Error("x"), "text", null, undefined, { retryable: "no" }, hostile()])
    t.is(retryDelayMs(never, { error, attempt: 1 }, noJitter), 1_000);
});

test("an error that names its own delay is tried again then, within the limit", (t) => {
  const after = (retryAfterMs: unknown, attempt = 1): number | undefined =>
    retryDelayMs(never, { error: { retryAfterMs }, attempt }, noJitter);
  t.is(after(90_000), 90_000);
  t.is(after(0), 0);
  t.is(after(0.5), 1);
  t.is(after(Number.POSITIVE_INFINITY), LONGEST_DURATION_MS);
  t.is(after(90_000, 4), undefined);
  for (const bad of [-1, Number.NaN, "1", null]) t.is(after(bad), 1_000);
});

test("an error names its delay as durations are written, and one that cannot be read leaves the backoff", (t) => {
  const delayOf = (after: unknown): number | undefined => {
    const error = new RetryAfterError("busy", after as string, { cause: "why" });
    t.like(error, { name: "RetryAfterError", code: "retry-after", retryable: true, cause: "why" });
    return retryDelayMs(never, { error, attempt: 1 }, noJitter);
  };
  t.is(delayOf("90s"), 90_000);
  t.is(delayOf({ minutes: 2 }), 120_000);
  t.is(delayOf(250), 250);
  for (const unreadable of [{ seconds: Number("") || Number.NaN }, "soon", Number.NaN, null])
    t.is(delayOf(unreadable), 1_000, describe(unreadable));
});

test("retryIf decides by the error and the attempt, and a rule that throws does not retry", (t) => {
  const asked: unknown[] = [];
  const ask = (retryIf: (error: unknown, attempt: number) => boolean): number | undefined =>
    retryDelayMs({ ...never, retryIf }, { error: "why", attempt: 2 }, noJitter);
  t.is(
    ask((...given) => asked.push(given) > 0),
    2_000,
  );
  t.deepEqual(asked, [["why", 2]]);
  t.is(
    ask(() => false),
    undefined,
  );
  t.is(
    ask(() => {
      throw new Error("no");
    }),
    undefined,
  );
});

function hostile(): object {
  return new Proxy(
    {},
    {
      get() {
        throw new Error("no");
      },
    },
  );
}
