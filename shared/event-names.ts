/**
 * Names of events and patterns over them, by the rules of NATS subjects: tokens with dots between.
 * What NATS itself would refuse or understand differently is refused here, with the reason.
 */
import { describe } from "./describe.ts";
import { InvalidInputError } from "./errors.ts";

/** Bytes of the name of an event in UTF-8. */
export const EVENT_NAME_BYTES = 200;

const utf8 = new TextEncoder();

/**
 * Refuses a name under which no event can be published.
 * @throws {InvalidInputError} When it is empty, longer than 200 bytes, has an empty token, a space, a
 * control character or a wildcard.
 */
export function checkEventName(name: unknown): asserts name is string {
  const problem = problemOf(name) ?? wildcardProblem(name as string);
  if (problem !== undefined) throw refuse("event name", name, problem);
}

/**
 * Refuses a pattern that can match no name: `*` stands for any one token, `>` as the last token for
 * one or more.
 * @throws {InvalidInputError} When it is not built of such tokens.
 */
export function checkEventPattern(pattern: unknown): asserts pattern is string {
  const problem = problemOf(pattern) ?? misplacedWildcard(pattern as string);
  if (problem !== undefined) throw refuse("event name", pattern, problem);
}

/** Whether a pattern covers a name. Both are taken to be checked. */
export function matchesName(pattern: string, name: string): boolean {
  if (pattern === name) return true;
  const expected = pattern.split(".");
  const tokens = name.split(".");
  const isOpen = expected.at(-1) === ">";
  if (isOpen ? tokens.length < expected.length : tokens.length !== expected.length) return false;
  return expected.every(
    (token, index) => token === "*" || token === tokens[index] || (token === ">" && isOpen),
  );
}

function problemOf(name: unknown): string | undefined {
  if (typeof name !== "string") return "is not a text";
  if (name === "") return "is empty";
  if (name.length > EVENT_NAME_BYTES || utf8.encode(name).length > EVENT_NAME_BYTES)
    return `is longer than ${EVENT_NAME_BYTES} bytes`;
  if (/[\s\p{Cc}]/u.test(name)) return "has a space or a control character";
  if (/\p{Surrogate}/u.test(name)) return "has half of a surrogate pair";
  if (name.split(".").includes("")) return "has an empty token: a dot at an end, or two in a row";
  return undefined;
}

function wildcardProblem(name: string): string | undefined {
  return /[*>]/.test(name) ? "has a wildcard, and an event has one name" : undefined;
}

function misplacedWildcard(pattern: string): string | undefined {
  const tokens = pattern.split(".");
  if (tokens.slice(0, -1).includes(">")) return 'has ">" before its end';
  if (tokens.some((token) => token.length > 1 && /[*>]/.test(token)))
    return "has a wildcard inside a token: a wildcard stands for a whole one";
  return undefined;
}

function refuse(what: string, name: unknown, problem: string): InvalidInputError {
  return new InvalidInputError(
    `The ${what} ${describe(name)} ${problem}. Expected 1 to ${EVENT_NAME_BYTES} bytes, tokens with dots between as in "order.paid"; where events are waited for, "*" may stand for any one token and ">" for the rest.`,
    { value: name },
  );
}
