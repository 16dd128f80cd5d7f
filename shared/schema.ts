/** Checks values by a schema of any library that speaks Standard Schema v1 (zod, valibot, arktype). */
import type { StandardSchemaV1 } from "@standard-schema/spec";
import { describe } from "./describe.ts";
import { InvalidInputError } from "./errors.ts";

/** Issues of one value that an error message tells; the error's `issues` has all of them. */
const SHOWN_ISSUES = 10;

/**
 * A schema: what it accepts, and what it makes of that. The two differ where it has defaults,
 * coercions or transforms.
 */
export type Schema<Input = unknown, Output = Input> = StandardSchemaV1<Input, Output>;

/** One thing that is wrong with a value. */
export interface SchemaIssue {
  /** Where, from the outside in; empty for the value itself. */
  readonly path: readonly string[];
  readonly message: string;
}

/** Whether a value is a schema by Standard Schema v1. Some libraries' schemas are functions. */
export function isSchema(value: unknown): value is Schema {
  try {
    if (value === null || (typeof value !== "object" && typeof value !== "function")) return false;
    const standard = (value as Partial<Schema>)["~standard"];
    return standard?.version === 1 && typeof standard.validate === "function";
  } catch {
    return false; // a proxy that refuses to be read
  }
}

/**
 * What the schema makes of a value. A promise only when the schema answers with one, so that code
 * whose order counts need not wait for a schema that is synchronous.
 * @param what Names the value in the error, for instance `input of task "pack-item"`.
 * @throws {InvalidInputError} When the value does not fit; `issues` says where and why. Also when
 * the schema itself fails; `cause` holds what it threw.
 */
export function validateInput<Output>(
  schema: Schema<unknown, Output>,
  value: unknown,
  what: string,
): Output | Promise<Output> {
  let result: StandardSchemaV1.Result<Output> | Promise<StandardSchemaV1.Result<Output>>;
  try {
    result = schema["~standard"].validate(value);
  } catch (cause) {
    throw schemaFailed(what, cause);
  }
  if (!isPromise(result)) return outputOf(result, value, what);
  return Promise.resolve(result).then(
    (settled) => outputOf(settled, value, what),
    (cause: unknown) => {
      throw schemaFailed(what, cause);
    },
  );
}

function outputOf<Output>(
  result: StandardSchemaV1.Result<Output>,
  value: unknown,
  what: string,
): Output {
  if (typeof result !== "object" || result === null)
    throw schemaFailed(what, new TypeError(`It returned ${describe(result)}.`));
  if (!result.issues) return result.value;
  const issues = result.issues.map(
    ({ message, path = [] }): SchemaIssue => ({
      message,
      path: path.map((part) => String(typeof part === "object" ? part.key : part)),
    }),
  );
  const shown = issues
    .slice(0, SHOWN_ISSUES)
    .map(({ path, message }) => (path.length > 0 ? `${path.join(".")}: ${message}` : message));
  const more =
    issues.length > SHOWN_ISSUES ? [`and ${issues.length - SHOWN_ISSUES} more problems`] : [];
  throw new InvalidInputError(
    `The ${what} does not fit its schema: ${[...shown, ...more].join("; ")}. Got ${describe(value)}.`,
    { issues, value },
  );
}

function schemaFailed(what: string, cause: unknown): InvalidInputError {
  return new InvalidInputError(
    `The ${what} could not be checked: its schema failed. A schema must return its issues, not throw.`,
    { cause },
  );
}

function isPromise<T>(value: T | Promise<T>): value is Promise<T> {
  return (
    typeof value === "object" &&
    value !== null &&
    "then" in value &&
    typeof value.then === "function"
  );
}
