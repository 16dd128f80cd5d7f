/**
 * The pass of a regular run: its code from beginning to end in one slot. Between two attempts it
 * holds none: a short pause is kept in memory, a long one is a wait like any other.
 */

import type { CancelTimer } from "../shared/clock.ts";
import type { DurableContext, Logger, RegularContext } from "../shared/contexts.ts";
import { cancelEntry, canceledOutcome } from "../shared/early-ends.ts";
import type { Entry, Outcome } from "../shared/entries.ts";
import { TimeoutError } from "../shared/errors.ts";
import { toFailure } from "../shared/failures.ts";
import { SHORT_SLEEP_MS } from "../shared/limits.ts";
import { retryDelayMs } from "../shared/retry.ts";
import type { TaskDefinition } from "../shared/task-definition.ts";
import { durableBefore, pauseDiverged } from "./diverged.ts";
import type { PassEnd } from "./durable-pass.ts";
import { Heartbeats } from "./heartbeats.ts";
import { timedOutOutcome } from "./interruptions.ts";
import type { PassRun } from "./pass-run.ts";
import { registersHeader } from "./registration.ts";
import { limitOf } from "./run-limits.ts";
import { limited, pause } from "./steps.ts";
import { suspend } from "./suspension.ts";
import { taskLogger } from "./task-logger.ts";

/** Key of the only operation of a regular run: all of it. */
const RUN_KEY = "r0 run";

/** Runs a regular task to its end and commits it, or suspends it until its next attempt. */
export async function runRegular(
  run: PassRun,
  definition: TaskDefinition,
  input: unknown,
): Promise<PassEnd> {
  const { services, committer } = run;
  const diverged = durableBefore(run.state);
  if (diverged) return pauseDiverged(run, diverged, () => undefined);
  const startedAt = services.clock.monotonic();
  const limits = new RegularLimits(run);
  run.whenOutlived(() => {
    if (!limits.isClosed) recordNow(run, { kind: "outlived" });
  });
  try {
    const attempted = attempts(run, limits, definition, input);
    const outcome = await Promise.race([attempted, limits.cutOff]);
    if (run.isOver) return "lost";
    if (!outcome) {
      limits.close(); // what comes from here on is left to whoever goes on
      return await suspend(run, startedAt, registersHeader(true, [])); // for the next attempt
    }
    committer.add({ kind: "ended", outcome });
    const before = services.failpoint("before-commit");
    if (before) await before;
    if ((await committer.commit()) === "lost") return "lost";
    const after = services.failpoint("after-commit");
    if (after) await after;
    run.acknowledge();
    if (limits.entry) run.leave(); // code that was given up: stop
    return "ended";
  } finally {
    limits.close();
  }
}

/** @returns How the run ends, or nothing when its next attempt is far off or the run was lost. */
async function attempts(
  run: PassRun,
  limits: RegularLimits,
  definition: TaskDefinition,
  input: unknown,
): Promise<Outcome | undefined> {
  const { services, address, committer } = run;
  for (let attempt = (run.state.retries.get(RUN_KEY)?.attempts ?? 0) + 1; ; attempt++) {
    const heartbeats = new Heartbeats({
      clock: services.clock,
      record: (details) => recordNow(run, { kind: "heartbeat", key: RUN_KEY, details }),
    });
    const result = await limited(
      services,
      (signal) => {
        const context = new Context({ run, attempt, signal, heartbeats });
        return definition.run(input, context as unknown as DurableContext);
      },
      {
        signal: () => run.userSignal,
        timeoutMs: definition.timeoutMs,
        heartbeatTimeoutMs: definition.heartbeatTimeoutMs,
        heartbeats,
        what: `Run "${address.runId}" of task "${address.taskName}"`,
      },
    );
    if (run.isOver) return undefined;
    if (result.ok) return { status: "completed", output: result.value };
    if (limits.entry) return limits.outcome(result.thrown);
    const error = toFailure(result.thrown);
    const delayMs = retryDelayMs(definition.retries, { error: result.thrown, attempt }, run.random);
    if (delayMs === undefined) return { status: "failed", error };
    const retryAt = run.serverClock.latest() + delayMs;
    const failed: Entry = { kind: "attempt-failed", key: RUN_KEY, at: 0, attempt, error, retryAt };
    const { message } = error;
    services.log.warn("The run failed and is tried again.", {
      ...address,
      attempt,
      delayMs,
      message,
    });
    if (delayMs > SHORT_SLEEP_MS) {
      committer.add(failed);
      return undefined;
    }
    recordNow(run, failed); // whoever takes over goes on counting
    run.release();
    await pause(services, delayMs, run.userSignal);
    if (run.isOver) return undefined;
    if (limits.entry) return limits.outcome(result.thrown);
    await run.reacquire();
    if (!(await run.prove())) return undefined;
  }
}

/** Puts an entry into the history while the code is at work. */
function recordNow({ committer, services, address }: PassRun, entry: Entry): void {
  committer.add(entry);
  committer.commit().catch((error: unknown) => {
    services.log.warn(`An entry "${entry.kind}" is not recorded yet.`, { ...address, error });
  });
}

/** What may stop a regular run from outside its code: a request to cancel, or its time limit. */
class RegularLimits {
  /** How the run ends that has not stopped by itself in time; pending for ever if it does. */
  readonly cutOff: Promise<Outcome>;
  readonly #run: PassRun;
  #cut: (outcome: Outcome) => void = () => {};
  #entry: Entry | undefined;
  #isClosed = false;
  #stopTimer: CancelTimer | undefined;

  constructor(run: PassRun) {
    this.#run = run;
    this.cutOff = new Promise((resolve) => {
      this.#cut = resolve;
    });
    run.whenCanceled((request) => {
      this.#interrupt(cancelEntry(request));
      if (request.isTermination) this.#cut(canceledOutcome(request));
    });
    const { limits, state, serverClock, services } = run;
    const limit = limitOf(state, limits);
    if (limit === undefined) return;
    const limitMs = limits.runTimeoutMs as number;
    this.#stopTimer = services.clock.after(limit - serverClock.earliest(), () =>
      this.#interrupt({ kind: "timed-out", limitMs }),
    );
  }

  /** What records the interruption, if there was one. */
  get entry(): Entry | undefined {
    return this.#entry;
  }

  /** How an interrupted run ends whose code threw this. */
  outcome(thrown: unknown): Outcome {
    if (this.#entry?.kind === "timed-out") return timedOutOutcome(this.#entry.limitMs, thrown);
    return { status: "canceled", error: toFailure(thrown) };
  }

  /** Whether nothing stops the run any more: it has its outcome, or suspends. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  close(): void {
    this.#isClosed = true;
    this.#stopTimer?.();
  }

  #interrupt(entry: Entry): void {
    if (this.#entry || this.#isClosed) return;
    this.#entry = entry;
    const { services, limits } = this.#run;
    this.#run.interrupt();
    // Of a run that began without a claim the log shows nothing yet, and the engine ends what it
    // takes for queued.
    recordNow(this.#run, entry);
    this.#stopTimer?.();
    this.#stopTimer = services.clock.after(limits.cleanupTimeoutMs, () => {
      const ms = limits.cleanupTimeoutMs;
      const thrown = new TimeoutError(`It went on for ${ms} ms after it was told to stop.`);
      this.#cut(this.outcome(thrown));
    });
  }
}

/** The `ctx` of a regular task. Its signal and logger are made when they are looked at. */
class Context implements RegularContext {
  readonly taskName: string;
  readonly runId: string;
  readonly attempt: number;
  readonly lastHeartbeat: unknown;
  readonly #run: PassRun;
  readonly #heartbeats: Heartbeats;
  readonly #signal: () => AbortSignal;

  constructor(attempt: {
    readonly run: PassRun;
    readonly attempt: number;
    readonly signal: () => AbortSignal;
    readonly heartbeats: Heartbeats;
  }) {
    const { run } = attempt;
    this.taskName = run.address.taskName;
    this.runId = run.address.runId;
    this.attempt = attempt.attempt;
    this.#run = run;
    this.lastHeartbeat = run.state.heartbeats.get(RUN_KEY);
    this.#heartbeats = attempt.heartbeats;
    this.#signal = attempt.signal;
  }

  get log(): Logger {
    const { services, address } = this.#run;
    return taskLogger(services.log, { ...address, worker: services.workerId });
  }

  get signal(): AbortSignal {
    return this.#signal();
  }

  heartbeat(details?: unknown): void {
    this.#heartbeats.beat(details);
  }
}
