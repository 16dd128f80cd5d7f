/**
 * The registry of pending waits: matches them with events and with the ends of children, and wakes
 * the runs that can go on.
 *
 * R1. A registration is put into the index before anything is looked back; what comes meanwhile is
 *     offered to it, and what came before is found by reads at least as new as the followers were
 *     at that moment (rule 15). Between the two there is no gap.
 * R2. A token is published only after both, so that the lowest event wins.
 * R3. What nobody can read hides no registration before it (P9).
 * R4. A run that went on without waiting leaves its registration behind. Old ones are compared with
 *     the history first, others from time to time, so that the registry does not grow with them.
 */
import type { CancelTimer } from "../shared/clock.ts";
import { ContrailError, UnavailableError } from "../shared/errors.ts";
import { Backoff, pause } from "../shared/jetstream/backoff.ts";
import type { StoredMessage } from "../shared/jetstream/reader.ts";
import { decodeWait, EVENTS_REPLACED } from "../shared/messages.ts";
import { prefixOf } from "../shared/subjects.ts";
import { PendingWait } from "./conditions.ts";
import { lastReadable } from "./last-readable.ts";
import { isEnd, Past, type PastOptions, type Positions, shardOf } from "./past.ts";
import type { EventMessage } from "./recent-events.ts";
import type { EngineServices } from "./services.ts";
import { type ReadyTarget, TokenQueue } from "./tokens.ts";
import { WaitIndex } from "./wait-index.ts";
import { nextWakeAt, streakAt, type WakePace } from "./wake-pace.ts";

/** What the registry works with. */
export interface WaitsOptions extends Omit<PastOptions, "names"> {
  readonly services: EngineServices;
  /** Told of each token that is stored. */
  readonly onToken?: (target: ReadyTarget) => void;
  /** The events stream when the term began: which one, and its last sequence. */
  readonly eventsStream: { readonly created: string; readonly endedAt: number };
}

/** Counts since the term began, for people. */
export interface WaitsStatus {
  /** Runs that wait for something the engine has to match, a few that went on included. */
  readonly pending: number;
  readonly lookingBack: number;
  readonly publishing: number;
  readonly published: number;
  /** Tokens that were refused because the run had gone on. */
  readonly refused: number;
}

/** Answered waits that are remembered, so that the run's next one need not look back as far. */
const REMEMBERED_WAITS = 2_000;
/** Waits are looked through for runs that went on when there are twice as many and so many more. */
const AUDIT_WAITS = 10_000;
const WAITS_PER_LOOK = 2_000;
const RETRY_PAUSES = { shortestMs: 50, longestMs: 2_000 };

/** Pending waits of a namespace. */
export class Waits {
  readonly #options: WaitsOptions;
  readonly #services: EngineServices;
  readonly #past: Past;
  readonly #index = new WaitIndex();
  readonly #tokens: TokenQueue;
  /** The last answered wait of a run, oldest first. */
  readonly #answered = new Map<string, PendingWait>();
  readonly #holds = new Map<PendingWait, CancelTimer>();
  readonly #touched = new Set<PendingWait>();
  /** Runs whose registration is looked for behind one that cannot be read. */
  readonly #hidden = new Set<string>();
  #lookingBack = 0;
  #auditAbove = AUDIT_WAITS;

  constructor(options: WaitsOptions) {
    this.#options = options;
    this.#services = options.services;
    this.#past = new Past({ ...options, names: options.services.names });
    this.#tokens = new TokenQueue(options.services, options.recent, options.onToken);
  }

  get status(): WaitsStatus {
    return {
      pending: this.#index.size,
      lookingBack: this.#lookingBack,
      publishing: this.#tokens.size,
      published: this.#tokens.published,
      refused: this.#tokens.refused,
    };
  }

  /** Takes a `wait` message. Undecodable ones are reported and harm nobody (P9). */
  register(message: StoredMessage): void {
    try {
      this.#admit(this.#read(message));
    } catch (error) {
      if (!(error instanceof ContrailError)) throw error;
      const { subject, sequence } = message;
      this.#services.log.error(`A registration cannot be read: ${error.message}`, { subject });
      const fate = "The registration before it counts.";
      this.#services.undecodable.note({ subject, sequence, problem: error.message, fate });
      void this.#lookBehind(message); // reports its own errors
    }
  }

  #admit(wait: PendingWait): void {
    const current = this.#index.get(wait.prefix);
    if (current && current.sequence >= wait.sequence) return;
    const earlier = current ?? this.#answered.get(wait.prefix);
    this.#answered.delete(wait.prefix);
    if (current) this.#forget(current);
    if (wait.isEmpty) return;
    if (this.#countsOtherEvents(wait)) {
      wait.poke = EVENTS_REPLACED; // its worker sees what is wrong and pauses the run
      this.#tokens.add(wait);
      return;
    }
    if (earlier) wait.learnFrom(earlier);
    wait.registeredAt = this.#services.clock.monotonic();
    for (const group of wait.events) group.beginLookBack();
    this.#index.add(wait);
    void this.#look(wait, this.#past.positions(wait)); // reports its own errors
    if (this.#index.size > this.#auditAbove) void this.#audit(); // it reports its own errors
  }

  /** Whether the registration of this waiting commit is known and not answered. */
  has(prefix: string, waitSequence: number): boolean {
    return this.#index.get(prefix)?.waitSequence === waitSequence;
  }

  /** Takes the next event of the stream. */
  offer(event: EventMessage): void {
    this.#options.recent.add(event);
    this.#index.offerEvent(event, (wait) => this.#touch(wait));
  }

  /** Takes a commit of a child. Only ends matter. */
  noteChild(message: StoredMessage): void {
    if (!isEnd(message)) return;
    const prefix = prefixOf(message.subject);
    this.#index.endChild(prefix, (wait) => this.#touch(wait));
  }

  /** Ends all timers. */
  close(): void {
    for (const cancel of this.#holds.values()) cancel();
    this.#holds.clear();
  }

  /** Whether the run began with another events stream, or one that went on further (rule 23). */
  #countsOtherEvents(wait: PendingWait): boolean {
    const { created, endedAt } = this.#options.eventsStream;
    if (wait.events.length === 0) return false;
    if (wait.eventsCreated !== undefined && wait.eventsCreated !== created) return true;
    return this.#past.isOld(wait) && wait.events.some(({ after }) => after > endedAt);
  }

  /** @throws {ContrailError} When it cannot be read. */
  #read({ subject, sequence, data }: StoredMessage): PendingWait {
    const { names } = this.#services;
    const registration = decodeWait(data, `${subject}, sequence ${sequence}`);
    return new PendingWait(names, names.parse(subject), { sequence, registration });
  }

  /** The last registration may be one that nobody can read, and the one before it count still. */
  async #lookBehind(unreadable: StoredMessage): Promise<void> {
    const { names, log } = this.#services;
    const { subject } = unreadable;
    const prefix = prefixOf(subject);
    // What is registered while a term lasts is seen before what hides it.
    if (this.#index.get(prefix) || this.#answered.has(prefix) || this.#hidden.has(prefix)) return;
    this.#hidden.add(prefix);
    this.#lookingBack++;
    try {
      const stream = names.logStream(shardOf(prefix));
      const read = (message: StoredMessage): PendingWait => this.#read(message);
      const wait = await lastReadable(this.#services, { stream, unreadable, read });
      const isLate = this.#answered.has(prefix); // a newer one has come and was answered
      if (wait && !isLate) this.#admit(wait);
    } catch (error) {
      log.error(`Looking behind a registration failed: ${String(error)}`, { subject });
    } finally {
      this.#hidden.delete(prefix);
      this.#lookingBack--;
    }
  }

  /** Looks at everything that came before the registration, until it is done or superseded. */
  async #look(wait: PendingWait, positions: Positions): Promise<void> {
    const { log, signal } = this.#services;
    this.#lookingBack++;
    try {
      await this.#lookUntilDone(wait, positions);
    } catch (error) {
      log.error(`Looking back for a wait failed: ${String(error)}`, { run: wait.prefix });
      return;
    } finally {
      this.#lookingBack--;
    }
    if (signal.aborted || !this.#isCurrent(wait)) return;
    wait.isArmed = true;
    this.#touch(wait);
  }

  async #lookUntilDone(wait: PendingWait, positions: Positions): Promise<void> {
    const { signal, clock, failpoint, log } = this.#services;
    const backoff = new Backoff(RETRY_PAUSES);
    while (!signal.aborted && this.#isCurrent(wait)) {
      try {
        if (this.#past.isOld(wait) && (await this.#past.hasGoneOn(wait))) {
          this.#forget(wait);
          return;
        }
        const point = failpoint("engine-before-look-back");
        if (point) await point;
        await this.#past.look(wait, positions, () => this.#isCurrent(wait));
        return;
      } catch (error) {
        if (!(error instanceof UnavailableError)) throw error;
        if (!signal.aborted)
          log.warn(`Looking back for a wait failed: ${error.message}`, { run: wait.prefix });
        await pause(clock, backoff.next(), signal);
      }
    }
  }

  #isCurrent(wait: PendingWait): boolean {
    return this.#index.get(wait.prefix) === wait;
  }

  /** Something has happened for this wait. All that comes in one go is looked at together. */
  #touch(wait: PendingWait): void {
    if (!wait.isArmed || this.#touched.has(wait)) return;
    if (this.#touched.size === 0) queueMicrotask(() => this.#decide());
    this.#touched.add(wait);
  }

  #decide(): void {
    const waits = [...this.#touched];
    this.#touched.clear();
    for (const wait of waits) {
      if (!this.#isCurrent(wait) || !wait.hasHappened) continue;
      if (wait.isUrgent) this.#answer(wait);
      else this.#hold(wait);
    }
  }

  /** Children have ended and others have not: more may end before the next wake-up (rule 19). */
  #hold(wait: PendingWait): void {
    if (this.#holds.has(wait)) return;
    const { clock } = this.#services;
    const restMs = nextWakeAt(paceOf(wait)) - clock.monotonic();
    if (restMs <= 0) {
      this.#answer(wait);
      return;
    }
    const cancel = clock.after(restMs, () => {
      this.#holds.delete(wait);
      if (this.#isCurrent(wait)) this.#answer(wait);
    });
    this.#holds.set(wait, cancel);
  }

  /** Forgets the wait and wakes its run: it will register what it waits for then. */
  #answer(wait: PendingWait): void {
    const now = this.#services.clock.monotonic();
    wait.streak = streakAt(paceOf(wait), now);
    wait.wokenAt = now;
    this.#forget(wait);
    this.#answered.set(wait.prefix, wait);
    if (this.#answered.size > REMEMBERED_WAITS) {
      const oldest = this.#answered.keys().next().value as string;
      this.#answered.delete(oldest);
    }
    this.#tokens.add(wait);
  }

  #forget(wait: PendingWait): void {
    if (!this.#isCurrent(wait)) return;
    this.#index.remove(wait);
    this.#holds.get(wait)?.();
    this.#holds.delete(wait);
    for (const group of wait.events) group.close(this.#options.recent.lastSequence);
  }

  /** Forgets the waits of runs that have gone on. */
  async #audit(): Promise<void> {
    this.#auditAbove = Number.POSITIVE_INFINITY;
    const { signal, log } = this.#services;
    const waits = [...this.#index.values()];
    try {
      for (let i = 0; i < waits.length && !signal.aborted; i += WAITS_PER_LOOK)
        await Promise.all(
          waits.slice(i, i + WAITS_PER_LOOK).map(async (wait) => {
            if (this.#isCurrent(wait) && (await this.#past.hasGoneOn(wait))) this.#forget(wait);
          }),
        );
    } catch (error) {
      if (!signal.aborted) log.warn(`Looking for runs that went on failed: ${String(error)}`);
    }
    this.#auditAbove = 2 * this.#index.size + AUDIT_WAITS;
  }
}

function paceOf(wait: PendingWait): WakePace {
  const { passMs, streak, wokenAt, registeredAt, singles } = wait;
  return { passMs, streak, wokenAt, registeredAt, pendingChildren: singles.length };
}
