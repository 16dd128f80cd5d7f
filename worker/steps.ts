/** The attempt loop of a step. Says how it ended as an entry; commits nothing itself. */
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
  /** Aborts when the pass is over: nothing more is recorded. */
  readonly signal: AbortSignal;
  /** What the action gets: aborts also when the run is canceled. */
  readonly userSignal: AbortSignal;
  readonly random: RandomSource;
  /** Whether the run is surely ours (rule 8). */
  readonly prove: () => Promise<boolean>;
}

/**
 * Executes a step until it succeeds or its attempts are used up.
 * @returns The entry to commit, or nothing when the run was lost or given up meanwhile.
 */
export async function runStep(
  services: Services,
  run: StepRun,
  operation: Operation<StepWork>,
): Promise<Entry | undefined> {
  const { key, at, work } = operation;
  const idempotencyKey = hashId(run.taskName, run.runId, run.startSequence, key);
  const startedAt = services.clock.monotonic();
  for (let attempt = 1; ; attempt++) {
    if (!(await run.prove()) || run.signal.aborted) return undefined;
    const point = services.failpoint("before-step");
    if (point) await point;
    const result = await tryOnce(services, run, work, { attempt, idempotencyKey });
    const after = services.failpoint("after-step");
    if (after) await after;
    const durationMs = Math.round(services.clock.monotonic() - startedAt);
    if (result.ok) {
      const { value } = result;
      return { kind: "step-completed", key, at, attempts: attempt, durationMs, value };
    }
    const { thrown } = result;
    const delayMs = retryDelayMs(work.retries, { error: thrown, attempt }, run.random);
    if (delayMs === undefined || run.userSignal.aborted) {
      const error = toFailure(thrown);
      return { kind: "step-failed", key, at, attempts: attempt, durationMs, error };
    }
    services.log.warn(`Step "${work.name}" failed and is tried again.`, {
      taskName: run.taskName,
      runId: run.runId,
      attempt,
      delayMs,
      error: toFailure(thrown).message,
    });
    await pause(services, delayMs, run.userSignal);
  }
}

type Attempt =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly thrown: unknown };

async function tryOnce(
  services: Services,
  run: StepRun,
  work: StepWork,
  step: { readonly attempt: number; readonly idempotencyKey: string },
): Promise<Attempt> {
  const { fencingToken } = run;
  const call = async (signal: () => AbortSignal): Promise<unknown> =>
    work.action({ ...step, fencingToken, signal: signal() });
  return limited(services, call, {
    signal: () => run.userSignal,
    timeoutMs: work.timeoutMs,
    what: `Step "${work.name}"`,
  });
}

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
