/** The clock of one process of a simulation, which can be stopped, set and ended. */
import type { CancelTimer, Clock } from "../clock.ts";

/** A clock over another one. */
export class ProcessClock implements Clock {
  readonly #clock: Clock;
  readonly #offsetMs: number;
  #state: "running" | "stopped" | "ended" = "running";
  /** What was due while it was stopped. */
  #late: (() => void)[] = [];

  /** @param offsetMs How much the wall clock of this process is ahead. Default 0. */
  constructor(clock: Clock, offsetMs = 0) {
    this.#clock = clock;
    this.#offsetMs = offsetMs;
  }

  /** Whether the process has ended. */
  get isEnded(): boolean {
    return this.#state === "ended";
  }

  now(): number {
    return this.#clock.now() + this.#offsetMs;
  }

  monotonic(): number {
    return this.#clock.monotonic();
  }

  after(delayMs: number, fire: () => void): CancelTimer {
    if (this.#state === "ended") return () => {};
    let isCanceled = false;
    const run = (): void => {
      if (isCanceled || this.#state === "ended") return;
      if (this.#state === "stopped") this.#late.push(run);
      else fire();
    };
    const cancel = this.#clock.after(delayMs, run);
    return () => {
      isCanceled = true;
      cancel();
    };
  }

  /** Holds all timers back, as SIGSTOP does. */
  stop(): void {
    if (this.#state === "running") this.#state = "stopped";
  }

  /** Fires what was due meanwhile. */
  resume(): void {
    if (this.#state !== "stopped") return;
    this.#state = "running";
    for (const run of this.#late.splice(0)) run();
  }

  /** No timer fires any more. */
  end(): void {
    this.#state = "ended";
    this.#late = [];
  }
}
