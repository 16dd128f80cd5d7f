/** Thrown values as a history keeps them, and back. */
import type { Failure } from "./entries.ts";

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
    ...(cause !== undefined && depth < CAUSE_DEPTH ? { cause: toFailure(cause, depth + 1) } : {}),
  };
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
  return error;
}
