/** One attempt of a step. Says how it ended as an entry; commits nothing itself. */
import type { CancelTimer } from "../shared/clock.ts";
import type { StepContext } from "../shared/contexts.ts";
import { continuations, idempotencyKey } from "../shared/continuation.ts";
import type { Entry } from "../shared/entries.ts";
import { TimeoutError } from "../shared/errors.ts";
import { toFailure } from "../shared/failures.ts";
import type { RandomSource } from "../shared/ids.ts";
import { retryDelayMs } from "../shared/retry.ts";
import type { RunState } from "../shared/run-state.ts";
import type { ServerClock } from "../shared/server-clock.ts";
import type { RunAddress } from "../shared/subjects.ts";
import type { Operation } from "./execution.ts";
import { Heartbeats } from "./heartbeats.ts";
import { earlier } from "./run-limits.ts";
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
  prove(): boolean | Promise<boolean>;
}

/** One attempt of a step. */
export interface StepAttempt {
  readonly operation: Operation<StepWork>;
  /** From 1. */
  readonly attempt: number;
  /** What the action gets: aborts when the pass is over or the run is canceled. Made when asked for. */
  readonly signal: () => AbortSignal;
  /** Puts an entry into the history while the attempt goes on. */
  readonly record: (entry: Entry) => void;
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
  { operation, attempt, signal, record }: StepAttempt,
): Promise<StepEntry | undefined> {
  const { key, at, askedAt, work } = operation;
  const { totalTimeoutMs, heartbeatTimeoutMs } = work;
  const endsAt = askedAt + (totalTimeoutMs ?? Number.POSITIVE_INFINITY);
  const heartbeats = new Heartbeats({
    clock: services.clock,
    record: (details) => record({ kind: "heartbeat", key, details }),
  });
  const lastHeartbeat = run.state.heartbeats.get(key);
  const { tail } = run.state;
  const history = continuations(run.state);
  const context = { run, key, attempt, tail, history, heartbeats, lastHeartbeat };
  if (!(await run.prove()) || run.isOver) return undefined;
  const startedAt = services.clock.monotonic();
  const before = services.failpoint("before-step");
  if (before) await before;
  const result = await limited(
    services,
    (limitedSignal) => work.action(new ActionContext(context, limitedSignal)),
    {
      signal,
      timeoutMs: earlier(work.timeoutMs, leftUntil(endsAt, run)),
      heartbeatTimeoutMs,
      heartbeats,
      what: `Step "${work.name}"`,
    },
  );
  const after = services.failpoint("after-step");
  if (after) await after;
  const durationMs = Math.round(services.clock.monotonic() - startedAt);
  const source = operation.source === undefined ? {} : { source: operation.source };
  const common = { key, at, attempts: attempt, durationMs, ...source };
  if (result.ok) return { kind: "step-completed", ...common, value: result.value };
  const error = toFailure(result.thrown);
  const delayMs = retryDelayMs(work.retries, { error: result.thrown, attempt }, run.random);
  if (delayMs === undefined || signal().aborted) return { kind: "step-failed", ...common, error };
  const retryAt = run.serverClock.latest() + delayMs;
  if (retryAt >= endsAt) {
    const message = `Step "${work.name}" did not succeed within its limit of ${totalTimeoutMs} ms, all attempts included.`;
    const over = toFailure(new TimeoutError(message, { cause: result.thrown }));
    return { kind: "step-failed", ...common, error: over };
  }
  services.log.warn(`Step "${work.name}" failed and is tried again.`, {
    ...run.address,
    attempt,
    delayMs,
    error: error.message,
  });
  return { kind: "attempt-failed", key, at, attempt, error, retryAt, ...source };
}

/** How long it is until a time of the server's clock; nothing when there is no such time. */
function leftUntil(endsAt: number, { serverClock }: StepRun): number | undefined {
  return endsAt === Number.POSITIVE_INFINITY
    ? undefined
    : Math.max(1, Math.ceil(endsAt - serverClock.latest()));
}

/** What one attempt knows of itself. */
interface AttemptFacts {
  readonly run: StepRun;
  readonly key: string;
  readonly attempt: number;
  /** Where the history ended when the attempt began. */
  readonly tail: number;
  /** How often the run had continued then. */
  readonly history: number;
  readonly heartbeats: Heartbeats;
  readonly lastHeartbeat: unknown;
}

/** What the action of a step gets. What costs more than a field is made when it is looked at. */
class ActionContext implements StepContext {
  readonly attempt: number;
  readonly lastHeartbeat: unknown;
  readonly #step: AttemptFacts;
  readonly #signal: () => AbortSignal;

  constructor(step: AttemptFacts, signal: () => AbortSignal) {
    this.attempt = step.attempt;
    this.lastHeartbeat = step.lastHeartbeat;
    this.#step = step;
    this.#signal = signal;
  }

  heartbeat(details?: unknown): void {
    this.#step.heartbeats.beat(details);
  }

  get signal(): AbortSignal {
    return this.#signal();
  }

  get idempotencyKey(): string {
    const { run, key } = this.#step;
    const { startSequence } = run.state;
    return idempotencyKey({ ...run.address, startSequence }, key, this.#step.history);
  }

  get fencingToken(): string {
    return String(this.#step.tail).padStart(16, "0");
  }
}

type Attempt =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly thrown: unknown };

/** The limits of one attempt. */
export interface AttemptLimits {
  readonly signal: () => AbortSignal;
  readonly timeoutMs: number | undefined;
  /** The longest time from one heartbeat to the next. */
  readonly heartbeatTimeoutMs: number | undefined;
  readonly heartbeats: Heartbeats;
  /** What is limited, for people. */
  readonly what: string;
}

/**
 * Calls a function with a signal that aborts when a time limit is over or the outer one aborts.
 * When a limit is over it does not wait for the function: its late result is ignored.
 */
export function limited(
  services: Services,
  call: LimitedCall,
  limits: AttemptLimits,
): Promise<Attempt> {
  const { timeoutMs, heartbeatTimeoutMs, heartbeats, signal } = limits;
  if (timeoutMs === undefined && heartbeatTimeoutMs === undefined)
    return settled(call, signal, heartbeats);
  return inTime(services, call, limits);
}

/** What is limited; may throw at once. */
type LimitedCall = (signal: () => AbortSignal) => unknown;

async function inTime(
  { clock }: Services,
  call: LimitedCall,
  { signal: outer, timeoutMs, heartbeatTimeoutMs, heartbeats, what }: AttemptLimits,
): Promise<Attempt> {
  const controller = new AbortController();
  const signal = AbortSignal.any([outer(), controller.signal]);
  const timers: { limit: CancelTimer; heartbeat: CancelTimer } = {
    limit: () => {},
    heartbeat: () => {},
  };
  const over = new Promise<Attempt>((resolve) => {
    const end = (ms: number, problem: string) => (): void => {
      const thrown = new TimeoutError(`${what} ${problem} of ${ms} ms.`, { timeoutMs: ms });
      controller.abort(thrown);
      resolve({ ok: false, thrown });
    };
    if (timeoutMs !== undefined)
      timers.limit = clock.after(timeoutMs, end(timeoutMs, "took longer than its limit"));
    if (heartbeatTimeoutMs === undefined) return;
    const missed = end(heartbeatTimeoutMs, "gave no heartbeat within its limit");
    heartbeats.onBeat = () => {
      timers.heartbeat();
      timers.heartbeat = clock.after(heartbeatTimeoutMs, missed);
    };
    heartbeats.onBeat();
  });
  try {
    return await Promise.race([settled(call, () => signal, heartbeats), over]);
  } finally {
    heartbeats.close();
    timers.limit();
    timers.heartbeat();
  }
}

async function settled(
  call: LimitedCall,
  signal: () => AbortSignal,
  heartbeats: Heartbeats,
): Promise<Attempt> {
  try {
    return { ok: true, value: await call(signal) };
  } catch (thrown) {
    return { ok: false, thrown };
  } finally {
    heartbeats.close();
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
