/** A clock that runs like the real one, and that a test can set, hurry and stop. */
import { type CancelTimer, type Clock, systemClock } from "../../shared/clock.ts";

/** The clock of one worker of a test. */
export class HandClock implements Clock {
  /** Milliseconds by which what people see is off. */
  wallOffsetMs = 0;
  /** Timers take this share of their time. */
  pace = 1;
  /** How many timers were set so far. */
  timerCount = 0;
  #skippedMs = 0;
  #isStopped = false;
  readonly #timers = new Set<CancelTimer>();

  now(): number {
    return systemClock.now() + this.wallOffsetMs;
  }

  monotonic(): number {
    return systemClock.monotonic() + this.#skippedMs;
  }

  after(delayMs: number, fire: () => void): CancelTimer {
    if (this.#isStopped) return () => {};
    this.timerCount++;
    const cancel = systemClock.after(delayMs * this.pace, () => {
      this.#timers.delete(cancel);
      fire();
    });
    this.#timers.add(cancel);
    return () => {
      this.#timers.delete(cancel);
      cancel();
    };
  }

  /** So much time goes by at once, for everything that asks how old something is. */
  skip(ms: number): void {
    this.#skippedMs += ms;
  }

  /** No timer fires any more. */
  stop(): void {
    this.#isStopped = true;
    for (const cancel of this.#timers) cancel();
    this.#timers.clear();
  }
}
