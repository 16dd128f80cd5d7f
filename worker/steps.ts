/** One attempt of a step. Says how it ended as an entry; commits nothing itself. */
import type { Entry } from "../shared/entries.ts";
import { TimeoutError } from "../shared/errors.ts";
import { toFailure } from "../shared/failures.ts";
import { hashId, type RandomSource } from "../shared/ids.ts";
import { retryDelayMs } from "../shared/retry.ts";
import type { Operation } from "./execution.ts";
import type { Services } from "./services.ts";
import type { StepWork } from "./work.ts";

/** What a step needs to know of its run. */
export interface StepRun {
  readonly taskName: string;
  readonly runId: string;
  readonly startSequence: number;
  readonly fencingToken: string;
  /** What the action gets: aborts when the pass is over or the run is canceled. */
  readonly userSignal: AbortSignal;
  readonly random: RandomSource;
  /** The server's clock. */
  readonly now: () => number;
  /** Whether the pass is over: nothing more is recorded. */
  readonly isOver: () => boolean;
  /** Whether the run is surely ours (rule 8). */
  readonly prove: () => Promise<boolean>;
}

/** How an attempt ended. */
export type StepEntry = Extract<
  Entry,
  { kind: "step-completed" | "step-failed" | "attempt-failed" }
>;

/**
 * Executes one attempt of a step.
 * @param attempt Its number, from 1.
 * @returns The entry to commit, or nothing when the run was lost or given up meanwhile.
 */
export async function tryStep(
  services: Services,
  run: StepRun,
  operation: Operation<StepWork>,
  attempt: number,
): Promise<StepEntry | undefined> {
  const { key, at, work } = operation;
  if (!(await run.prove()) || run.isOver()) return undefined;
  const startedAt = services.clock.monotonic();
  const before = services.failpoint("before-step");
  if (before) await before;
  const idempotencyKey = hashId(run.taskName, run.runId, run.startSequence, key);
  const { fencingToken } = run;
  const result = await limited(
    services,
    async (signal) => work.action({ attempt, idempotencyKey, fencingToken, signal: signal() }),
    { signal: () => run.userSignal, timeoutMs: work.timeoutMs, what: `Step "${work.name}"` },
  );
  const after = services.failpoint("after-step");
  if (after) await after;
  const durationMs = Math.round(services.clock.monotonic() - startedAt);
  const source = operation.source === undefined ? {} : { source: operation.source };
  const common = { key, at, attempts: attempt, durationMs, ...source };
  if (result.ok) return { kind: "step-completed", ...common, value: result.value };
  const error = toFailure(result.thrown);
  const delayMs = retryDelayMs(work.retries, { error: result.thrown, attempt }, run.random);
  if (delayMs === undefined || run.userSignal.aborted)
    return { kind: "step-failed", ...common, error };
  const { taskName, runId } = run;
  services.log.warn(`Step "${work.name}" failed and is tried again.`, {
    taskName,
    runId,
    attempt,
    delayMs,
    error: error.message,
  });
  return {
    kind: "attempt-failed",
    key,
    at,
    attempt,
    error,
    retryAt: run.now() + delayMs,
    ...source,
  };
}

type Attempt =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly thrown: unknown };

/**
 * Calls a function with a signal that aborts when the time limit is over or the outer one aborts.
 * When the limit is over it does not wait for the function: its late result is ignored.
 */
export async function limited(
  services: Services,
  call: (signal: () => AbortSignal) => Promise<unknown>,
  limit: { signal: () => AbortSignal; timeoutMs: number | undefined; what: string },
): Promise<Attempt> {
  const { timeoutMs } = limit;
  if (timeoutMs === undefined) return settled(call(limit.signal));
  const controller = new AbortController();
  const signal = AbortSignal.any([limit.signal(), controller.signal]);
  let stopTimer: () => void = () => {};
  const timeout = new Promise<Attempt>((resolve) => {
    stopTimer = services.clock.after(timeoutMs, () => {
      const thrown = new TimeoutError(
        `${limit.what} took longer than its limit of ${timeoutMs} ms.`,
        { timeoutMs },
      );
      controller.abort(thrown);
      resolve({ ok: false, thrown });
    });
  });
  try {
    return await Promise.race([settled(call(() => signal)), timeout]);
  } finally {
    stopTimer();
  }
}

async function settled(result: Promise<unknown>): Promise<Attempt> {
  try {
    return { ok: true, value: await result };
  } catch (thrown) {
    return { ok: false, thrown };
  }
}

/** Waits, or less when the signal aborts. */
export function pause(
  services: Pick<Services, "clock">,
  delayMs: number,
  signal?: AbortSignal,
): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const end = (): void => {
      stopTimer();
      signal?.removeEventListener("abort", end);
      resolve();
    };
    const stopTimer = services.clock.after(delayMs, end);
    signal?.addEventListener("abort", end);
  });
}
