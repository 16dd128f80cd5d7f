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
  {
    name: "active-run-drops-every-token",
    rule: "3",
    file: "shared/claim-decision.ts",
    find: `return state.takeovers >= takeoverLimit ? "pause" : "take-over";`,
    replace: `return "drop";`,
  },
  {
    name: "every-token-takes-over",
    rule: "3",
    file: "shared/claim-decision.ts",
    find: `if (state.token !== token.sequence) return "drop";`,
    replace: "",
  },
  {
    name: "spent-token-claims-again",
    rule: "4",
    file: "shared/claim-decision.ts",
    find: `return "register";`,
    replace: `return "claim";`,
  },
  {
    name: "token-claims-any-wait",
    rule: "2",
    file: "shared/claim-decision.ts",
    find: `if (state.token === token.sequence) return "register";
      return token.answers === state.waitSequence ? "claim" : "drop";`,
    replace: `if (state.token === token.sequence) return "register";
      return "claim";`,
  },
  {
    name: "short-history-is-believed",
    rule: "5",
    file: "shared/claim-decision.ts",
    find: `if (token.answers > state.tail) return facts.isFresh ? "drop" : "read-again";`,
    replace: `if (token.answers > state.tail) return "drop";`,
  },
];

/** @throws {Error} When there is none of this name. */
export function mutantCalled(name: string): Mutant {
  const mutant = MUTANTS.find((candidate) => candidate.name === name);
  if (!mutant) throw new Error(`There is no mutant "${name}".`);
  return mutant;
}
