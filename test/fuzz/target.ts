/** What is fuzzed: one decoder or parser, how its inputs are made, and what has to hold for each. */
import type { ContrailError } from "../../shared/errors.ts";
import type { Random } from "../chaos/random.ts";

/** One decoder or parser, or several that always go together. */
export interface Target {
  /** As on the command line: `<part>/<decoder>`. */
  readonly name: string;
  /** The exports that it fuzzes, as `<file> <name>`; held against the source by a test. */
  readonly covers: readonly string[];
  /** Makes one input. It is a function of the random numbers alone. */
  make(random: Random): unknown;
  /** Throws, or rejects, when something does not hold. */
  check(input: never): unknown;
}

/** Declares a target whose check gets what it makes. */
export function target<Input>(declared: {
  readonly name: string;
  readonly covers: readonly string[];
  make(random: Random): Input;
  check(input: Input): unknown;
}): Target {
  return declared as unknown as Target;
}

/** In place of a value, for what was refused as it may be. */
export const REFUSED: unique symbol = Symbol("refused");

type ErrorClass = abstract new (...args: never[]) => Error;

/**
 * What an action comes to, or that it was refused with one of these errors. Any other error is a
 * finding, and so is one without a sentence.
 */
export function attempt<T>(
  action: () => T,
  ...classes: readonly (ErrorClass | typeof ContrailError)[]
): T | typeof REFUSED {
  try {
    return action();
  } catch (error) {
    if (!classes.some((each) => error instanceof each)) throw error;
    if ((error as Error).message === "") throw new Finding("an error says nothing");
    return REFUSED;
  }
}

/** Something that has to hold does not. */
export class Finding extends Error {
  override readonly name = "Finding";
}

/** Says that something does not hold. */
export function hold(isSo: boolean, what: string): void {
  if (!isSo) throw new Finding(what);
}
