/** Mutants of the engine: registry, cancels, tokens. */
import type { Mutant } from "./mutant.ts";

/** Each is shown by a scenario of test/holes. */
export const ENGINE_MUTANTS: readonly Mutant[] = [
  {
    name: "look-back-believes-any-replica",
    rule: "15",
    file: "engine/last-reads.ts",
    find: "const isFresh = upToSequence >= question.atLeast || question.atLeast === 0;",
    replace: "const isFresh = true;",
  },
  {
    name: "engine-follows-registrations-from-now",
    rule: "15",
    file: "engine/term.ts",
    find: `from: "last-per-subject",
            onMessage: (message) => this.#record(`,
    replace: `from: this.#ends.shards[shard] + 1,
            onMessage: (message) => this.#record(`,
  },
  {
    name: "unreadable-registration-hides-the-one-before",
    rule: "15",
    file: "engine/waits.ts",
    find: "void this.#lookBehind(message);",
    replace: "",
  },
  {
    name: "cancel-waits-for-a-registration",
    rule: "17",
    file: "engine/cancels.ts",
    find: `this.#open.set(prefix, cancel);
            void this.#look(cancel);`,
    replace: "this.#open.set(prefix, cancel);",
  },
  {
    name: "cancel-of-an-active-run-is-forgotten",
    rule: "17",
    file: "engine/cancels.ts",
    find: "if (isAtWork) return false;",
    replace: "if (isAtWork) return true;",
  },
  {
    name: "tokens-are-rolled-up",
    rule: "10",
    file: "engine/tokens.ts",
    find: "expect: waitSequence,",
    replace: `headers: [["Nats-Rollup", "sub"]], expect: waitSequence,`,
  },
  {
    name: "live-event-wins-against-the-look-back",
    rule: "15",
    file: "engine/conditions.ts",
    find: `if (this.#later === undefined) this.#found ??= [];
        const candidates = this.#later ?? this.#found;`,
    replace: `this.#found ??= [];
        const candidates = this.#found;
        this.wait.isArmed = true;`,
  },
  {
    name: "engine-believes-another-events-stream",
    rule: "23",
    file: "engine/waits.ts",
    find: "if (this.#countsOtherEvents(wait)) {",
    replace: "if (false) {",
  },
  {
    name: "retention-has-no-bound",
    rule: "25",
    file: "engine/retention.ts",
    find: "before: upTo + 1",
    replace: "before: Number.MAX_SAFE_INTEGER",
  },
  {
    name: "any-end-counts",
    rule: "24",
    file: "engine/retention-decision.ts",
    find: `if (startSequence !== undefined && startSequence !== tail.startSequence)
        return "keep";`,
    replace: "",
  },
  {
    name: "failed-end-is-not-retired",
    rule: "29",
    file: "engine/retention-decision.ts",
    find: `return last.outcome.status === "failed" ? "retire" : "purge";`,
    replace: `return "purge";`,
  },
  {
    name: "retry-before-retiring-is-forgotten",
    rule: "29",
    file: "engine/retention.ts",
    find: `if (isReopened(last.end, tokens))
            return false;`,
    replace: "",
  },
  {
    name: "children-go-before-their-parents",
    rule: "26",
    file: "engine/retention-decision.ts",
    find: `if (hasParent)
        return "parent";`,
    replace: "",
  },
  {
    name: "every-end-of-a-child-is-a-wake-up",
    rule: "19",
    file: "engine/wake-pace.ts",
    find: "return Math.min(onePassMs * patience, longestMs);",
    replace: "return 0;",
  },
];
