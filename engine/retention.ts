/**
 * Purges runs whose keep time is over, those that ended first before the others.
 *
 * P1. What is decided about a run is decided by one read of all that it depends on; a purge removes what
 *     that read can have known of and nothing newer, in every repetition (rule 25). So it never meets a
 *     later start of the same id, whoever else purges, whatever was lost, however late it arrives.
 * P2. Nothing is remembered that the log does not hold: whoever leads next comes to the same decision.
 * P3. Each end is looked at once in a term. Children that are kept for their parents are remembered and
 *     looked at when the parent goes, and once an hour; above a limit they are looked for again then.
 */
import type { CancelTimer } from "../shared/clock.ts";
import { encodeCommit } from "../shared/entries.ts";
import { UnavailableError } from "../shared/errors.ts";
import { purgeSubject } from "../shared/jetstream/admin.ts";
import { whyNotStored } from "../shared/jetstream/publisher.ts";
import { keepEndedMsOf } from "../shared/setup.ts";
import { STATUS_HEADER } from "../shared/subjects.ts";
import { type FoundEnd, findEnds } from "./ended-runs.ts";
import type { LastReads } from "./last-reads.ts";
import { shardOf } from "./past.ts";
import { type ReadRun, RetainedRuns } from "./retained-runs.ts";
import { decideRetention, isReopened, type RetentionDecision } from "./retention-decision.ts";
import type { EngineServices } from "./services.ts";

/** Counts since the term began, for people. */
export interface RetentionStatus {
  /** Runs that were purged. */
  readonly purged: number;
  /** Ended children that are kept for their parents, as far as they are remembered. */
  readonly keptForParents: number;
  /** How often all shards were looked through. */
  readonly looks: number;
}

/** How often to look, at most and at least; between them a tenth of the keep time. */
const LONGEST_INTERVAL_MS = 5_000;
const SHORTEST_INTERVAL_MS = 250;
/** Runs that are purged at the same time. */
const PURGES_AT_ONCE = 8;
/** Runs that are read at the same time, start and last commit. */
const RUNS_AT_ONCE = 32;
/** Children that are remembered. */
const REMEMBERED_CHILDREN = 100_000;
/** So often all of them are looked at, and those that are not remembered are looked for. */
const CHILDREN_INTERVAL_MS = 3_600_000;

/** How far a shard was looked through. */
interface Shard {
  /** Everything up to this sequence has been looked at. */
  position: number;
  /** When the first commit behind it was stored, as far as it is known. */
  nextMs: number;
  /** The first child that is not remembered; infinite when there is none. */
  forgotten: number;
}

/** The retention of ended runs of a namespace. */
export class Retention {
  readonly #services: EngineServices;
  readonly #runs: RetainedRuns;
  readonly #shards: readonly Shard[];
  /** The last commits of children by their histories, by the prefixes of their parents. */
  readonly #kept = new Map<string, Map<string, number>>();
  #keptCount = 0;
  #childrenAt: number;
  #stopTimer: CancelTimer | undefined;
  #purged = 0;
  #looks = 0;

  constructor(services: EngineServices, reads: Pick<LastReads, "last">) {
    this.#services = services;
    this.#runs = new RetainedRuns(services, reads);
    this.#childrenAt = services.clock.monotonic();
    this.#shards = Array.from({ length: services.names.shardCount }, () => ({
      ...{ position: 0, nextMs: Number.NEGATIVE_INFINITY, forgotten: Number.POSITIVE_INFINITY },
    }));
  }

  get status(): RetentionStatus {
    return { purged: this.#purged, keptForParents: this.#keptCount, looks: this.#looks };
  }

  /** Begins to look. */
  start(): void {
    const { clock, signal, log } = this.#services;
    let intervalMs = SHORTEST_INTERVAL_MS;
    const look = async (): Promise<void> => {
      const before = this.#purged;
      try {
        intervalMs = await this.#look();
      } catch (error) {
        if (!signal.aborted) log.warn(`Looking for runs to purge failed: ${String(error)}`);
      }
      const count = this.#purged - before;
      if (count > 0) log.info(`Ended runs were purged after their keep time: ${count}.`, { count });
      if (!signal.aborted) this.#stopTimer = clock.after(intervalMs, () => void look());
    };
    this.#stopTimer = clock.after(intervalMs, () => void look()); // it never rejects
  }

  close(): void {
    this.#stopTimer?.();
  }

  /** Looks through what has become old enough, and returns when to look again. */
  async #look(): Promise<number> {
    const { link, names, signal, clock } = this.#services;
    const areChildrenDue = clock.monotonic() - this.#childrenAt >= CHILDREN_INTERVAL_MS;
    if (areChildrenDue) this.#childrenAt = clock.monotonic();
    let intervalMs = LONGEST_INTERVAL_MS;
    for (const [number, shard] of this.#shards.entries()) {
      const state = await link.reader.streamState(names.logStream(number), { signal });
      if (!state || signal.aborted) continue;
      const keepMs = keepEndedMsOf(state.config);
      intervalMs = Math.min(intervalMs, Math.max(keepMs / 10, SHORTEST_INTERVAL_MS));
      const now = state.answeredAtMs;
      // The clock tells milliseconds, and messages have parts of them.
      const untilMs = now - keepMs - 1;
      if (areChildrenDue) await this.#lookAtChildren(number, untilMs);
      if (!(shard.nextMs <= untilMs)) continue;
      const search = { shard: number, from: shard.position + 1, untilMs };
      const nextMs = await findEnds(this.#services, search, async (ends, upTo) => {
        await this.#settle(ends, untilMs);
        shard.position = Math.max(shard.position, upTo);
      });
      shard.nextMs = nextMs ?? now;
    }
    this.#looks++;
    return intervalMs;
  }

  /** Somebody else may have purged their parents. */
  async #lookAtChildren(number: number, untilMs: number): Promise<void> {
    const shard = this.#shards[number] as Shard;
    if (shard.forgotten <= shard.position) {
      shard.position = shard.forgotten - 1;
      shard.nextMs = Number.NEGATIVE_INFINITY;
    }
    shard.forgotten = Number.POSITIVE_INFINITY;
    const here = [...this.#kept.keys()].filter((prefix) => shardOf(prefix) === number);
    for (const parent of here) await this.#settle(this.#release(parent), untilMs);
  }

  /** Settles these runs, and the children that were kept for them. */
  async #settle(ends: readonly FoundEnd[], untilMs: number): Promise<void> {
    const due = [...ends];
    while (due.length > 0 && !this.#services.signal.aborted) {
      const some = due.splice(0, RUNS_AT_ONCE);
      try {
        due.push(...(await this.#settleSome(some, untilMs)));
      } catch (error) {
        for (const { history, sequence } of [...some, ...due]) this.#forget(history, sequence);
        throw error;
      }
    }
  }

  /** @returns The children that were kept for those that were purged. */
  async #settleSome(ends: readonly FoundEnd[], untilMs: number): Promise<FoundEnd[]> {
    const children: FoundEnd[] = [];
    const runs = await this.#runs.read(ends);
    const decided = runs.map((run) => ({ run, decision: decideRetention(run, untilMs) }));
    // Before anything is purged: whoever is purged lets go of all of its children.
    for (const { run, decision } of decided) if (decision === "parent") this.#keep(run);
    for (let i = 0; i < decided.length; i += PURGES_AT_ONCE)
      await Promise.all(
        decided.slice(i, i + PURGES_AT_ONCE).map(async ({ run, decision }) => {
          if (await this.#carryOut(run, decision)) children.push(...this.#release(run.prefix));
        }),
      );
    return children;
  }

  /** @returns Whether the run was purged. */
  async #carryOut(run: ReadRun, decision: RetentionDecision): Promise<boolean> {
    if (decision === "keep" || decision === "parent") return false;
    const point = this.#services.failpoint("engine-after-retention-decision");
    if (point) await point;
    switch (decision) {
      case "purge":
        return this.#purge(run);
      case "retire":
        return this.#purgeRetired(run, await this.#retire(run));
      case "look":
        return this.#purgeRetired(run, run.tail.sequence);
    }
  }

  async #purge({ stream, prefix, upTo }: ReadRun): Promise<boolean> {
    const { link, signal, failpoint } = this.#services;
    const point = failpoint("engine-before-purge");
    if (point) await point;
    const purge = { stream, subject: `${prefix}.>`, before: upTo + 1 };
    const count = await purgeSubject(link.requests, purge, { signal });
    if (count > 0) this.#purged++;
    const after = failpoint("engine-after-purge");
    if (after) await after;
    return true;
  }

  /**
   * Closes a failed end against retries. Whoever has gone on meanwhile is seen by the next read.
   * @returns Up to where that has to know the log.
   */
  async #retire({ history, tail }: ReadRun): Promise<number> {
    const { link, clock, signal, failpoint } = this.#services;
    const point = failpoint("engine-before-retiring");
    if (point) await point;
    const { startSequence, pass, token, sequence: end } = tail;
    const frame = { startSequence, pass, token, time: clock.now() };
    const body = encodeCommit({ ...frame, entries: [{ kind: "retired", end }] }, history);
    const outcome = await link.publisher.guardedPublish(history, body, {
      expect: end,
      headers: [[STATUS_HEADER, "failed"]],
      signal,
    });
    if (!outcome.ok && outcome.kind !== "guard")
      throw new UnavailableError(`${history} may not be retired: ${whyNotStored(outcome)}.`);
    const after = failpoint("engine-after-retiring");
    if (after) await after;
    return outcome.ok ? outcome.sequence : end;
  }

  /** Purges a run whose failed end is closed, unless a retry was asked for before it was. */
  async #purgeRetired({ history }: ReadRun, sequence: number): Promise<boolean> {
    const [run] = await this.#runs.read([{ history, sequence }]);
    const last = run?.tail.entries.at(-1);
    if (!run || last?.kind !== "retired") return false; // it goes on, or somebody else was faster
    const tokens = await this.#runs.tokensAfter(run, last.end);
    if (isReopened(last.end, tokens)) return false;
    return this.#purge(run);
  }

  // --- children

  #keep({ parentPrefix = "", history, tail }: ReadRun): void {
    const siblings = this.#kept.get(parentPrefix) ?? new Map<string, number>();
    if (siblings.has(history)) return;
    if (this.#keptCount < REMEMBERED_CHILDREN) {
      this.#kept.set(parentPrefix, siblings.set(history, tail.sequence));
      this.#keptCount++;
      return;
    }
    this.#forget(history, tail.sequence);
  }

  /** It is looked for again within the hour. */
  #forget(history: string, sequence: number): void {
    const shard = this.#shards[shardOf(history)] as Shard;
    shard.forgotten = Math.min(shard.forgotten, sequence);
  }

  #release(parentPrefix: string): FoundEnd[] {
    const children = this.#kept.get(parentPrefix);
    if (!children) return [];
    this.#kept.delete(parentPrefix);
    this.#keptCount -= children.size;
    return [...children].map(([history, sequence]) => ({ history, sequence }));
  }
}
