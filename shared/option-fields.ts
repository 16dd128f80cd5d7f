/** Refuses options that do not exist: a misspelled one would be ignored in silence. */
import { describe } from "./describe.ts";
import { InvalidInputError } from "./errors.ts";

/**
 * Checks that a value is an object with no other fields than these.
 * @param what Names the value in the error, for instance `retries of task "pack-item"`.
 * @throws {InvalidInputError} When it is not.
 */
export function checkFields(
  value: unknown,
  what: string,
  fields: readonly string[],
): asserts value is object {
  const expected = fields.join(", ");
  const refuse = (problem: string, help: string): InvalidInputError =>
    new InvalidInputError(`The ${what} ${problem}. ${help}.`, { value });
  const found = fieldsOf(value);
  if (found === undefined)
    throw refuse(`is ${describe(value)}`, `Expected an object with ${expected}`);
  const unknown = found.find((field) => !fields.includes(field));
  if (unknown !== undefined)
    throw refuse(`has an unknown option ${describe(unknown)}`, `Expected ${expected}`);
}

/**
 * Checks a text that people will read, such as a reason.
 * @param what Names it in the error: "reason".
 * @throws {InvalidInputError} When it is no text.
 */
export function checkText(value: unknown, what: string): void {
  if (typeof value === "string") return;
  throw new InvalidInputError(`The ${what} is ${describe(value)}. Expected a text.`, { value });
}

/** The fields of an object, or undefined when the value is none, or is a list, or cannot be read. */
function fieldsOf(value: unknown): string[] | undefined {
  try {
    if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
    return Object.keys(value);
  } catch {
    return undefined; // a proxy
  }
}
