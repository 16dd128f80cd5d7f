/** When a failed attempt is tried again: the rule as users write it, and its arithmetic. */
import { describe } from "./describe.ts";
import { type DurationInput, LONGEST_DURATION_MS, toDurationMs } from "./durations.ts";
import { InvalidInputError } from "./errors.ts";
import type { RandomSource } from "./ids.ts";
import { checkFields } from "./option-fields.ts";

/** How long to wait between attempts. */
export interface BackoffOptions {
  /**
   * Wait after the first failure.
   * @defaultValue `"1s"`
   */
  readonly initial?: DurationInput;
  /**
   * Each wait is this many times the one before. From 1 to 100; 1 keeps it constant.
   * @defaultValue 2
   */
  readonly factor?: number;
  /**
   * No wait is longer. Not shorter than `initial`.
   * @defaultValue `"1m"`, or `initial` if that is longer
   */
  readonly max?: DurationInput;
  /**
   * Up to this share of each wait is taken off at random, so that what failed together is not tried
   * again together. From 0 to 1.
   * @defaultValue 0.2
   */
  readonly jitter?: number;
}

/** What to do when an attempt fails. */
export interface RetryOptions {
  /**
   * How many more attempts follow the first one. 0 tries once, `Infinity` never gives up.
   * @defaultValue 3
   */
  readonly limit?: number;
  readonly backoff?: BackoffOptions;
  /**
   * Whether this error is worth another attempt; asked after each one that failed, in the process
   * that saw it fail. When it throws, there is no other attempt.
   */
  readonly retryIf?: (error: unknown, attempt: number) => boolean;
}

/** The rule in numbers. */
export interface RetryPolicy {
  /** Attempts after the first: a whole number, or Infinity. */
  readonly limit: number;
  readonly initialMs: number;
  readonly factor: number;
  readonly maxMs: number;
  readonly jitter: number;
  readonly retryIf?: (error: unknown, attempt: number) => boolean;
}

/** Three more attempts about 1, 2 and 4 seconds apart. Endless ones would hide what never succeeds. */
export const DEFAULT_RETRIES: RetryPolicy = {
  limit: 3,
  initialMs: 1_000,
  factor: 2,
  maxMs: 60_000,
  jitter: 0.2,
};

/** The largest growth from one wait to the next. */
const LARGEST_FACTOR = 100;

/**
 * The rule in numbers; what is not given is as in `defaults`.
 * @param what Names the option in the error, for instance `retries of task "pack-item"`.
 * @throws {InvalidInputError} When a part of it cannot be used.
 */
export function normalizeRetries(
  options: RetryOptions | number | undefined,
  what: string,
  defaults: RetryPolicy = DEFAULT_RETRIES,
): RetryPolicy {
  if (options === undefined) return defaults;
  if (typeof options === "number") return { ...defaults, limit: checkLimit(options, what) };
  checkFields(options, what, ["limit", "backoff", "retryIf"]);
  const { limit = defaults.limit, backoff = {}, retryIf = defaults.retryIf } = options;
  if (retryIf !== undefined && typeof retryIf !== "function")
    throw refuse(`retryIf of the ${what}`, retryIf, "a function (error, attempt) => boolean");
  return {
    limit: checkLimit(limit, what),
    ...normalizeBackoff(backoff, what, defaults),
    ...(retryIf === undefined ? {} : { retryIf }),
  };
}

function normalizeBackoff(
  backoff: BackoffOptions,
  what: string,
  defaults: RetryPolicy,
): Omit<RetryPolicy, "limit" | "retryIf"> {
  checkFields(backoff, `backoff of the ${what}`, ["initial", "factor", "max", "jitter"]);
  const { factor = defaults.factor, jitter = defaults.jitter } = backoff;
  if (!(typeof factor === "number" && factor >= 1 && factor <= LARGEST_FACTOR))
    throw refuse(`backoff factor of the ${what}`, factor, `a number from 1 to ${LARGEST_FACTOR}`);
  if (!(typeof jitter === "number" && jitter >= 0 && jitter <= 1))
    throw refuse(`backoff jitter of the ${what}`, jitter, "a number from 0 to 1");
  const { initialMs, maxMs } = backoffBounds(backoff, what, defaults);
  return { initialMs, factor, maxMs, jitter };
}

function backoffBounds(
  { initial, max }: BackoffOptions,
  what: string,
  defaults: RetryPolicy,
): { readonly initialMs: number; readonly maxMs: number } {
  const givenMs =
    initial === undefined ? undefined : toDurationMs(initial, `initial backoff of the ${what}`);
  if (max === undefined) {
    const initialMs = givenMs ?? defaults.initialMs;
    return { initialMs, maxMs: Math.max(defaults.maxMs, initialMs) };
  }
  const maxMs = toDurationMs(max, `longest backoff of the ${what}`);
  if (givenMs !== undefined && givenMs > maxMs)
    throw refuse(`longest backoff of the ${what}`, max, "not less than the initial backoff");
  return { initialMs: givenMs ?? Math.min(defaults.initialMs, maxMs), maxMs };
}

/**
 * How long to wait before the next attempt, in milliseconds, or undefined when there is none.
 * @param attempt The attempt that failed, from 1.
 * @param random Takes the jitter off. It is asked once per wait.
 */
export function nextDelayMs(
  policy: RetryPolicy,
  attempt: number,
  random: RandomSource,
): number | undefined {
  if (attempt > policy.limit) return undefined;
  // bounded, because zero times infinity would be no number
  const growth = Math.min(policy.factor ** (attempt - 1), Number.MAX_VALUE);
  const wholeMs = Math.min(policy.initialMs * growth, policy.maxMs);
  return Math.round(wholeMs * (1 - policy.jitter * random()));
}

/** An attempt that failed. */
export interface FailedAttempt {
  readonly error: unknown;
  /** Its number, from 1. */
  readonly attempt: number;
}

/**
 * The same, with a look at the error. One whose `retryable` is false is not tried again, nor is one
 * that `retryIf` refuses. One that carries `retryAfterMs` is tried again after that time, whatever
 * the backoff says, but not more often than the limit.
 */
export function retryDelayMs(
  policy: RetryPolicy,
  { error, attempt }: FailedAttempt,
  random: RandomSource,
): number | undefined {
  const delayMs = nextDelayMs(policy, attempt, random);
  if (delayMs === undefined || readField(error, "retryable") === false) return undefined;
  if (!isWorthRetrying(policy, error, attempt)) return undefined;
  const afterMs = readField(error, "retryAfterMs");
  if (typeof afterMs !== "number" || !(afterMs >= 0)) return delayMs;
  return Math.min(Math.ceil(afterMs), LONGEST_DURATION_MS);
}

function isWorthRetrying(policy: RetryPolicy, error: unknown, attempt: number): boolean {
  try {
    return policy.retryIf === undefined || Boolean(policy.retryIf(error, attempt));
  } catch {
    return false; // documented: a rule that fails does not retry
  }
}

/** A field of a thrown value, which may be anything. */
function readField(error: unknown, field: string): unknown {
  try {
    return (error as { readonly [field: string]: unknown } | null | undefined)?.[field];
  } catch {
    return undefined; // a proxy that refuses to be read says nothing
  }
}

function checkLimit(limit: unknown, what: string): number {
  if (limit === Number.POSITIVE_INFINITY) return limit;
  if (typeof limit === "number" && Number.isSafeInteger(limit) && limit >= 0) return limit;
  throw refuse(`limit of the ${what}`, limit, "a whole number from 0, or Infinity");
}

function refuse(what: string, value: unknown, expected: string): InvalidInputError {
  return new InvalidInputError(`The ${what} is ${describe(value)}. Expected ${expected}.`, {
    value,
  });
}
