/**
 * Time that stands still while anybody is at work and then jumps to the next timer, so that days pass
 * in milliseconds and every run of a program with the same inputs is the same run.
 *
 * V1. Timers fire one at a time, by due time, then in the order in which they were set; before the
 *     next one all microtasks and turns of the event loop that the last one led to are over.
 * V2. What waits for anything else (a socket, a file, a timer of Node) is not waited for, unless it is
 *     told of (`outside`).
 */
import type { CancelTimer, Clock } from "../clock.ts";
import { InvariantError } from "../errors.ts";
import { waitingForTurn } from "../turn.ts";

interface Timer {
  readonly dueAt: number;
  readonly order: number;
  fire: (() => void) | undefined;
}

/** When to give up. */
export interface RunLimits {
  /** Virtual time from now on. Default 30 days. */
  readonly withinMs?: number;
  /** Timers that fire. Default 10 million. */
  readonly steps?: number;
}

/** How virtual time begins and passes. */
export interface VirtualTimeOptions {
  /** What the wall clock shows at first. Default the beginning of 2026. */
  readonly startMs?: number;
  /**
   * When nothing that matters happens before some time, this time on the monotonic clock: what is due
   * until then fires late, at once. Without it every timer is waited for.
   */
  readonly idleUntil?: () => number | undefined;
  /**
   * What is under way outside of this time, such as code that awaits a file: no timer fires until it is
   * over. Nothing when there is nothing.
   */
  readonly outside?: () => Promise<void> | undefined;
}

/** Shorter times are waited for timer by timer. */
const SHORTEST_LEAP_MS = 10_000;
const START_MS = Date.UTC(2026, 0, 1);
const WITHIN_MS = 30 * 86_400_000;
const STEPS = 10_000_000;
const STEPS_IN_ONE_TURN = 1_000;

/** A clock, and what drives it. */
export class VirtualTime implements Clock {
  readonly #startMs: number;
  readonly #idleUntil: (() => number | undefined) | undefined;
  readonly #outside: (() => Promise<void> | undefined) | undefined;
  /** Milliseconds since the start. */
  #elapsedMs = 0;
  /** A heap: the first is the next. */
  readonly #timers: Timer[] = [];
  #order = 0;
  #steps = 0;

  constructor({ startMs = START_MS, idleUntil, outside }: VirtualTimeOptions = {}) {
    this.#startMs = startMs;
    this.#outside = outside;
    this.#idleUntil = idleUntil;
  }

  /** Timers fired so far. */
  get steps(): number {
    return this.#steps;
  }

  now(): number {
    return this.#startMs + this.#elapsedMs;
  }

  monotonic(): number {
    return this.#elapsedMs;
  }

  after(delayMs: number, fire: () => void): CancelTimer {
    const dueAt = this.#elapsedMs + Math.max(delayMs, 0);
    const timer: Timer = { dueAt, order: this.#order++, fire };
    this.#push(timer);
    return () => {
      timer.fire = undefined;
    };
  }

  /** Returns when nothing happens any more without the next timer. */
  async settle(): Promise<void> {
    await this.#settleInside();
    for (let outside = this.#outside?.(); outside; outside = this.#outside?.()) {
      await outside;
      await this.#settleInside();
    }
  }

  async #settleInside(): Promise<void> {
    await Promise.resolve(); // from here on this is a microtask, and ticks come after all of those
    await new Promise((resolve) => process.nextTick(resolve));
    // Others in this process get their turn now and then, such as a test's own timeout.
    if (this.#steps % STEPS_IN_ONE_TURN === 0)
      await new Promise((resolve) => setImmediate(resolve));
    // Not a turn that anybody counts: several of these may run in one process.
    while (waitingForTurn() > 0) await new Promise((resolve) => setImmediate(resolve));
  }

  /** Fires the next timer, and waits until everything that it leads to is over. False if none is set. */
  async step(): Promise<boolean> {
    const timer = this.#pop();
    if (timer === undefined) return false;
    this.#elapsedMs = Math.max(this.#elapsedMs, timer.dueAt);
    this.#steps++;
    timer.fire?.();
    await this.settle();
    return true;
  }

  /** Runs until the condition holds, which is looked at after each timer. */
  async until(
    isDone: () => boolean,
    { withinMs = WITHIN_MS, steps = STEPS }: RunLimits = {},
  ): Promise<void> {
    const lastMs = this.#elapsedMs + withinMs;
    const lastStep = this.#steps + steps;
    await this.settle();
    while (!isDone()) {
      this.#leapIfIdle(lastMs);
      if (this.#elapsedMs > lastMs || this.#steps >= lastStep || !(await this.step()))
        throw new InvariantError(
          `What was waited for did not happen within ${this.#elapsedMs - lastMs + withinMs} ms of virtual time and ${this.#steps - lastStep + steps} timers.`,
        );
    }
  }

  /** Runs until the promise is settled, and returns what it came to. */
  async run<T>(promise: Promise<T>, limits?: RunLimits): Promise<T> {
    let isSettled = false;
    const settled = (): void => {
      isSettled = true;
    };
    promise.then(settled, settled);
    await this.until(() => isSettled, limits);
    return promise;
  }

  /** Lets time pass. */
  async advance(ms: number): Promise<void> {
    const target = this.#elapsedMs + ms;
    const lastStep = this.#steps + STEPS;
    await this.settle();
    while ((this.#next?.dueAt ?? Number.POSITIVE_INFINITY) <= target) {
      if (this.#steps >= lastStep)
        throw new InvariantError(`Time did not pass within ${STEPS} timers.`);
      this.#leapIfIdle(target);
      await this.step();
    }
    this.#elapsedMs = Math.max(this.#elapsedMs, target);
  }

  /** Nobody notices, as when the whole machine sleeps: what was due meanwhile fires late. */
  #leapIfIdle(atMostMs: number): void {
    const target = Math.min(this.#idleUntil?.() ?? 0, atMostMs);
    if (target - this.#elapsedMs > SHORTEST_LEAP_MS) this.#elapsedMs = target;
  }

  get #next(): Timer | undefined {
    for (;;) {
      const next = this.#timers[0];
      if (next === undefined || next.fire !== undefined) return next;
      this.#removeFirst();
    }
  }

  #pop(): Timer | undefined {
    const next = this.#next;
    if (next !== undefined) this.#removeFirst();
    return next;
  }

  #push(timer: Timer): void {
    const heap = this.#timers;
    let at = heap.length;
    while (at > 0) {
      const above = (at - 1) >> 1;
      const parent = heap[above] as Timer;
      if (!isBefore(timer, parent)) break;
      heap[at] = parent;
      at = above;
    }
    heap[at] = timer;
  }

  #removeFirst(): void {
    const heap = this.#timers;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let at = 0;
    for (;;) {
      let below = 2 * at + 1;
      const [left, right] = [heap[below], heap[below + 1]];
      if (left === undefined) break;
      if (right !== undefined && isBefore(right, left)) below++;
      const child = heap[below] as Timer;
      if (!isBefore(child, last)) break;
      heap[at] = child;
      at = below;
    }
    heap[at] = last;
  }
}

function isBefore(one: Timer, other: Timer): boolean {
  return one.dueAt < other.dueAt || (one.dueAt === other.dueAt && one.order < other.order);
}
