/**
 * Lets the time of a kit pass for as long as somebody waits for something, however many do.
 *
 * T1. Time passes only while somebody waits.
 * T2. It never passes the point up to which somebody advances it.
 */
import type { MemoryWorld } from "../shared/memory/memory-world.ts";
import { TestKitError } from "./errors.ts";

interface Waiter {
  readonly isDone: () => boolean;
  /** Monotonic time up to which time may pass for it. */
  readonly until: number;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/** Timers that may fire for one thing that is waited for: many times what any test needs. */
const MOST_STEPS = 2_000_000;
/** Turns of the event loop that a test gets to do something before it is said to be stuck. */
const TURNS_BEFORE_STUCK = 10;

/** Drives one world. */
export class Driver {
  readonly #waiters: Set<Waiter> = new Set();
  #world: MemoryWorld | undefined;
  #isDriving = false;

  /** How far time may leap. */
  readonly leapTo = (): number => {
    let leapTo = Number.POSITIVE_INFINITY;
    for (const { until } of this.#waiters) leapTo = Math.min(leapTo, until);
    return leapTo;
  };

  /** @param world What is driven. Set once, before anything else. */
  set world(world: MemoryWorld) {
    this.#world = world;
  }

  /**
   * Lets time pass until the promise is settled.
   * @throws {TestKitError} When nothing can happen any more and it is not.
   */
  async settled<T>(promise: Promise<T>): Promise<T> {
    let isDone = false;
    const done = (): void => {
      isDone = true;
    };
    promise.then(done, done);
    await this.until(() => isDone);
    return promise;
  }

  /** Lets time pass until the condition holds. */
  until(isDone: () => boolean, until: number = Number.POSITIVE_INFINITY): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiters.add({ isDone, until, resolve, reject });
      if (!this.#isDriving) void this.#drive();
    });
  }

  async #drive(): Promise<void> {
    this.#isDriving = true;
    const { time } = this.#world as MemoryWorld;
    try {
      while (this.#waiters.size > 0) {
        const isOver = (): boolean => this.#hasNews || this.#isStuck;
        await time.until(isOver, { withinMs: Number.POSITIVE_INFINITY, steps: MOST_STEPS });
        if (!this.#hasNews && !(await this.#isStuckStill())) continue;
        for (const waiter of this.#waiters)
          if (waiter.isDone()) this.#end(waiter, waiter.resolve);
          else if (!this.#hasNews && this.#isStuck) this.#end(waiter, () => waiter.reject(stuck()));
      }
    } catch (error) {
      for (const waiter of this.#waiters) this.#end(waiter, () => waiter.reject(error as Error));
    } finally {
      this.#isDriving = false;
    }
  }

  #end(waiter: Waiter, tell: () => void): void {
    this.#waiters.delete(waiter);
    tell();
  }

  get #hasNews(): boolean {
    for (const { isDone } of this.#waiters) if (isDone()) return true;
    return false;
  }

  /** Nothing is due, nobody is at work, and nobody advances the time. */
  get #isStuck(): boolean {
    const { isIdle, server } = this.#world as MemoryWorld;
    return isIdle && server.nextDueAt === undefined && !Number.isFinite(this.leapTo());
  }

  /** The test itself may be on its way to do something. */
  async #isStuckStill(): Promise<boolean> {
    for (let turn = 0; turn < TURNS_BEFORE_STUCK; turn++)
      await new Promise((resolve) => setImmediate(resolve));
    return this.#isStuck;
  }
}

function stuck(): TestKitError {
  return new TestKitError(
    "What the test waits for cannot happen: nothing is due, and nobody is at work.",
  );
}
