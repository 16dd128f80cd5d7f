/**
 * The pass of a regular run: its code from beginning to end in one slot. Between two attempts it
 * holds none: a short pause is kept in memory, a long one is a wait like any other.
 */
import type { DurableContext, Logger, TaskContext } from "../shared/contexts.ts";
import type { Outcome } from "../shared/entries.ts";
import { toFailure } from "../shared/failures.ts";
import { SHORT_SLEEP_MS } from "../shared/limits.ts";
import { retryDelayMs } from "../shared/retry.ts";
import type { TaskDefinition } from "../shared/task-definition.ts";
import type { PassEnd } from "./durable-pass.ts";
import type { PassRun } from "./pass-run.ts";
import { limited, pause } from "./steps.ts";
import { suspend } from "./suspension.ts";

/** Key of the only operation of a regular run: all of it. */
const RUN_KEY = "r0 run";

/** Runs a regular task to its end and commits it, or suspends it until its next attempt. */
export async function runRegular(
  run: PassRun,
  definition: TaskDefinition,
  input: unknown,
): Promise<PassEnd> {
  const { services, committer } = run;
  const startedAt = services.clock.monotonic();
  const outcome = await attempts(run, definition, input);
  if (run.isOver) return "lost";
  if (!outcome) return suspend(run, startedAt);
  committer.add({ kind: "ended", outcome });
  const before = services.failpoint("before-commit");
  if (before) await before;
  if ((await committer.commit()) === "lost") return "lost";
  const after = services.failpoint("after-commit");
  if (after) await after;
  run.acknowledge();
  return "ended";
}

/** @returns How the run ends, or nothing when its next attempt is far off or the run was lost. */
async function attempts(
  run: PassRun,
  definition: TaskDefinition,
  input: unknown,
): Promise<Outcome | undefined> {
  const { services, address, committer } = run;
  for (let attempt = (run.state.retries.get(RUN_KEY)?.attempts ?? 0) + 1; ; attempt++) {
    const result = await limited(
      services,
      async (signal) => {
        const context = new RegularContext(run, attempt, signal);
        return definition.run(input, context as unknown as DurableContext);
      },
      {
        signal: () => run.userSignal,
        timeoutMs: definition.timeoutMs,
        what: `Run "${address.runId}" of task "${address.taskName}"`,
      },
    );
    if (run.isOver) return undefined;
    if (result.ok) return { status: "completed", output: result.value };
    const error = toFailure(result.thrown);
    if (run.isCanceled) return { status: "canceled", error };
    const delayMs = retryDelayMs(definition.retries, { error: result.thrown, attempt }, run.random);
    if (delayMs === undefined) return { status: "failed", error };
    const retryAt = run.serverClock.latest() + delayMs;
    committer.add({ kind: "attempt-failed", key: RUN_KEY, at: 0, attempt, error, retryAt });
    const { message } = error;
    services.log.warn("The run failed and is tried again.", {
      ...address,
      attempt,
      delayMs,
      message,
    });
    if (delayMs > SHORT_SLEEP_MS) return undefined;
    run.release();
    await pause(services, delayMs, run.userSignal);
    if (run.isOver) return undefined;
    if (run.isCanceled) return { status: "canceled", error };
    await run.reacquire();
    if (!(await run.prove())) return undefined;
  }
}

/** The `ctx` of a regular task. Its signal is made when it is looked at. */
class RegularContext implements TaskContext {
  readonly taskName: string;
  readonly runId: string;
  readonly attempt: number;
  readonly log: Logger;
  readonly #signal: () => AbortSignal;

  constructor(run: PassRun, attempt: number, signal: () => AbortSignal) {
    this.taskName = run.address.taskName;
    this.runId = run.address.runId;
    this.attempt = attempt;
    this.log = run.services.log;
    this.#signal = signal;
  }

  get signal(): AbortSignal {
    return this.#signal();
  }
}
