/** One attempt of a step. Says how it ended as an entry; commits nothing itself. */
import type { StepContext } from "../shared/contexts.ts";
import type { Entry } from "../shared/entries.ts";
import { TimeoutError } from "../shared/errors.ts";
import { toFailure } from "../shared/failures.ts";
import { hashId, type RandomSource } from "../shared/ids.ts";
import { retryDelayMs } from "../shared/retry.ts";
import type { RunState } from "../shared/run-state.ts";
import type { ServerClock } from "../shared/server-clock.ts";
import type { RunAddress } from "../shared/subjects.ts";
import type { Operation } from "./execution.ts";
import type { Services } from "./services.ts";
import type { StepWork } from "./work.ts";

/** What a step needs to know of its run. */
export interface StepRun {
  readonly address: RunAddress;
  readonly state: RunState;
  readonly serverClock: ServerClock;
  /** Makes the pauses between attempts differ. */
  readonly random: RandomSource;
  /** Whether the pass is over: nothing more is recorded. */
  readonly isOver: boolean;
  /** Whether the run is surely ours (rule 8). */
  prove(): Promise<boolean>;
}

/** One attempt of a step. */
export interface StepAttempt {
  readonly operation: Operation<StepWork>;
  /** From 1. */
  readonly attempt: number;
  /** What the action gets: aborts when the pass is over or the run is canceled. Made when asked for. */
  readonly signal: () => AbortSignal;
}

/** How an attempt ended. */
export type StepEntry = Extract<
  Entry,
  { kind: "step-completed" | "step-failed" | "attempt-failed" }
>;

/**
 * Executes one attempt of a step.
 * @returns The entry to commit, or nothing when the run was lost or given up meanwhile.
 */
export async function tryStep(
  services: Services,
  run: StepRun,
  { operation, attempt, signal }: StepAttempt,
): Promise<StepEntry | undefined> {
  const { key, at, work } = operation;
  const context = { run, key, attempt, tail: run.state.tail };
  if (!(await run.prove()) || run.isOver) return undefined;
  const startedAt = services.clock.monotonic();
  const before = services.failpoint("before-step");
  if (before) await before;
  const result = await limited(
    services,
    async (limitedSignal) => work.action(new ActionContext(context, limitedSignal)),
    { signal, timeoutMs: work.timeoutMs, what: `Step "${work.name}"` },
  );
  const after = services.failpoint("after-step");
  if (after) await after;
  const durationMs = Math.round(services.clock.monotonic() - startedAt);
  if (result.ok)
    return { kind: "step-completed", key, at, attempts: attempt, durationMs, value: result.value };
  const error = toFailure(result.thrown);
  const delayMs = retryDelayMs(work.retries, { error: result.thrown, attempt }, run.random);
  if (delayMs === undefined || signal().aborted)
    return { kind: "step-failed", key, at, attempts: attempt, durationMs, error };
  services.log.warn(`Step "${work.name}" failed and is tried again.`, {
    ...run.address,
    attempt,
    delayMs,
    error: error.message,
  });
  const retryAt = run.serverClock.latest() + delayMs;
  return { kind: "attempt-failed", key, at, attempt, error, retryAt };
}

/** What the action of a step gets. What costs more than a field is made when it is looked at. */
class ActionContext implements StepContext {
  readonly attempt: number;
  readonly #step: { readonly run: StepRun; readonly key: string; readonly tail: number };
  readonly #signal: () => AbortSignal;

  constructor(
    step: {
      readonly run: StepRun;
      readonly key: string;
      readonly attempt: number;
      /** Where the history ended when the attempt began. */
      readonly tail: number;
    },
    signal: () => AbortSignal,
  ) {
    this.attempt = step.attempt;
    this.#step = step;
    this.#signal = signal;
  }

  get signal(): AbortSignal {
    return this.#signal();
  }

  get idempotencyKey(): string {
    const { run, key } = this.#step;
    return hashId(run.address.taskName, run.address.runId, run.state.startSequence, key);
  }

  get fencingToken(): string {
    return String(this.#step.tail).padStart(16, "0");
  }
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
