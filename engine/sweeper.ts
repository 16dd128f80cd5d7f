/**
 * Finds timers that the server has not fired (rule 18): a firing that is refused once, for instance
 * for a limit, is not tried again. What is overdue and still stored is published in its stead.
 *
 * Z1. A timer is touched only when it is overdue by the server's own clock and stored still.
 * Z2. First the token is stored, then the stuck schedule is removed, never a newer one.
 */
import type { CancelTimer } from "../shared/clock.ts";
import { ContrailError, NotPermittedError } from "../shared/errors.ts";
import { purgeSubject } from "../shared/jetstream/admin.ts";
import { pause } from "../shared/jetstream/backoff.ts";
import { parseTime, type StoredMessage } from "../shared/jetstream/reader.ts";
import { OVERDUE_TIMER_MS } from "../shared/limits.ts";
import { decodeReady } from "../shared/messages.ts";
import { ServerClock } from "../shared/server-clock.ts";
import { HEADERS, prefixOf } from "../shared/subjects.ts";
import { DueTimers, type Timer } from "./due-timers.ts";
import type { LastReads } from "./last-reads.ts";
import type { EngineServices } from "./services.ts";
import { publishReady } from "./tokens.ts";

/** Counts for people. */
export interface SweeperStatus {
  /** Timers that are known; some may have been canceled since. */
  readonly timers: number;
  /** Stuck timers whose runs were woken, since the term began. */
  readonly mended: number;
  /** Stuck schedules that were removed. */
  readonly cleared: number;
}

/** Timers looked at in one go. */
const TIMERS_PER_LOOK = 2_000;
/** How often to look for overdue timers, when there are any. */
const INTERVAL_MS = 500;
/** How often the server is asked what time it is. */
const CLOCK_INTERVAL_MS = 60_000;
/** Timers are looked through for canceled ones when there are twice as many and so many more. */
const AUDIT_TIMERS = 10_000;
/** A timer that could not be looked at is tried again after so long. */
const RETRY_MS = 2_000;

/** The overdue timers of a namespace. */
export class Sweeper {
  readonly #services: EngineServices;
  readonly #reads: Pick<LastReads, "last">;
  readonly #onGone: (prefix: string) => void;
  readonly #timers: DueTimers;
  readonly #clocks: ServerClock[];
  #stopTimer: CancelTimer | undefined;
  #clocksReadAt = Number.NEGATIVE_INFINITY;
  #auditAbove = AUDIT_TIMERS;
  #mended = 0;
  #cleared = 0;

  /** @param onGone Told of a run whose timer is not stored although nothing says that it went on. */
  constructor(
    services: EngineServices,
    reads: Pick<LastReads, "last">,
    onGone: (prefix: string) => void = () => {},
  ) {
    const { clock, names } = services;
    this.#onGone = onGone;
    this.#services = services;
    this.#reads = reads;
    this.#timers = new DueTimers(clock.now());
    this.#clocks = Array.from(
      { length: names.shardCount },
      () => new ServerClock(() => clock.monotonic()),
    );
  }

  get status(): SweeperStatus {
    return { timers: this.#timers.size, mended: this.#mended, cleared: this.#cleared };
  }

  /** Takes a schedule of a shard, by its headers. */
  note(shard: number, message: StoredMessage): void {
    const schedule = message.headers.last(HEADERS.schedule);
    if (!schedule?.startsWith("@at ")) return;
    const dueAt = parseTime(schedule.slice("@at ".length));
    if (Number.isNaN(dueAt)) return;
    this.#timers.set({ subject: message.subject, shard, sequence: message.sequence, dueAt });
  }

  /** Whether a timer behind this waiting commit is known. */
  has(prefix: string, waitSequence: number): boolean {
    return (this.#timers.get(`${prefix}.timer`)?.sequence ?? 0) > waitSequence;
  }

  /** A run has gone on: a timer from before answers nothing any more. */
  noteMoved(prefix: string, sequence: number): void {
    const timer = this.#timers.get(`${prefix}.timer`);
    if (timer && timer.sequence < sequence) timer.isAnswered = true;
  }

  /** Begins to look. */
  start(): void {
    const { clock, signal, log } = this.#services;
    const look = async (): Promise<void> => {
      try {
        await this.#readClocks();
        if (this.#timers.size > this.#auditAbove) await this.#audit();
        await this.#sweep();
      } catch (error) {
        if (!signal.aborted) log.warn(`Looking for overdue timers failed: ${String(error)}`);
      }
      if (!signal.aborted) this.#stopTimer = clock.after(INTERVAL_MS, () => void look());
    };
    this.#stopTimer = clock.after(INTERVAL_MS, () => void look()); // it never rejects
  }

  close(): void {
    this.#stopTimer?.();
  }

  /** Asks the leaders of the shards, who fire the timers, what time it is. */
  async #readClocks(): Promise<void> {
    const { clock, link, names, signal } = this.#services;
    if (this.#timers.size === 0 || clock.monotonic() - this.#clocksReadAt < CLOCK_INTERVAL_MS)
      return;
    await Promise.all(
      this.#clocks.map(async (serverClock, shard) => {
        const askedAt = clock.monotonic();
        const state = await link.reader.streamState(names.logStream(shard), { signal });
        const serverMs = state?.answeredAtMs ?? Number.NaN;
        if (!Number.isNaN(serverMs)) serverClock.learn(serverMs, askedAt, clock.monotonic());
      }),
    );
    this.#clocksReadAt = clock.monotonic();
  }

  async #sweep(): Promise<void> {
    const earliest = Math.min(...this.#clocks.map((clock) => clock.earliest()));
    for (;;) {
      const due = this.#timers.takeDue(earliest - OVERDUE_TIMER_MS, TIMERS_PER_LOOK);
      if (due.length === 0 || this.#services.signal.aborted) return;
      await Promise.all(due.map((timer) => this.#lookAt(timer)));
    }
  }

  async #lookAt(timer: Timer): Promise<void> {
    const { names, clock, signal, log } = this.#services;
    const { subject, shard, sequence } = timer;
    for (;;) {
      try {
        const stored = await this.#reads.last(names.logStream(shard), subject, sequence);
        if (stored?.sequence === sequence) await this.#mend(timer, stored);
        else if (!stored) this.#missTimer(timer);
        return;
      } catch (error) {
        if (!(error instanceof ContrailError)) throw error;
        if (signal.aborted) return;
        log.warn(`An overdue timer could not be seen to: ${error.message}`, { subject });
        if (!error.retryable && !(error instanceof NotPermittedError)) return;
        await pause(clock, RETRY_MS, signal);
      }
    }
  }

  /** It was fired or canceled, or somebody removed it: the run tells which. */
  #missTimer({ subject, isAnswered }: Timer): void {
    if (!isAnswered) this.#onGone(prefixOf(subject));
  }

  /** Publishes the token that the schedule carries, and removes the schedule. */
  async #mend(timer: Timer, stored: StoredMessage): Promise<void> {
    const { link, names, log, failpoint, signal } = this.#services;
    const { subject, shard, sequence } = timer;
    const ready = decodeReady(stored.data, `${subject}, sequence ${sequence}`);
    const prefix = prefixOf(subject);
    const point = failpoint("engine-before-ready");
    if (point) await point;
    const target = { prefix, waitSequence: ready.answers, isChild: ready.isChild };
    const end = await publishReady(this.#services, target, stored.data);
    if (end === "given-up") return;
    if (end === "stored") {
      this.#mended++;
      log.warn("A timer was overdue and not fired by the server; its run was woken.", { subject });
    }
    const stream = names.logStream(shard);
    await purgeSubject(link.requests, { stream, subject, before: sequence + 1 }, { signal });
    this.#cleared++;
  }

  /** Leaves out timers that were canceled: the log shows it by their absence only. */
  async #audit(): Promise<void> {
    const { names } = this.#services;
    let batch: Promise<void>[] = [];
    for (const timer of [...this.#timers.values()]) {
      const { subject, shard, sequence } = timer;
      const read = this.#reads.last(names.logStream(shard), subject, sequence);
      batch.push(
        read.then((stored) => {
          if (stored?.sequence === sequence) return;
          this.#timers.delete(timer);
          if (!stored) this.#missTimer(timer);
        }),
      );
      if (batch.length < TIMERS_PER_LOOK) continue;
      await Promise.all(batch);
      batch = [];
    }
    await Promise.all(batch);
    this.#auditAbove = 2 * this.#timers.size + AUDIT_TIMERS;
  }
}
