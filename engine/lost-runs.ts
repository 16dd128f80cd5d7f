/**
 * Finds runs that nobody will wake, and wakes them (rule 30).
 *
 * M1. A run is mended only when two looks, some seconds apart, found the same last commit and nobody to
 *     wake it. Each look is at least as new as that commit.
 * M2. The token that mends answers that very commit and is guarded by it. One that was not needed is
 *     dead as soon as the run has gone on.
 * M3. In the place of a start only when that was delivered so long ago that nobody may begin by it
 *     without a claim any more (rule 7). A consumer that was made again delivers anew.
 * M4. A run whose worker shows a slot for it is left alone.
 */
import type { CancelTimer } from "../shared/clock.ts";
import { readLeases } from "../shared/leases.ts";
import { encodeReady, WAKE_LOST } from "../shared/messages.ts";
import { type GroupProgress, groupOf, readProgress } from "./group-progress.ts";
import { type IsRegistered, LiveRuns, type WatchedRun } from "./live-runs.ts";
import { type RunPicture, readPictures } from "./run-pictures.ts";
import type { EngineServices } from "./services.ts";
import { publishReady } from "./tokens.ts";
import { judgeWake, type LostReason } from "./wake-source.ts";

/** Counts since the term began, for people. */
export interface LostRunsStatus {
  /** Runs that are watched because they ought to move. */
  readonly watched: number;
  /** Runs that nobody has begun, as far as the log shows. */
  readonly queued: number;
  /** Runs that were read to find out what will wake them. */
  readonly looks: number;
  /** Tokens that were published, by what was missing. */
  readonly mended: Readonly<Record<LostReason, number>>;
}

const INTERVAL_MS = 2_500;
/** A run that was just written is in motion for so long. */
const PATIENCE_MS = 5_000;
/** Runs that are read in one look. */
const RUNS_PER_LOOK = 3_000;
/** Looks that have to agree. */
const STRIKES = 2;
/** What was mended is mended again after this, twice as long each time. */
const LONGEST_PAUSE_MS = 600_000;
/**
 * Tokens of one group that may be lost, if it cannot be told: when there are more, as when nobody
 * serves a version of the task, the tokens are there and nobody can take them.
 */
const UNCLEAR_RUNS = 100;

/** The runs of a namespace that nobody will wake. */
export class LostRuns {
  readonly #services: EngineServices;
  readonly #claimTimeoutMs: number;
  readonly #live: LiveRuns;
  /** The oldest start of each group when it was looked at last. */
  readonly #oldest = new Map<string, number>();
  readonly #mended: Record<LostReason, number> = {
    ...{ "no-token": 0, "no-timer": 0, "no-wait": 0, "no-registration": 0, "no-start": 0 },
  };
  /** Deliveries of each group, and when they were found to count anew. */
  readonly #deliveries = new Map<string, { count: number; anewMs: number }>();
  #looks = 0;
  #stopTimer: CancelTimer | undefined;

  constructor(
    services: EngineServices,
    options: { readonly claimTimeoutMs: number; readonly isRegistered: IsRegistered },
  ) {
    this.#services = services;
    this.#claimTimeoutMs = options.claimTimeoutMs;
    this.#live = new LiveRuns(options.isRegistered);
  }

  /** Takes what happens to runs. */
  get live(): LiveRuns {
    return this.#live;
  }

  get status(): LostRunsStatus {
    const { watchedCount: watched, queuedCount: queued } = this.#live;
    return { watched, queued, looks: this.#looks, mended: { ...this.#mended } };
  }

  /** Begins to look. */
  start(): void {
    const { clock, signal, log } = this.#services;
    const look = async (): Promise<void> => {
      try {
        await this.#look();
      } catch (error) {
        if (!signal.aborted)
          log.warn(`Looking for runs that nobody wakes failed: ${String(error)}`);
      }
      if (!signal.aborted) this.#stopTimer = clock.after(INTERVAL_MS, () => void look());
    };
    this.#stopTimer = clock.after(INTERVAL_MS, () => void look()); // it never rejects
  }

  close(): void {
    this.#stopTimer?.();
  }

  /** A run was told something by a token. */
  noteToken(prefix: string, waitSequence: number): void {
    const run = {
      prefix,
      status: "waiting",
      sequence: waitSequence,
      answeredAt: waitSequence,
    } as const;
    this.#live.watch(run, this.#now);
  }

  /** A run's timer is gone, and nobody has seen the run go on. */
  noteNoTimer(prefix: string): void {
    // It was due some seconds ago: that is patience enough.
    this.#live.watch({ prefix, status: "waiting", sequence: 0 }, this.#now - PATIENCE_MS);
  }

  get #now(): number {
    return this.#services.clock.monotonic();
  }

  async #look(): Promise<void> {
    const groups = new Map<string, Promise<GroupProgress | undefined>>();
    const progressOf = (group: string): Promise<GroupProgress | undefined> => {
      let progress = groups.get(group);
      if (!progress) {
        progress = this.#readProgress(group);
        progress.catch(() => {}); // whoever awaits it is told
        groups.set(group, progress);
      }
      return progress;
    };
    await this.#watchDelivered(progressOf);
    const due = this.#due();
    if (due.length === 0) return;
    const holders = await this.#readHolders();
    const [held, free] = [[], []] as [WatchedRun[], WatchedRun[]];
    for (const run of due)
      (run.status !== "waiting" && holders.has(run.prefix) ? held : free).push(run);
    for (const run of held) this.#lookLater(run, PATIENCE_MS);
    const runs = free.slice(0, RUNS_PER_LOOK);
    const pictures = await readPictures(this.#services, runs);
    this.#looks += runs.length;
    const unclear = new Map<string, [WatchedRun, RunPicture][]>();
    for (const run of runs) {
      const picture = pictures.get(run.prefix);
      if (!this.#live.isCurrent(run) || !picture) continue; // it went on meanwhile
      if (typeof picture === "string") {
        this.#live.forget(run);
        if (picture === "no-start") this.#tellNoStart(run);
        continue;
      }
      if (picture.status === "paused") {
        this.#live.release(run);
        continue;
      }
      if (!this.#isStill(run, picture)) continue;
      const group = groupOf(run.prefix);
      const progress = await progressOf(group);
      if (picture.status === "queued" && this.#isDeliveredAnew(group)) {
        this.#lookLater(run, PATIENCE_MS);
        continue;
      }
      const holder = holders.get(run.prefix);
      const verdict = judgeWake(picture, { progress, holder, answeredAt: run.answeredAt });
      if (verdict.kind === "sure") this.#letGo(run, picture, verdict.source === "token");
      else if (verdict.kind === "lost") await this.#strike(run, picture, verdict);
      else if (progress && this.#isOverdue(run, progress)) {
        const others = unclear.get(group);
        if (others) others.push([run, picture]);
        else unclear.set(group, [[run, picture]]);
      }
    }
    for (const some of unclear.values())
      for (const [run, picture] of some)
        if (some.length <= UNCLEAR_RUNS) await this.#strike(run, picture, { reason: "no-token" });
        else this.#lookLater(run, this.#claimTimeoutMs);
  }

  async #readProgress(group: string): Promise<GroupProgress | undefined> {
    const progress = await readProgress(this.#services, group);
    const known = this.#deliveries.get(group);
    const count = progress?.deliveries ?? 0;
    const anewMs =
      known && count < known.count ? this.#now : (known?.anewMs ?? Number.NEGATIVE_INFINITY);
    this.#deliveries.set(group, { count, anewMs });
    return progress;
  }

  /** Whether a start may have been delivered for the first time a moment ago (M3). */
  #isDeliveredAnew(group: string): boolean {
    const { anewMs = Number.NEGATIVE_INFINITY } = this.#deliveries.get(group) ?? {};
    return this.#now - anewMs < this.#claimTimeoutMs + PATIENCE_MS;
  }

  /** Whether a worker asked for a token since it could not be told what becomes of the run's own. */
  #isOverdue(run: WatchedRun, progress: GroupProgress): boolean {
    if (run.mends > 0) {
      this.#lookLater(run, this.#claimTimeoutMs); // the token that mended it is where its own was
      return false;
    }
    const before = run.deliveriesBefore;
    run.deliveriesBefore ??= progress.deliveries;
    this.#lookLater(run, PATIENCE_MS);
    return before !== undefined && (progress.waitingRequests > 0 || progress.deliveries > before);
  }

  /** Starts that were delivered and of which nothing was heard since. */
  async #watchDelivered(
    progressOf: (group: string) => Promise<GroupProgress | undefined>,
  ): Promise<void> {
    for (const [group, starts] of this.#live.queued()) {
      const [oldest = 0] = starts.values();
      const isStill = this.#oldest.get(group) === oldest;
      this.#oldest.set(group, oldest);
      if (!isStill) continue; // it moves, and is asked about when it does not
      const progress = await progressOf(group);
      if (!progress) continue;
      for (const [prefix, sequence] of starts) {
        if (sequence > progress.deliveredTo) break;
        this.#live.watchStart(prefix, sequence, this.#now);
      }
    }
    for (const group of this.#oldest.keys())
      if (!this.#live.hasQueued(group)) this.#oldest.delete(group);
  }

  #due(): WatchedRun[] {
    const now = this.#now;
    const due: WatchedRun[] = [];
    for (const run of this.#live.watched()) {
      const patienceMs = run.status === "waiting" ? 0 : this.#claimTimeoutMs;
      if (now >= run.nextLookMs && now - run.sinceMs >= PATIENCE_MS + patienceMs) due.push(run);
    }
    return due;
  }

  #lookLater(run: WatchedRun, ms: number): void {
    this.#live.postpone(run, this.#now + ms);
  }

  async #readHolders(): Promise<ReadonlyMap<string, string>> {
    const { link, names } = this.#services;
    const holders = new Map<string, string>();
    for (const { worker, held } of await readLeases(link, names))
      for (const slot of held)
        holders.set(names.run({ taskName: slot.task, runId: slot.run }).prefix, worker);
    return holders;
  }

  /** Whether the run is where it was known to be. Else it is watched anew. */
  #isStill(run: WatchedRun, { tail, startSequence, status }: RunPicture): boolean {
    const sequence = status === "queued" ? startSequence : tail;
    if (run.sequence === sequence && run.status === status) return true;
    if (status === "paused") return false;
    const { prefix, answeredAt } = run;
    this.#live.release(run);
    this.#live.watch({ prefix, status, sequence, answeredAt }, this.#now);
    return false;
  }

  /** It will be woken. A token is looked after until it has done so. */
  #letGo(run: WatchedRun, { status }: RunPicture, isToken: boolean): void {
    run.strikes = 0;
    if (status === "waiting" && !isToken) this.#live.release(run);
    else this.#lookLater(run, this.#claimTimeoutMs);
  }

  async #strike(
    run: WatchedRun,
    picture: RunPicture,
    { reason }: { readonly reason: LostReason },
  ): Promise<void> {
    run.strikes = run.strikeAt === picture.tail ? run.strikes + 1 : 1;
    run.strikeAt = picture.tail;
    if (run.strikes < STRIKES) return;
    const { log, failpoint } = this.#services;
    const { prefix, status, tail, startSequence, isChild } = picture;
    const answers = status === "queued" ? 0 : tail;
    const because = { poke: WAKE_LOST };
    const body = encodeReady({ answers, startSequence, isChild, because });
    const point = failpoint("engine-before-mending");
    if (point) await point;
    const end = await publishReady(this.#services, { prefix, waitSequence: tail, isChild }, body);
    if (end !== "stored") return;
    log.warn(`A run that nobody would have woken was woken: ${TEXTS[reason]}.`, {
      ...{ run: prefix, reason, status },
    });
    this.#mended[reason]++;
    run.mends++;
    run.strikes = 0;
    this.#lookLater(run, Math.min(PATIENCE_MS * 2 ** run.mends, LONGEST_PAUSE_MS));
  }

  #tellNoStart({ prefix }: WatchedRun): void {
    this.#services.log.error(
      "The start of a run is gone, and its input with it: it can neither go on nor end.",
      { run: prefix },
    );
  }
}

/** What was missing, in words. */
const TEXTS: { readonly [R in LostReason]: string } = {
  "no-token": "the token that would have carried it on is gone",
  "no-timer": "its timer is gone",
  "no-wait": "its registration with the engine is gone",
  "no-registration": "nothing of what it waits for is registered",
  "no-start": "its start is gone",
};
