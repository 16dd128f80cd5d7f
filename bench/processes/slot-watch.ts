/** How much of the slots' time is idle while work is ready. */
import { alternating, seen } from "../tasks.ts";

/** How often is looked. */
const LOOK_MS = 1;

/** What is looked at. */
export interface WatchOptions {
  /** Slots of the pool. */
  readonly capacity: number;
  /** How many runs have been started; those that have not begun are ready. */
  readonly runs: number;
}

/**
 * Looks at the slots of the worker in this process as often as its event loop allows. Time counts
 * while at least as many runs are ready as there are slots: those that have not begun, those at work,
 * and those whose sleep is over.
 */
export class SlotWatch {
  readonly #busy: () => number;
  #options: WatchOptions = { capacity: 0, runs: 0 };
  #timer: NodeJS.Timeout | undefined;
  #lookedAt = 0;
  #idleMs = 0;
  #slotMs = 0;

  constructor(busy: () => number) {
    this.#busy = busy;
  }

  /** Begins to look. */
  begin(options: WatchOptions): void {
    this.#options = options;
    this.#idleMs = 0;
    this.#slotMs = 0;
    this.#lookedAt = performance.now();
    this.#timer = setInterval(() => this.#look(), LOOK_MS);
  }

  /** Ends looking; returns the idle share of the slots' time, NaN when work was never ready. */
  end(): number {
    clearInterval(this.#timer);
    return this.#slotMs === 0 ? Number.NaN : this.#idleMs / this.#slotMs;
  }

  #look(): void {
    const now = performance.now();
    const elapsedMs = now - this.#lookedAt;
    this.#lookedAt = now;
    const { capacity } = this.#options;
    if (this.#readyCount(now) < capacity) return;
    this.#slotMs += elapsedMs * capacity;
    this.#idleMs += elapsedMs * Math.max(0, capacity - this.#busy());
  }

  #readyCount(now: number): number {
    let count = this.#options.runs - seen.begun;
    for (const sleepsUntil of alternating.values()) if (sleepsUntil <= now) count++;
    return count;
  }
}
