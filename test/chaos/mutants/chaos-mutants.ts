/** Bugs that a chaos run must show, each with the faults that lead into it. */
import type { Mutant } from "../../mutants/mutant.ts";
import { mutantCalled } from "../../mutants/mutants.ts";

/** A bug, and how it is provoked. */
export interface PlantedBug extends Mutant {
  /** One of these rules must be violated: what the bug breaks, not what breaks in its wake. */
  readonly shows: readonly string[];
  /** Families of faults; none: the workload alone shows it. */
  readonly faults: readonly string[];
  /** Among the named places between two writes, those that lead into it. */
  readonly places?: readonly string[];
  /** Default r1. */
  readonly topology?: "r3";
  /** How long faults are injected. Default 12. */
  readonly seconds?: number;
  /** Default 1. */
  readonly seed?: number;
}

/** A mutant that a hole has, too. */
function known(name: string, shows: readonly string[], ...faults: string[]): PlantedBug {
  return { ...mutantCalled(name), shows, faults };
}

/** All of them. */
export const PLANTED_BUGS: readonly PlantedBug[] = [
  known("active-run-drops-every-token", ["P1"], "kill"),
  known("tokens-are-delivered-twice-at-most", ["P1", "P3"], "kill"),
  known("empty-history-begins", ["P2", "P6"], "kill"),
  known("every-token-takes-over", ["P6"], "duplicate"),
  known("token-claims-any-wait", ["P6"], "duplicate"),
  known("spent-token-claims-again", ["P6"], "failpoint"),
  { ...known("spent-token-is-dropped", ["P3", "scheduled"], "failpoint"), seconds: 40 },
  {
    name: "acknowledges-before-its-registration",
    rule: "5",
    shows: ["P3", "scheduled"],
    file: "worker/suspension.ts",
    find: `const point = services.failpoint("before-registration");`,
    replace: `run.token.ack();
    await services.link.nc.flush();
    const point = services.failpoint("before-registration");`,
    faults: ["failpoint"],
    places: ["before-registration", "before-timer", "before-wait"],
    seconds: 25,
  },
  known("loser-reads-again-and-goes-on", ["P6", "P2"], "pause"),
  known("commits-are-not-guarded", ["P6", "P1", "P2"], "pause"),
  known("slots-are-granted-without-end", ["P4"], "kill"),
  known("token-without-a-slot-is-dropped", ["P1", "P3"], "kill"),
  known("cancel-waits-for-a-registration", ["P3"], "kill"),
  known("engine-follows-registrations-from-now", ["P3"], "kill"),
  known("consumed-events-are-not-noted", ["published"], "kill"),
  known("timer-token-does-not-look-around", ["P3"], "kill"),
  known("fencing-token-stays-the-same", ["P2"], "kill"),
  {
    name: "claimer-goes-by-the-wall-clock",
    rule: "14",
    shows: ["P3"],
    file: "worker/claims.ts",
    find: "const now = Math.max(run.serverClock.earliest(), read.token.timeMs + sinceMs);",
    replace: "const now = Date.now();",
    faults: ["clock"],
    seconds: 20,
  },
  {
    name: "acknowledges-before-the-commit",
    rule: "5",
    shows: ["P1", "P3"],
    file: "worker/regular-pass.ts",
    find: `committer.add({ kind: "ended", outcome });`,
    replace: `committer.add({ kind: "ended", outcome });
    run.token.ack();
    await services.link.nc.flush();`,
    faults: ["failpoint"],
    places: ["before-commit"],
    seconds: 25,
  },
  {
    name: "look-back-is-left-out",
    rule: "15",
    shows: ["P3"],
    file: "engine/look-back.ts",
    find: "find(group, to) {",
    replace: "find(group, to) { return Promise.resolve([]);",
    faults: ["kill"],
  },
  {
    name: "steps-are-executed-at-every-replay",
    rule: "R1",
    shows: ["P7"],
    file: "worker/replay-cursor.ts",
    find: "return steps.has(key) || waits.has(key) || children.has(key);",
    replace: "return waits.has(key) || children.has(key);",
    faults: ["kill"],
  },
  {
    name: "timer-is-not-canceled",
    rule: "11",
    shows: ["scheduled"],
    file: "worker/registration.ts",
    find: `return [
        [HEADERS.scheduler, \`\${place.prefix}.timer\`],
        [HEADERS.scheduleNext, "purge"],
    ];`,
    replace: "return [];",
    faults: ["kill"],
  },
  {
    name: "timer-is-overwritten-to-cancel-it",
    rule: "11",
    shows: ["scheduled"],
    file: "worker/claims.ts",
    find: "const sentAt = this.#services.clock.monotonic();",
    replace: `const sentAt = this.#services.clock.monotonic();
      if (hadTimer) {
        const { prefix } = run.place;
        const headers = [["Nats-Schedule", "@at 2099-01-01T00:00:00Z"], ["Nats-Schedule-Target", prefix + ".token.ready"]];
        await this.#services.link.publisher.publish(prefix + ".timer", new Uint8Array([1, 0x80]), headers);
        if ((await run.committer.commit()) === "lost") { run.leave(); return false; }
      }`,
    faults: ["kill"],
  },
  {
    name: "timer-is-not-set",
    rule: "11",
    shows: ["P3", "scheduled"],
    file: "worker/registration.ts",
    find: "if (dueAt !== undefined && !(await write(",
    replace: "if (false && !(await write(",
    faults: ["kill"],
  },
  {
    name: "sleeps-are-short",
    rule: "14",
    shows: ["P3"],
    file: "worker/outcomes.ts",
    find: `condition.kind === "sleep" && condition.dueAt <= now`,
    replace: `condition.kind === "sleep" && condition.dueAt <= now + 300`,
    faults: ["kill"],
  },
  {
    name: "starts-are-not-guarded",
    rule: "3",
    shows: ["P1"],
    file: "shared/client.ts",
    find: ".publisher.guardedPublish(subject, body, { expect: 0 });",
    replace: ".publisher.publish(subject, body, []);",
    faults: ["kill"],
  },
  {
    name: "slot-is-granted-twice",
    rule: "S1",
    shows: ["P4"],
    file: "worker/slots.ts",
    find: "this.#held.add(slot);",
    replace: "if (this.#held.size % 2 === 0) this.#held.add(slot);",
    faults: ["kill"],
  },
  {
    name: "lease-has-no-time-to-live",
    rule: "27",
    shows: ["granted"],
    file: "worker/lease-keeper.ts",
    find: `const outcome = await publisher.publish(this.#subject, body, [
                [HEADERS.timeToLive, \`\${this.#ttlSeconds}s\`],
            ]);`,
    replace: "const outcome = await publisher.publish(this.#subject, body, []);",
    faults: ["kill"],
  },
  {
    name: "waiting-run-is-called-running",
    rule: "header",
    shows: ["accepted"],
    file: "worker/committer.ts",
    find: `if (last?.kind === "waiting" || last?.kind === "paused")`,
    replace: `if (last?.kind === "paused")`,
    faults: ["kill"],
  },
  {
    name: "children-are-mixed-up",
    rule: "19",
    shows: ["P1", "P3"],
    file: "worker/child-ends.ts",
    find: "runId: `${prefix}-${condition.first + position}`,",
    replace: "runId: `${prefix}-${condition.first + (position > 0 ? position - 1 : position)}`,",
    faults: ["kill"],
  },
  {
    name: "filter-is-not-looked-at",
    rule: "21",
    shows: ["published", "P1"],
    file: "shared/filters.ts",
    find: `if (where === undefined)
        return () => true;
    const { query, needs }`,
    replace: `return () => true;
    const { query, needs }`,
    faults: ["kill"],
  },
  {
    name: "silence-is-taken-for-a-yes",
    rule: "P8",
    shows: ["P8"],
    file: "shared/client.ts",
    find: `if (!outcome.ok) {
            // There is no stream,`,
    replace: `if (!outcome.ok && outcome.kind !== "unknown") {
            // There is no stream,`,
    faults: ["server"],
  },
  {
    name: "cancel-is-acknowledged-and-not-stored",
    rule: "P8",
    shows: ["P8"],
    file: "shared/run-handle.ts",
    find: "const outcome = await link.publisher.guardedPublish(`${prefix}.cancel`, body, {",
    replace:
      "if (body) return; const outcome = await link.publisher.guardedPublish(`${prefix}.cancel`, body, {",
    faults: ["kill"],
  },
  {
    name: "runs-resume-only-where-they-were",
    rule: "P5",
    shows: ["P3", "P5"],
    file: "worker/claims.ts",
    find: `case "take-over":
                if (action`,
    replace: `case "take-over":
                if (read.state.status === "waiting" && read.state.worker !== this.#services.workerId) {
                    token.nak(RETRY_MS);
                    return true;
                }
                if (action`,
    faults: ["kill"],
  },
  {
    name: "conflict-is-fatal",
    rule: "10164",
    shows: ["P9"],
    file: "shared/jetstream/publish-ack.ts",
    find: 'return { ok: false, kind: "conflict" };',
    replace: 'setImmediate(() => process.exit(1)); return { ok: false, kind: "conflict" };',
    faults: ["duplicate", "pause"],
    topology: "r3",
    seconds: 30,
  },
];
