/** The pass of a regular run: its code from beginning to end, with its attempts, in one slot. */
import type { DurableContext, Logger, TaskContext } from "../shared/contexts.ts";
import type { Outcome } from "../shared/entries.ts";
import { toFailure } from "../shared/failures.ts";
import { retryDelayMs } from "../shared/retry.ts";
import type { TaskDefinition } from "../shared/task-definition.ts";
import type { PassEnd } from "./durable-pass.ts";
import type { PassRun } from "./pass-run.ts";
import { limited, pause } from "./steps.ts";

/** Runs a regular task to its end and commits it. */
export async function runRegular(
  run: PassRun,
  definition: TaskDefinition,
  input: unknown,
): Promise<PassEnd> {
  const { services, committer } = run;
  const outcome = await attempts(run, definition, input);
  if (!outcome) return "lost";
  committer.add({ kind: "ended", outcome });
  const before = services.failpoint("before-commit");
  if (before) await before;
  if ((await committer.commit()) === "lost") return "lost";
  const after = services.failpoint("after-commit");
  if (after) await after;
  run.acknowledge();
  return "ended";
}

async function attempts(
  run: PassRun,
  definition: TaskDefinition,
  input: unknown,
): Promise<Outcome | undefined> {
  const { services, address } = run;
  for (let attempt = 1; ; attempt++) {
    if (attempt > 1 && !(await run.prove())) return undefined;
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
    services.log.warn("The run failed and is tried again.", {
      ...address,
      attempt,
      delayMs,
      error: error.message,
    });
    await pause(services, delayMs, run.userSignal);
    if (run.isOver) return undefined;
    if (run.isCanceled) return { status: "canceled", error };
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
