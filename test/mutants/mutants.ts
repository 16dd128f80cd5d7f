/** All mutants. Their tests are the scenarios of test/holes, which show what each one breaks. */
import { ENGINE_MUTANTS } from "./engine-mutants.ts";
import type { Mutant } from "./mutant.ts";
import { SHARED_MUTANTS } from "./shared-mutants.ts";
import { WORKER_MUTANTS } from "./worker-mutants.ts";

/** Every mutant, by the part of the product it is in. */
export const MUTANTS: readonly Mutant[] = [...SHARED_MUTANTS, ...WORKER_MUTANTS, ...ENGINE_MUTANTS];

/** @throws {Error} When there is none of this name. */
export function mutantCalled(name: string): Mutant {
  const mutant = MUTANTS.find((candidate) => candidate.name === name);
  if (!mutant) throw new Error(`There is no mutant "${name}".`);
  return mutant;
}
