/**
 * Every error a user can meet. Three kinds are never mixed: operating errors are thrown to the
 * caller, user failures are recorded in a history, broken invariants end a pass and are loud.
 */

/** What the constructor of every Contrail error takes besides its message. */
export interface ErrorDetails {
  readonly cause?: unknown;
  /** The task, run and other names the message speaks of, for programs. */
  readonly [field: string]: unknown;
}

/**
 * The base class of all errors thrown by Contrail. `code` is stable between versions; the message
 * is for people and says what happened, to what, what was expected and what to do.
 */
export abstract class ContrailError extends Error {
  /** Stable kebab-case name of this kind of error. The documentation has the table of all codes. */
  abstract readonly code: string;
  /** Whether the same call may succeed later without any change. */
  abstract readonly retryable: boolean;

  constructor(message: string, details: ErrorDetails = {}) {
    const { cause, ...fields } = details;
    super(message, cause === undefined ? undefined : { cause });
    this.name = new.target.name;
    Object.assign(this, fields);
  }
}

/** An argument, option, name, duration, filter or payload that cannot be used. Names the value. */
export class InvalidInputError extends ContrailError {
  readonly code = "invalid-input";
  readonly retryable = false;
}

/** The limits that an error names. The documentation has the table of all of them. */
export type LimitName =
  | "children-per-run"
  | "condition-depth"
  | "condition-parts"
  | "heartbeat-bytes"
  | "history-length"
  | "message-bytes"
  | "subject-bytes"
  | "subjects-per-read"
  | "value-bytes"
  | "waits-per-run";

/** What is known of a limit that does not hold. */
export interface LimitDetails extends ErrorDetails {
  readonly limitName: LimitName;
  /** In the limit's unit, as `actual`. */
  readonly limit: number;
  /** Absent where nobody has counted to the end. */
  readonly actual?: number;
}

/** Something that does not fit a named limit. */
export class LimitExceededError extends ContrailError {
  readonly code = "limit-exceeded";
  readonly retryable = false;
  readonly limitName: LimitName;
  readonly limit: number;
  readonly actual: number | undefined;

  constructor(message: string, details: LimitDetails) {
    const { limitName, limit, actual, ...rest } = details;
    super(message, rest);
    this.limitName = limitName;
    this.limit = limit;
    this.actual = actual;
  }
}

/** A stored message or payload that cannot be decoded. Says where it is stored and why. */
export class UndecodableError extends ContrailError {
  readonly code = "undecodable";
  readonly retryable = false;
}

/** A large value that a history refers to is not in the object store any more. */
export class PayloadMissingError extends ContrailError {
  readonly code = "payload-missing";
  readonly retryable = false;
}

/** The id is taken by a run that was started with another input, or by another parent. */
export class RunConflictError extends ContrailError {
  readonly code = "run-conflict";
  readonly retryable = false;
}

/** There is no such run: it was never started, or it was purged after its keep time. */
export class RunNotFoundError extends ContrailError {
  readonly code = "run-not-found";
  readonly retryable = false;
}

/** A run cannot be resumed, retried, skipped or forked like that; `status` is what it was then. */
export class RepairRefusedError extends ContrailError {
  readonly code = "repair-refused";
  readonly retryable = false;
}

/** The run failed; `cause` holds what its task threw. */
export class RunFailedError extends ContrailError {
  readonly code = "run-failed";
  readonly retryable = false;
}

/** The run was canceled; also what a canceled run's own pending awaits throw. */
export class RunCanceledError extends ContrailError {
  readonly code = "run-canceled";
  readonly retryable = false;
}

/** Every attempt of a step failed; `cause` holds the last failure. */
export class StepFailedError extends ContrailError {
  readonly code = "step-failed";
  readonly retryable = false;
}

/** Thrown by user code: trying again would not help. The attempt is the last one. */
export class NonRetryableError extends ContrailError {
  readonly code = "non-retryable";
  readonly retryable = false;
}

/** A run failed, and steps of it could not be undone; `cause` holds why the run failed. */
export class UndoFailedError extends ContrailError {
  readonly code = "undo-failed";
  readonly retryable = false;
}

/** A step, an attempt or a run took longer than its time limit. */
export class TimeoutError extends ContrailError {
  readonly code = "timeout";
  readonly retryable = true;
}

/** The server could not be reached, or did not answer in time; the outcome of a write is unknown. */
export class UnavailableError extends ContrailError {
  readonly code = "unavailable";
  readonly retryable = true;
}

/** The server forbids something to the user of the connection; `subject` is what it is about. */
export class NotPermittedError extends ContrailError {
  readonly code = "not-permitted";
  readonly retryable = false;
}

/** The server, a stream, a consumer or a bucket is not as Contrail needs it. Names the field. */
export class IncompatibleSetupError extends ContrailError {
  readonly code = "incompatible-setup";
  readonly retryable = false;
}

/** Something that cannot happen has happened: a bug in Contrail. The history is left untouched. */
export class InvariantError extends ContrailError {
  readonly code = "invariant";
  readonly retryable = false;
}
