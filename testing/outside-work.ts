/**
 * User code that is at work: virtual time stands still for it, so that a step may read a file. Code
 * that takes too long is taken for hanging, and time passes it by, so that its time limit can be tried.
 */
import { systemClock } from "../shared/clock.ts";

interface Work {
  readonly settled: Promise<unknown>;
  isHanging: boolean;
}

/** What is at work in one kit. */
export class OutsideWork {
  readonly #patienceMs: number;
  readonly #working: Set<Work> = new Set();
  /** Calls of the kit that were made while code was at work, most likely by it: they need time to pass. */
  #calls = 0;
  #wake: () => void = () => {};

  /** @param patienceMs Real time after which code is taken for hanging. */
  constructor(patienceMs: number) {
    this.#patienceMs = patienceMs;
  }

  /** Does something that time waits for. */
  async do<T>(act: () => T | Promise<T>): Promise<T> {
    let settle: () => void = () => {};
    const settled = new Promise<void>((resolve) => {
      settle = resolve;
    });
    const work: Work = { settled, isHanging: false };
    this.#working.add(work);
    try {
      return await act();
    } finally {
      this.#working.delete(work);
      settle();
    }
  }

  /** A short call of the kit: if code that is at work makes it, time passes meanwhile. */
  async call<T>(promise: Promise<T>): Promise<T> {
    if (this.#working.size === 0) return promise;
    this.#calls++;
    this.#wake();
    try {
      return await promise;
    } finally {
      this.#calls--;
    }
  }

  /** Resolves when something that is at work has ended, or hangs; nothing when there is nothing. */
  readonly waited = (): Promise<void> | undefined => {
    if (this.#calls > 0 || this.#working.size === 0) return undefined;
    const working = [...this.#working].filter(({ isHanging }) => !isHanging);
    return working.length === 0 ? undefined : this.#waitFor(working);
  };

  async #waitFor(working: readonly Work[]): Promise<void> {
    let stop: () => void = () => {};
    const over = new Promise<void>((resolve) => {
      this.#wake = resolve;
      stop = systemClock.after(this.#patienceMs, () => {
        for (const work of working) work.isHanging = true;
        resolve();
      });
    });
    await Promise.race([over, ...working.map(({ settled }) => settled)]);
    stop();
  }
}
