import test from "ava";
import type { Clock } from "../../../shared/clock.ts";
import { Sweep } from "../../../shared/jetstream/sweep.ts";

/** A clock whose timer fires when the test says so, however late. */
class LateClock implements Clock {
  nowMs = 0;
  #fire: (() => void) | undefined;

  now(): number {
    return this.nowMs;
  }

  monotonic(): number {
    return this.nowMs;
  }

  after(_delayMs: number, fire: () => void): () => void {
    this.#fire = fire;
    return () => {
      this.#fire = undefined;
    };
  }

  /** Fires the timer so long after now. */
  fireAfter(ms: number): void {
    this.nowMs += ms;
    const fire = this.#fire;
    this.#fire = undefined;
    fire?.();
  }

  get isSet(): boolean {
    return this.#fire !== undefined;
  }
}

test("deadlines are looked at one interval later when the process stood still, and then at once", (t) => {
  const clock = new LateClock();
  const sweeps: number[] = [];
  const sweep = new Sweep(clock, 100, (now) => sweeps.push(now) < 3);
  sweep.wake();
  clock.fireAfter(100);
  t.deepEqual(sweeps, [100]);
  clock.fireAfter(5_000);
  t.deepEqual(sweeps, [100], "what came meanwhile is heard first");
  clock.fireAfter(100);
  t.deepEqual(sweeps, [100, 5_200]);
  clock.fireAfter(5_000);
  clock.fireAfter(5_000);
  t.deepEqual(sweeps, [100, 5_200, 15_200], "a process that is always late sweeps all the same");
  t.false(clock.isSet);
});
