/** Thrown values as a history keeps them, and back. */
import type { Failure } from "./entries.ts";
import { LimitExceededError, type LimitName } from "./errors.ts";

/** Causes are kept this deep. */
const CAUSE_DEPTH = 8;

/** A thrown value as a history keeps it. Never throws, whatever the value is. */
export function toFailure(thrown: unknown, depth = 0): Failure {
  try {
    return thrown instanceof Error ? ofError(thrown, depth) : ofValue(thrown);
  } catch {
    return { name: "Error", message: UNSHOWABLE }; // a proxy or a getter that throws
  }
}

/** What is told of a value that cannot be looked at, such as a circle, or a toString that throws. */
const UNSHOWABLE = "a value that cannot be shown";

function ofError(error: Error, depth: number): Failure {
  const { name, message, stack, cause, code } = error as Error & { readonly code?: unknown };
  return {
    name: text(name),
    message: text(message),
    ...(typeof stack === "string" ? { stack } : {}),
    ...(typeof code === "string" ? { code } : {}),
    ...(code === "limit-exceeded" ? exceededBy(error as Partial<LimitExceededError>) : {}),
    ...(cause !== undefined && depth < CAUSE_DEPTH ? { cause: toFailure(cause, depth + 1) } : {}),
  };
}

/** Also of an error that was recorded before, and of one that another copy of the package made. */
function exceededBy(error: Partial<LimitExceededError>): Pick<Failure, "exceeded"> {
  const { limitName, limit, actual } = error;
  if (typeof limitName !== "string" || typeof limit !== "number") return {};
  return { exceeded: { limitName, limit, ...(typeof actual === "number" ? { actual } : {}) } };
}

function ofValue(thrown: unknown): Failure {
  const shown =
    typeof thrown === "object" ? (JSON.stringify(thrown) as string | undefined) : thrown;
  return { name: "Error", message: text(shown) };
}

function text(value: unknown): string {
  try {
    return String(value);
  } catch {
    return UNSHOWABLE;
  }
}

/** A recorded failure as an error again, with its name, stack and causes; not of its class. */
export function fromFailure(failure: Failure): Error {
  const error = new Error(
    failure.message,
    failure.cause ? { cause: fromFailure(failure.cause) } : undefined,
  );
  error.name = failure.name;
  if (failure.stack !== undefined) error.stack = failure.stack;
  if (failure.code !== undefined) Object.assign(error, { code: failure.code });
  return Object.assign(error, failure.exceeded);
}

/** A recorded failure to keep a limit as the error it was; nothing of any other failure. */
export function toLimitExceeded(failure: Failure): LimitExceededError | undefined {
  if (failure.code !== "limit-exceeded") return undefined;
  // Histories of earlier versions say only that there was a limit.
  const { limitName = "message-bytes", limit = 0, actual } = failure.exceeded ?? {};
  return new LimitExceededError(failure.message, {
    limitName: limitName as LimitName,
    limit,
    ...(actual === undefined ? {} : { actual }),
    cause: fromFailure(failure),
  });
}
