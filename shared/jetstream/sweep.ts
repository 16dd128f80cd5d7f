/** One timer for any number of deadlines: it runs only while something is pending. */
import type { CancelTimer, Clock } from "../clock.ts";

/**
 * Looks at all pending deadlines at a fixed interval instead of setting a timer for each. A deadline
 * is noticed up to one interval late.
 */
export class Sweep {
  readonly #clock: Clock;
  readonly #intervalMs: number;
  readonly #sweep: (now: number) => boolean;
  #cancel: CancelTimer | undefined;

  /** @param sweep Ends what is overdue at `now` (monotonic) and says whether anything is left. */
  constructor(clock: Clock, intervalMs: number, sweep: (now: number) => boolean) {
    this.#clock = clock;
    this.#intervalMs = intervalMs;
    this.#sweep = sweep;
  }

  /** Makes sure that the timer runs. Call it when something became pending. */
  wake(): void {
    if (this.#cancel !== undefined) return;
    this.#cancel = this.#clock.after(this.#intervalMs, () => {
      this.#cancel = undefined;
      if (this.#sweep(this.#clock.monotonic())) this.wake();
    });
  }

  stop(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }
}
