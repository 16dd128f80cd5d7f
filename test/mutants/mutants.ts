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
    file: "worker/suspension.ts",
    find: `const point = services.failpoint("before-registration");`,
    replace: `run.token.ack();
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
  {
    name: "purge-is-believed-of-any-replica",
    rule: "5",
    file: "worker/run-reader.ts",
    find: "{ leader: mustBeFresh }",
    replace: "{ leader: false }",
  },
  {
    name: "extends-without-looking",
    rule: "8",
    file: "worker/held-runs.ts",
    find: "for (const run of await this.#look(old)) {",
    replace: "for (const run of old) {",
  },
  {
    name: "loser-reads-again-and-goes-on",
    rule: "6",
    file: "worker/committer.ts",
    find: `if (outcome.kind === "guard") return isUncertain ? this.#mineBehind(guard) : undefined;`,
    replace: `if (outcome.kind === "guard") {
                const { reader, stream } = this.#options;
                const last = await reader.lastFor(stream, history, { leader: true });
                state.tail = last.sequence;
                return this.#append(body, headers);
            }`,
  },
  {
    name: "loser-acknowledges",
    rule: "6",
    file: "worker/claims.ts",
    find: `if (end === "lost") run.leave();`,
    replace: `if (end === "lost") run.acknowledge();`,
  },
  {
    name: "refusal-after-silence-is-a-loss",
    rule: "6",
    file: "worker/committer.ts",
    find: "return isUncertain ? this.#mineBehind(guard) : undefined;",
    replace: "return undefined;",
  },
  {
    name: "silence-is-answered-with-a-new-guard",
    rule: "6",
    file: "worker/committer.ts",
    find: "return isUncertain ? this.#mineBehind(guard) : undefined;",
    replace: `{
                const { reader, stream } = this.#options;
                state.tail = (await reader.lastFor(stream, history, { leader: true })).sequence;
                return this.#append(body, headers);
            }`,
  },
  {
    name: "silence-is-a-failure",
    rule: "6",
    file: "worker/committer.ts",
    find: `deadlineMs: RETRY_MS,
            });`,
    replace: `deadlineMs: 0,
            });
            if (outcome.kind === "unknown") return undefined;`,
  },
  {
    name: "commits-are-not-guarded",
    rule: "A1",
    file: "worker/committer.ts",
    find: "await publisher.guardedPublish(history, body, {",
    replace: "await publisher.publish(history, body, headers, {",
  },
  {
    name: "fencing-token-stays-the-same",
    rule: "8",
    file: "worker/pass-run.ts",
    find: 'fencingToken: String(this.state.tail).padStart(16, "0"),',
    replace: 'fencingToken: String(this.state.startSequence).padStart(16, "0"),',
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
    name: "loser-takes-the-winners-hold",
    rule: "H3",
    file: "worker/held-runs.ts",
    find: "this.#held.set(run.history, others ? [...others, run] : [run]);",
    replace: "this.#held.set(run.history, [run]);",
  },
  {
    name: "takes-over-from-the-living",
    rule: "6",
    file: "worker/claims.ts",
    find: "hasLost = true;",
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
    name: "first-delivery-begins-however-late",
    rule: "7",
    file: "worker/token-reader.ts",
    find: "return token.deliveryCount === 1 && ageMs < claimTimeoutMs / 2;",
    replace: "return token.deliveryCount === 1;",
  },
  {
    name: "first-delivery-begins-without-a-look",
    rule: "7",
    file: "worker/token-reader.ts",
    find: "if (!lasts.has(history) && !mustBeFresh) {",
    replace: "if (token.deliveryCount === 1 && !mustBeFresh) {",
  },
  {
    name: "timer-registers-unguarded",
    rule: "12",
    file: "worker/registration.ts",
    find: "...guard,",
    replace: `...guard,
            ...(kind === "timer" ? { expect: 0, expectSubject: place.prefix + ".none" } : {}),`,
  },
  {
    name: "wait-registers-unguarded",
    rule: "12",
    file: "worker/registration.ts",
    find: "...guard,",
    replace: `...guard,
            ...(kind === "wait" ? { expect: 0, expectSubject: place.prefix + ".none" } : {}),`,
  },
  {
    name: "claimer-goes-by-its-own-clock",
    rule: "14",
    file: "worker/claims.ts",
    find: "const now = Math.max(run.serverClock.earliest(), read.token.timeMs + sinceMs);",
    replace: "const now = run.serverClock.earliest();",
  },
  {
    name: "early-token-claims-at-once",
    rule: "14",
    file: "worker/claims.ts",
    find: "if (restMs <= 0) return slot;",
    replace: "return slot;",
  },
  {
    name: "early-token-is-dropped",
    rule: "14",
    file: "worker/claims.ts",
    find: "if (!granted) return token.nak();",
    replace: "if (!granted) return token.ack();",
  },
  {
    name: "early-token-waits-for-a-slot",
    rule: "14",
    file: "worker/claims.ts",
    find: "return run.task.pool.tryAcquire(run.address, this.#services.clock.now());",
    replace: "return run.task.pool.acquire(run.address, () => this.#services.clock.now());",
  },
  {
    name: "early-token-holds-its-slot",
    rule: "14",
    file: "worker/claims.ts",
    find: `if (restMs <= 0) return slot;
        slot.release();`,
    replace: `for (; restMs > 0; restMs = this.#restMs(run, dueAt)) await pause(this.#services, restMs);
        return slot;`,
  },
  {
    name: "early-token-trusts-its-timer",
    rule: "14",
    file: "worker/claims.ts",
    find: "for (; restMs > 0; restMs = this.#restMs(run, dueAt)) await pause(this.#services, restMs);",
    replace: "await pause(this.#services, restMs);",
  },
  {
    name: "incarnations-are-not-told-apart",
    rule: "24",
    file: "shared/run-state.ts",
    find: "if (commit.startSequence !== state.startSequence || state.outcome) return state;",
    replace: "if (state.outcome) return state;",
  },
  {
    name: "client-takes-any-end",
    rule: "24",
    file: "shared/run-results.ts",
    find: `if (last?.kind === "ended" && startSequence === this.#startSequence)`,
    replace: `if (last?.kind === "ended")`,
  },
  {
    name: "purged-start-is-claimed",
    rule: "5",
    file: "worker/token-reader.ts",
    find: "return last?.sequence === streamSequence;",
    replace: "return true;",
  },
  {
    name: "purge-has-no-bound",
    rule: "25",
    file: "shared/jetstream/admin.ts",
    find: "const request = { filter: subject, seq: before };",
    replace: "const request = { filter: subject };",
  },
  {
    name: "purged-run-looks-stale",
    rule: "5",
    file: "worker/claims.ts",
    find: "if (!isThere && isFresh) return token.ack();",
    replace: "",
  },
  {
    name: "taken-child-id-is-accepted",
    rule: "26",
    file: "worker/children.ts",
    find: "if (start?.parent && isSame(start.parent, reference)) return;",
    replace: "if (start) return;",
  },
  {
    name: "replay-starts-children-again",
    rule: "26",
    file: "worker/execution.ts",
    find: "!this.cursor.isRecorded(key)",
    replace: `(!this.cursor.isRecorded(key) || key.startsWith("w"))`,
  },
  {
    name: "group-is-registered-by-names",
    rule: "13",
    file: "worker/registration.ts",
    find: "watched.push({ key: wait.key, leaf, condition, recorded: recordedRanges(wait, leaf) });",
    replace: `watched.push({ key: wait.key, leaf, condition: { ...condition,
        names: Array.from({ length: condition.count }, (_, i) => String(Math.sin(i + 1))) },
        recorded: recordedRanges(wait, leaf) });`,
  },
  {
    name: "registration-is-not-compact",
    rule: "13",
    file: "shared/messages.ts",
    find: `return encodeCompact(body, "wait");`,
    replace: `return encode(body, "wait");`,
  },
  {
    name: "registration-is-not-measured",
    rule: "13",
    file: "worker/registration.ts",
    find: "if (actual <= limit) return undefined;",
    replace: "return undefined;",
  },
  {
    name: "wait-too-large-to-store-suspends",
    rule: "Z1",
    file: "worker/pass-operations.ts",
    find: "if (isLarge(condition)) {",
    replace: "if (false) {",
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
    name: "slots-are-granted-without-end",
    rule: "27",
    file: "worker/slots.ts",
    find: "if (this.free <= 0) return undefined;",
    replace: "",
  },
  {
    name: "token-without-a-slot-is-dropped",
    rule: "27",
    file: "worker/intake.ts",
    find: "if (!slot) return token.nak();",
    replace: "if (!slot) return token.ack();",
  },
  {
    name: "lost-pass-does-not-stop-its-steps",
    rule: "27",
    file: "worker/pass-run.ts",
    find: `this.#isOver = true;
        this.#over?.abort();`,
    replace: "this.#isOver = true;",
  },
  {
    name: "lease-outlives-the-claim",
    rule: "27",
    file: "worker/lease-keeper.ts",
    find: "Math.floor((options.claimTimeoutMs * LEASE_SHARE_OF_CLAIM) / 1e3)",
    replace: "Math.floor((options.claimTimeoutMs * 5) / 1e3)",
  },
  {
    name: "worker-is-known-by-its-name",
    rule: "27",
    file: "worker/worker.ts",
    find: "newId().slice(0, 6)",
    replace: `"of-this-name"`,
  },
  {
    name: "unreadable-start-is-dropped",
    rule: "10",
    file: "worker/claims.ts",
    find: "if (isStart) await this.#refuseStart(run, slot, error);",
    replace: "",
  },
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
    find: `subjects: [names.everyRun(shard, "wait"), names.everyRun(shard, "cancel")],
            from: "last-per-subject",`,
    replace: `subjects: [names.everyRun(shard, "wait"), names.everyRun(shard, "cancel")],
            from: this.#ends.shards[shard] + 1,`,
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
    find: `if (status !== "waiting" && status !== "paused") return false;`,
    replace: `if (status !== "waiting" && status !== "paused") return true;`,
  },
  {
    name: "tokens-are-rolled-up",
    rule: "10",
    file: "engine/tokens.ts",
    find: "expect: waitSequence,",
    replace: `headers: [["Nats-Rollup", "sub"]], expect: waitSequence,`,
  },
  {
    name: "events-behind-the-last-one-are-passed-over",
    rule: "21",
    file: "worker/open-condition.ts",
    find: ": this.#run.parent.events.after;",
    replace: ": Math.max(this.#run.parent.events.after, ...this.#run.state.consumedEvents);",
  },
  {
    name: "consumed-events-are-not-noted",
    rule: "21",
    file: "shared/run-state.ts",
    find: `if (outcome.kind === "event") state.consumedEvents.add(outcome.sequence);`,
    replace: "",
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
    name: "timer-token-does-not-look-around",
    rule: "22",
    file: "worker/outcomes.ts",
    find: "await (because.timer === undefined",
    replace: "await (true",
  },
  {
    name: "another-events-stream-is-believed",
    rule: "23",
    file: "worker/lost-events.ts",
    find: "if (!isAnother && present.after >= after) return undefined;",
    replace: "return undefined;",
  },
  {
    name: "engine-believes-another-events-stream",
    rule: "23",
    file: "engine/waits.ts",
    find: "if (this.#countsOtherEvents(wait)) {",
    replace: "if (false) {",
  },
  {
    name: "lost-events-are-not-told",
    rule: "23",
    file: "shared/explain.ts",
    find: "return isCut ?",
    replace: "return false ?",
  },
  {
    name: "every-end-of-a-child-is-a-wake-up",
    rule: "19",
    file: "engine/conditions.ts",
    find: "return Math.min(onePassMs * patience, LONGEST_HOLD_MS);",
    replace: "return 0;",
  },
];

/** @throws {Error} When there is none of this name. */
export function mutantCalled(name: string): Mutant {
  const mutant = MUTANTS.find((candidate) => candidate.name === name);
  if (!mutant) throw new Error(`There is no mutant "${name}".`);
  return mutant;
}
