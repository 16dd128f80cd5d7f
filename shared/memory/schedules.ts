/**
 * The schedules of one stream: when which message is due to be sent.
 *
 * S1. One schedule a subject: a new one replaces the one before it.
 * S2. A schedule whose firing was refused is not tried again until it is set again, or the server
 *     restarts or another server leads.
 */
import type { CancelTimer, Clock } from "../clock.ts";

interface Schedule {
  sequence: number;
  dueAt: number;
  /** It was fired, and is not gone: the firing was refused. */
  isStuck: boolean;
}

/** What schedules need of their stream. */
export interface SchedulesOptions {
  readonly clock: Clock;
  /** How much later than it could the scheduler wakes, in milliseconds. */
  readonly delayMs: () => number;
  /** Sends what is due, in this order. */
  readonly fire: (sequences: readonly number[]) => void;
}

/** The server does not wake its scheduler more often than this. */
const SHORTEST_PAUSE_MS = 250;

/** When what is due. */
export class Schedules {
  readonly #options: SchedulesOptions;
  readonly #schedules: Map<string, Schedule> = new Map();
  #wakeAt = Number.POSITIVE_INFINITY;
  #stopTimer: CancelTimer | undefined;

  constructor(options: SchedulesOptions) {
    this.#options = options;
  }

  /** When the next one is due that will be fired; nothing when there is none. */
  get nextDueAt(): number | undefined {
    let next: number | undefined;
    for (const { dueAt, isStuck } of this.#schedules.values())
      if (!isStuck && (next === undefined || dueAt < next)) next = dueAt;
    return next;
  }

  /** How many there are. */
  get count(): number {
    return this.#schedules.size;
  }

  set(subject: string, sequence: number, dueAt: number): void {
    this.#schedules.set(subject, { sequence, dueAt, isStuck: false });
    this.#arm(dueAt);
  }

  /** A plain message on its subject ends a schedule. */
  removeSubject(subject: string): void {
    this.#schedules.delete(subject);
  }

  /** Its message is gone. */
  remove(subject: string, sequence: number): void {
    if (this.#schedules.get(subject)?.sequence === sequence) this.#schedules.delete(subject);
  }

  /** Another server leads now, or the same one again: tries what was refused before. */
  retryStuck(): void {
    for (const schedule of this.#schedules.values()) schedule.isStuck = false;
    this.#arm(this.nextDueAt);
  }

  close(): void {
    this.#stopTimer?.();
  }

  #arm(dueAt: number | undefined): void {
    if (dueAt === undefined) return;
    const { clock, delayMs } = this.#options;
    const now = clock.now();
    const pauseMs = Math.max(dueAt - now, SHORTEST_PAUSE_MS);
    // A timer that is set is only ever moved forward, or it might be moved away for ever.
    if (now + pauseMs >= this.#wakeAt) return;
    this.#stopTimer?.();
    this.#wakeAt = now + pauseMs;
    this.#stopTimer = clock.after(pauseMs + delayMs(), () => this.#wake());
  }

  #wake(): void {
    const now = this.#options.clock.now();
    const due = [...this.#schedules.values()]
      .filter(({ dueAt, isStuck }) => dueAt <= now && !isStuck)
      .sort((a, b) => a.sequence - b.sequence);
    for (const schedule of due) schedule.isStuck = true;
    this.#options.fire(due.map(({ sequence }) => sequence));
    this.#wakeAt = Number.POSITIVE_INFINITY;
    this.#arm(this.nextDueAt);
  }
}
