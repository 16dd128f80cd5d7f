/** The error with which user code says when it is worth trying again. */
import { type DurationInput, toDurationMs } from "./durations.ts";
import { ContrailError, type ErrorDetails } from "./errors.ts";

/** Thrown by user code: try again, but not before this time has passed. */
export class RetryAfterError extends ContrailError {
  readonly code = "retry-after";
  readonly retryable = true;
  /** Milliseconds; not a number when what was given is no length of time. */
  readonly retryAfterMs: number;

  /**
   * @param after Takes the place of the backoff, up to 100 years: a duration, or a number of
   * milliseconds. Where it is none, for instance because a header could not be read, the backoff
   * holds: the error tells of a failure, and must not become another one.
   * @example
   * throw new RetryAfterError("The provider is busy.", { seconds: Number(headers["retry-after"]) });
   */
  constructor(message: string, after: DurationInput | number, details: ErrorDetails = {}) {
    super(message, details);
    this.retryAfterMs = typeof after === "number" ? after : toMs(after);
  }
}

function toMs(after: DurationInput): number {
  try {
    return toDurationMs(after, "delay of a RetryAfterError");
  } catch {
    return Number.NaN; // the failure that it was thrown for counts for more
  }
}
