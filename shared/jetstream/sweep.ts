/** One timer for any number of deadlines: it runs only while something is pending. */
import type { CancelTimer, Clock } from "../clock.ts";

/**
 * A timer that fires so late belongs to a process that stood still: code that computes, a laptop that
 * slept. What was sent to it meanwhile is in its socket, and Node reads that after its timers.
 */
const STANDSTILL_MS = 500;

/**
 * Looks at all pending deadlines at a fixed interval instead of setting a timer for each. A deadline
 * is noticed up to one interval late, and after a standstill one more, so that what has come by then
 * is heard first.
 */
export class Sweep {
  readonly #clock: Clock;
  readonly #intervalMs: number;
  readonly #sweep: (now: number) => boolean;
  #cancel: CancelTimer | undefined;
  #isListening = false;

  /** @param sweep Ends what is overdue at `now` (monotonic) and says whether anything is left. */
  constructor(clock: Clock, intervalMs: number, sweep: (now: number) => boolean) {
    this.#clock = clock;
    this.#intervalMs = intervalMs;
    this.#sweep = sweep;
  }

  /** Makes sure that the timer runs. Call it when something became pending. */
  wake(): void {
    if (this.#cancel !== undefined) return;
    const dueAt = this.#clock.monotonic() + this.#intervalMs;
    this.#cancel = this.#clock.after(this.#intervalMs, () => {
      this.#cancel = undefined;
      const isLate = this.#clock.monotonic() - dueAt > STANDSTILL_MS;
      this.#isListening = isLate && !this.#isListening;
      if (this.#isListening) this.wake();
      else if (this.#sweep(this.#clock.monotonic())) this.wake();
    });
  }

  stop(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }
}
