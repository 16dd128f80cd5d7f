/**
 * Which runs ought to move, by the headers of the log alone: those that are queued or carried by a
 * worker, and those that wait and whose registrations were not seen, or were answered. Pure.
 *
 * L1. A run that waits with all its registrations costs nothing here: they are kept elsewhere, and
 *     whoever finds one of them gone says so.
 * L2. What is watched needlessly is found out by a look and let go.
 */
import type { StoredMessage } from "../shared/jetstream/reader.ts";
import { prefixOf, REGISTERS_HEADER, STATUS_HEADER } from "../shared/subjects.ts";
import { groupOf } from "./group-progress.ts";

/** A run that ought to move. */
export interface WatchedRun {
  readonly prefix: string;
  readonly status: "queued" | "running" | "waiting";
  /** Its last commit, as far as it is known; for a queued one its start. 0 when it is to be read. */
  readonly sequence: number;
  /** What its waiting commit says is registered behind it; empty when it does not say. */
  readonly kinds: readonly string[];
  /** The waiting commit that was answered with a token; 0 when none was. */
  answeredAt: number;
  /** Monotonic time since when it has been so, as far as is known. */
  readonly sinceMs: number;
  nextLookMs: number;
  /** Looks in a row that found nobody to wake it, at the same commit. */
  strikes: number;
  strikeAt: number;
  /** Deliveries of its group when it was unclear for the first time. */
  deliveriesBefore: number | undefined;
  /** How often a token was published for this commit. */
  mends: number;
}

/** Whether what a waiting commit announces is known to be registered behind it. */
export type IsRegistered = (prefix: string, wait: number, kinds: readonly string[]) => boolean;

/** The live runs of a namespace, as far as they ought to move. */
export class LiveRuns {
  readonly #isRegistered: IsRegistered;
  readonly #watched = new Map<string, WatchedRun>();
  /** Sequences of starts without any commit by run, in the order of the log, for each group. */
  readonly #queued = new Map<string, Map<string, number>>();
  #queuedCount = 0;

  constructor(isRegistered: IsRegistered) {
    this.#isRegistered = isRegistered;
  }

  /** Runs that ought to move, without those whose start was not delivered yet. */
  get watchedCount(): number {
    return this.#watched.size;
  }

  get queuedCount(): number {
    return this.#queuedCount;
  }

  watched(): IterableIterator<WatchedRun> {
    return this.#watched.values();
  }

  /** Groups with queued runs, each with the starts in the order of the log. */
  queued(): IterableIterator<[group: string, starts: ReadonlyMap<string, number>]> {
    return this.#queued.entries();
  }

  /** Takes a start or a commit by its headers. */
  note({ subject, sequence, headers }: StoredMessage, nowMs: number): void {
    const prefix = prefixOf(subject);
    if (subject.endsWith(".token.start")) {
      this.#queue(prefix, sequence);
      return;
    }
    this.#unqueue(prefix);
    this.#watched.delete(prefix);
    const status = headers.last(STATUS_HEADER);
    if (status === "running") this.watch({ prefix, status, sequence }, nowMs);
    if (status !== "waiting") return;
    const kinds = headers.last(REGISTERS_HEADER)?.split(" ") ?? [];
    if (!this.#isRegistered(prefix, sequence, kinds))
      this.watch({ prefix, status, sequence, kinds }, nowMs);
  }

  /** Watches a run from now on. */
  watch(
    run: Pick<WatchedRun, "prefix" | "status" | "sequence"> &
      Partial<Pick<WatchedRun, "kinds" | "answeredAt">>,
    nowMs: number,
  ): void {
    const { prefix, status, sequence, kinds = [], answeredAt = 0 } = run;
    const known = this.#watched.get(prefix);
    if (known && known.sequence > sequence) return;
    this.#watched.set(prefix, {
      ...{ prefix, status, sequence, kinds, answeredAt, sinceMs: nowMs, nextLookMs: 0 },
      ...{ strikes: 0, strikeAt: 0, deliveriesBefore: undefined, mends: 0 },
    });
  }

  /** Watches a queued run whose start was delivered. Nothing when it is watched already. */
  watchStart(prefix: string, sequence: number, nowMs: number): void {
    if (!this.#watched.has(prefix)) this.watch({ prefix, status: "queued", sequence }, nowMs);
  }

  /** Whether a group has runs that nobody has begun. */
  hasQueued(group: string): boolean {
    return this.#queued.has(group);
  }

  /** A registration was stored: perhaps the last one that was missing. */
  noteRegistered(prefix: string): void {
    const run = this.#watched.get(prefix);
    if (run?.status !== "waiting" || run.answeredAt > 0 || run.sequence === 0) return;
    if (this.#isRegistered(prefix, run.sequence, run.kinds)) this.#watched.delete(prefix);
  }

  /** Looks at a run later, and behind all others. */
  postpone(run: WatchedRun, untilMs: number): void {
    run.nextLookMs = untilMs;
    if (!this.isCurrent(run)) return;
    this.#watched.delete(run.prefix);
    this.#watched.set(run.prefix, run);
  }

  /** Lets go of a run that needs no more care until its next commit. */
  release(run: WatchedRun): void {
    if (this.#watched.get(run.prefix) === run) this.#watched.delete(run.prefix);
  }

  /** Forgets a run that is gone. */
  forget(run: WatchedRun): void {
    this.release(run);
    this.#unqueue(run.prefix);
  }

  /** Whether this is what is known of the run. */
  isCurrent(run: WatchedRun): boolean {
    return this.#watched.get(run.prefix) === run;
  }

  #queue(prefix: string, sequence: number): void {
    const group = groupOf(prefix);
    let starts = this.#queued.get(group);
    if (!starts) {
      starts = new Map();
      this.#queued.set(group, starts);
    }
    if (!starts.has(prefix)) this.#queuedCount++;
    starts.set(prefix, sequence);
  }

  #unqueue(prefix: string): void {
    const group = groupOf(prefix);
    const starts = this.#queued.get(group);
    if (!starts?.delete(prefix)) return;
    this.#queuedCount--;
    if (starts.size === 0) this.#queued.delete(group);
  }
}
