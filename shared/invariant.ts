import { InvariantError } from "./errors.ts";

/**
 * States what must hold here.
 * @throws {InvariantError} When it does not: a bug in Contrail.
 */
export function invariant(condition: unknown, statement: string): asserts condition {
  if (!condition) throw new InvariantError(`Broken invariant: ${statement}.`);
}
