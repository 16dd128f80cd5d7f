/** Mutants of the worker: claims, commits, registrations, slots. */
import type { Mutant } from "./mutant.ts";

/** Each is shown by a scenario of test/holes. */
export const WORKER_MUTANTS: readonly Mutant[] = [
  {
    name: "acknowledges-before-registering",
    rule: "5",
    file: "worker/suspension.ts",
    find: `const point = services.failpoint("before-registration");`,
    replace: `run.token.ack();
    const point = services.failpoint("before-registration");`,
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
                return this.#settle(await this.#publish(body, headers), body, headers);
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
                return this.#settle(await this.#publish(body, headers), body, headers);
            }`,
  },
  {
    name: "silence-is-a-failure",
    rule: "6",
    file: "worker/committer.ts",
    find: "return publisher.guardedPublish(history, body, options);",
    replace: `return publisher
            .guardedPublish(history, body, { ...options, deadlineMs: 0 })
            .then((outcome) => (outcome.kind === "unknown" ? undefined : outcome));`,
  },
  {
    name: "commits-are-not-guarded",
    rule: "A1",
    file: "worker/committer.ts",
    find: "return publisher.guardedPublish(history, body, options);",
    replace: "return publisher.publish(history, body, headers);",
  },
  {
    name: "fencing-token-stays-the-same",
    rule: "8",
    file: "worker/steps.ts",
    find: 'return String(this.#step.tail).padStart(16, "0");',
    replace: 'return String(this.#step.run.state.startSequence).padStart(16, "0");',
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
    find: `slot.release();
        for (; restMs > 0; restMs = this.#restMs(run, dueAt)) await pause(this.#services, restMs);`,
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
    name: "purged-start-is-claimed",
    rule: "5",
    file: "worker/token-reader.ts",
    find: "return last?.sequence === streamSequence;",
    replace: "return true;",
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
    find: "if (start?.parent && isSame(start.parent, reference))",
    replace: "if (start)",
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
    find: `forget();
            token.nak();`,
    replace: `forget();
            token.ack();`,
  },
  {
    name: "lost-pass-does-not-stop-its-steps",
    rule: "27",
    file: "worker/pass-run.ts",
    find: `this.#isOver = true;
        this.#over?.abort();
        this.#user?.abort();`,
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
    name: "events-behind-the-last-one-are-passed-over",
    rule: "21",
    file: "worker/open-condition.ts",
    find: ": this.#run.eventsAfter;",
    replace: ": Math.max(this.#run.eventsAfter, ...this.#run.state.consumedEvents);",
  },
  {
    name: "events-begin-at-the-time-of-the-start",
    rule: "20",
    file: "worker/open-condition.ts",
    find: ": this.#run.eventsAfter;",
    replace: `: (await this.#run.services.link.reader.readSubject(
            this.#run.services.names.eventsStream, "events.>"))
            .filter(({ timeMs }) => timeMs < this.#run.state.startedAt).at(-1)?.sequence ?? 0;`,
  },
  {
    name: "timer-token-does-not-look-around",
    rule: "22",
    file: "worker/outcomes.ts",
    find: "await (!mustLook",
    replace: "await (true",
  },
  {
    name: "another-events-stream-is-believed",
    rule: "23",
    file: "worker/lost-events.ts",
    find: "if (!isAnother && present.after >= after) return undefined;",
    replace: "return undefined;",
  },
];
