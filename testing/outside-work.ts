/**
 * User code that is at work: virtual time stands still for it, so that a step may read a file. Code
 * that takes too long is taken for hanging, and time passes it by, so that its time limit can be tried.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import { systemClock } from "../shared/clock.ts";

interface Work {
  readonly settled: Promise<unknown>;
  /** Calls of the kit that it awaits: these need time to pass. */
  calls: number;
  isHanging: boolean;
}

/** What is at work in one kit. */
export class OutsideWork {
  readonly #patienceMs: number;
  readonly #working: Set<Work> = new Set();
  readonly #current: AsyncLocalStorage<Work> = new AsyncLocalStorage();

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
    const work: Work = { settled, calls: 0, isHanging: false };
    this.#working.add(work);
    try {
      return await this.#current.run(work, act);
    } finally {
      this.#working.delete(work);
      settle();
    }
  }

  /** A call of the kit: if code that is at work makes it, time passes meanwhile. */
  async call<T>(promise: Promise<T>): Promise<T> {
    const work = this.#current.getStore();
    if (work) work.calls++;
    try {
      return await promise;
    } finally {
      if (work) work.calls--;
    }
  }

  /** Resolves when something that is at work has ended, or hangs; nothing when there is nothing. */
  readonly waited = (): Promise<void> | undefined => {
    const working = [...this.#working].filter(({ calls, isHanging }) => calls === 0 && !isHanging);
    return working.length === 0 ? undefined : this.#waitFor(working);
  };

  async #waitFor(working: readonly Work[]): Promise<void> {
    let stop: () => void = () => {};
    const patience = new Promise<void>((resolve) => {
      stop = systemClock.after(this.#patienceMs, () => {
        for (const work of working) work.isHanging = true;
        resolve();
      });
    });
    await Promise.race([patience, ...working.map(({ settled }) => settled)]);
    stop();
  }
}
