/** Pauses between retries: they grow, and no two processes make the same ones. */
import type { Clock } from "../clock.ts";
import { jitter } from "../ids.ts";

/** How retries are spaced. */
export interface BackoffLimits {
  readonly shortestMs: number;
  readonly longestMs: number;
}

/** The pauses of one series of retries: each up to twice the one before, with jitter. */
export class Backoff {
  readonly #longestMs: number;
  #nextMs: number;

  constructor({ shortestMs, longestMs }: BackoffLimits) {
    this.#nextMs = shortestMs;
    this.#longestMs = longestMs;
  }

  /** Milliseconds to pause now: between half and all of the current step. */
  next(): number {
    const step = this.#nextMs;
    this.#nextMs = Math.min(step * 2, this.#longestMs);
    return step * (0.5 + jitter() / 2);
  }
}

/** Resolves after `delayMs`, or as soon as the signal is aborted. Never rejects. */
export function pause(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const done = (): void => {
      cancel();
      signal?.removeEventListener("abort", done);
      resolve();
    };
    const cancel = clock.after(delayMs, done);
    signal?.addEventListener("abort", done);
  });
}
