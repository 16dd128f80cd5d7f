/**
 * The seam for time. Nothing else in the engine, the worker or the client reads a clock or sets a
 * timer, so that tests can step time by hand.
 */

/** Ends a timer before it fires. Harmless afterwards. */
export type CancelTimer = () => void;

/** Reads time and sets timers. All figures are milliseconds. */
export interface Clock {
  /** Wall-clock time since the epoch. May jump; used only for what people and other machines see. */
  now(): number;
  /** Time since some fixed point. Never goes back; used for every decision about age. */
  monotonic(): number;
  /** Calls `fire` once after `delayMs`, which may be longer than a plain timer allows. */
  after(delayMs: number, fire: () => void): CancelTimer;
}

/** The longest delay a Node timer takes; a longer one would fire at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** The clock of this process. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after(delayMs, fire) {
    let timer: NodeJS.Timeout;
    const wait = (restMs: number): void => {
      const partMs = Math.min(Math.max(restMs, 0), LONGEST_TIMER_MS);
      timer = setTimeout(() => (restMs > partMs ? wait(restMs - partMs) : fire()), partMs);
    };
    wait(delayMs);
    return () => clearTimeout(timer);
  },
};

/** A clock that stands still until it is told to advance, for tests. */
export class SteppingClock implements Clock {
  #nowMs: number;
  #timers: { dueMs: number; order: number; fire: () => void }[] = [];
  #order = 0;

  constructor(startMs = 0) {
    this.#nowMs = startMs;
  }

  now(): number {
    return this.#nowMs;
  }

  monotonic(): number {
    return this.#nowMs;
  }

  after(delayMs: number, fire: () => void): CancelTimer {
    const timer = { dueMs: this.#nowMs + Math.max(delayMs, 0), order: this.#order++, fire };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  /** When the next timer is due, if any is set. */
  nextDue(): number | undefined {
    return this.#sorted()[0]?.dueMs;
  }

  /** Moves time on by `ms` and fires what has become due, in order. */
  advance(ms: number): void {
    const untilMs = this.#nowMs + ms;
    for (;;) {
      const next = this.#sorted()[0];
      if (!next || next.dueMs > untilMs) break;
      this.#timers = this.#timers.filter((other) => other !== next);
      this.#nowMs = Math.max(this.#nowMs, next.dueMs);
      next.fire();
    }
    this.#nowMs = untilMs;
  }

  #sorted(): { dueMs: number; order: number; fire: () => void }[] {
    return this.#timers.sort((a, b) => a.dueMs - b.dueMs || a.order - b.order);
  }
}
