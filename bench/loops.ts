/** Load: closed loops, bursts and random arrivals, for ours and the ceilings alike. */

/** Closed loops: each begins its next operation when the one before has ended. */
export interface LoopOptions {
  readonly concurrency: number;
  readonly warmUpMs: number;
  /** How long is measured after the warm-up. */
  readonly durationMs: number;
}

/** What the loops did. */
export interface LoopResult {
  /** Of the operations that began and ended within the measured time. */
  readonly latenciesMs: Float64Array;
  readonly perSecond: number;
  /** Operations that ended in each tenth of a second of the measured time. */
  readonly tenths: readonly number[];
  /** All operations, those of the warm-up too. */
  readonly total: number;
}

/** Counts in a pass that is measured last so long. */
const TENTH_MS = 100;

/**
 * Runs closed loops over an operation. The first error of any of them ends all.
 * @throws What an operation throws.
 */
export async function closedLoops(
  { concurrency, warmUpMs, durationMs }: LoopOptions,
  operate: (index: number) => Promise<void>,
): Promise<LoopResult> {
  const beginsAt = performance.now() + warmUpMs;
  const endsAt = beginsAt + durationMs;
  const latencies: number[] = [];
  const tenths = new Array<number>(Math.ceil(durationMs / TENTH_MS)).fill(0);
  let total = 0;
  let failure: unknown;
  const loop = async (): Promise<void> => {
    while (failure === undefined) {
      const startedAt = performance.now();
      if (startedAt >= endsAt) return;
      await operate(total++);
      const endedAt = performance.now();
      if (endedAt < beginsAt || endedAt >= endsAt) continue;
      const tenth = Math.floor((endedAt - beginsAt) / TENTH_MS);
      tenths[tenth] = (tenths[tenth] ?? 0) + 1;
      if (startedAt >= beginsAt) latencies.push(endedAt - startedAt);
    }
  };
  await Promise.all(
    Array.from({ length: concurrency }, () =>
      loop().catch((error: unknown) => {
        failure ??= error ?? new Error("An operation failed without an error.");
      }),
    ),
  );
  if (failure !== undefined) throw failure;
  const ended = tenths.reduce((sum, count) => sum + count, 0);
  return {
    latenciesMs: Float64Array.from(latencies),
    perSecond: (ended / durationMs) * 1_000,
    tenths,
    total,
  };
}

/** Operates so many times, so many at once. @throws What an operation throws. */
export async function burst(
  { count, concurrency = count }: { readonly count: number; readonly concurrency?: number },
  operate: (index: number) => Promise<void>,
): Promise<void> {
  let next = 0;
  const loop = async (): Promise<void> => {
    while (next < count) await operate(next++);
  };
  await Promise.all(Array.from({ length: Math.min(concurrency, count) }, loop));
}

/**
 * Begins operations at random, independent times (Poisson arrivals), whether or not earlier ones have
 * ended, and resolves when all have ended.
 * @throws What an operation throws.
 */
export async function arrivals(
  { perSecond, durationMs }: { readonly perSecond: number; readonly durationMs: number },
  operate: (index: number) => Promise<void>,
): Promise<void> {
  const startedAt = performance.now();
  const running: Promise<void>[] = [];
  let failure: unknown;
  let dueAt = 0;
  for (let index = 0; dueAt < durationMs && failure === undefined; index++) {
    const restMs = startedAt + dueAt - performance.now();
    if (restMs > 0) await new Promise((resolve) => setTimeout(resolve, restMs));
    running.push(
      operate(index).catch((error: unknown) => {
        failure ??= error;
      }),
    );
    dueAt += (-Math.log(1 - Math.random()) / perSecond) * 1_000;
  }
  await Promise.all(running);
  if (failure !== undefined) throw failure;
}

/** Milliseconds since the epoch with a fraction, comparable between processes of one machine. */
export function preciseNow(): number {
  return performance.timeOrigin + performance.now();
}
