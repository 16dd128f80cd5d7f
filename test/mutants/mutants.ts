/** All mutants. Their tests are the scenarios of test/holes, which show what each one breaks. */
import type { Mutant } from "./mutant.ts";

/** Every mutant, by the part of the product it is in. */
export const MUTANTS: readonly Mutant[] = [
  {
    name: "spent-token-is-dropped",
    rule: "4",
    file: "shared/claim-decision.ts",
    find: `return "register";`,
    replace: `return "drop";`,
  },
  {
    name: "acknowledges-before-registering",
    rule: "5",
    file: "worker/durable-pass.ts",
    find: `const point = services.failpoint("before-registration");`,
    replace: `this.#run.token.ack();
        const point = services.failpoint("before-registration");`,
  },
];

/** @throws {Error} When there is none of this name. */
export function mutantCalled(name: string): Mutant {
  const mutant = MUTANTS.find((candidate) => candidate.name === name);
  if (!mutant) throw new Error(`There is no mutant "${name}".`);
  return mutant;
}
