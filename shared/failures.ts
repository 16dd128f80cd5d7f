/** Thrown values as a history keeps them, and back. */
import type { Failure } from "./entries.ts";

/** Causes are kept this deep. */
const CAUSE_DEPTH = 8;

/** A thrown value as a history keeps it. Never throws, whatever the value is. */
export function toFailure(thrown: unknown, depth = 0): Failure {
  if (!(thrown instanceof Error)) return { name: "Error", message: show(thrown) };
  const code = "code" in thrown && typeof thrown.code === "string" ? thrown.code : undefined;
  const hasCause = thrown.cause !== undefined && depth < CAUSE_DEPTH;
  return {
    name: String(thrown.name),
    message: String(thrown.message),
    ...(typeof thrown.stack === "string" ? { stack: thrown.stack } : {}),
    ...(code === undefined ? {} : { code }),
    ...(hasCause ? { cause: toFailure(thrown.cause, depth + 1) } : {}),
  };
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

function show(thrown: unknown): string {
  try {
    return typeof thrown === "object" ? JSON.stringify(thrown) : String(thrown);
  } catch {
    return "a value that cannot be shown"; // a circle, or a toString that throws
  }
}
