/** Mutants of the language both sides speak: decisions, the fold, the adapters. */
import type { Mutant } from "./mutant.ts";

/** Each is shown by a scenario of test/holes. */
export const SHARED_MUTANTS: readonly Mutant[] = [
  {
    name: "spent-token-is-dropped",
    rule: "4",
    file: "shared/claim-decision.ts",
    find: `return "register";`,
    replace: `return "drop";`,
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
  {
    name: "takeovers-have-no-limit",
    rule: "9",
    file: "shared/claim-decision.ts",
    find: `state.takeovers >= takeoverLimit ? "pause" : "take-over"`,
    replace: `"take-over"`,
  },
  {
    name: "takes-over-itself",
    rule: "3",
    file: "shared/claim-decision.ts",
    find: `if (facts.isHeldHere) return "extend";`,
    replace: "",
  },
  {
    name: "empty-history-begins",
    rule: "7",
    file: "shared/claim-decision.ts",
    find: `return facts.isSurelyFirst ? "begin" : "claim";`,
    replace: `return "begin";`,
  },
  {
    name: "incarnations-are-not-told-apart",
    rule: "24",
    file: "shared/run-state.ts",
    find: "if (commit.startSequence !== state.startSequence) return state;",
    replace: "",
  },
  {
    name: "client-takes-any-end",
    rule: "24",
    file: "shared/run-results.ts",
    find: `if (last?.kind === "ended" && startSequence === this.#startSequence)`,
    replace: `if (last?.kind === "ended")`,
  },
  {
    name: "purge-has-no-bound",
    rule: "25",
    file: "shared/jetstream/admin.ts",
    find: "const request = { filter: subject, seq: before };",
    replace: "const request = { filter: subject };",
  },
  {
    name: "registration-is-not-compact",
    rule: "13",
    file: "shared/messages.ts",
    find: `return encodeCompact(body, "wait");`,
    replace: `return encode(body, "wait");`,
  },
  {
    name: "tokens-are-delivered-twice-at-most",
    rule: "10",
    file: "shared/jetstream/task-consumer.ts",
    find: "maxDeliver: -1,",
    replace: "maxDeliver: 2,",
  },
  {
    name: "consumer-delivers-only-new-tokens",
    rule: "10",
    file: "shared/jetstream/task-consumer.ts",
    find: `deliver: "all",`,
    replace: `deliver: "new",`,
  },
  {
    name: "consumer-limits-open-tokens",
    rule: "10",
    file: "shared/jetstream/task-consumer.ts",
    find: "maxAckPending: -1,",
    replace: "maxAckPending: 2,",
  },
  {
    name: "consumed-events-are-not-noted",
    rule: "21",
    file: "shared/run-state.ts",
    find: `if (outcome.kind === "event") state.consumedEvents.add(outcome.sequence);`,
    replace: "",
  },
  {
    name: "lost-events-are-not-told",
    rule: "23",
    file: "shared/explain.ts",
    find: "return isCut ?",
    replace: "return false ?",
  },
];
