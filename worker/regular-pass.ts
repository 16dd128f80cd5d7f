/** The pass of a regular run: its code from beginning to end, with its attempts, in one slot. */
import type { TaskContext } from "../shared/contexts.ts";
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
  const { services, address, userSignal } = run;
  for (let attempt = 1; ; attempt++) {
    if (attempt > 1 && !(await run.step.prove())) return undefined;
    const result = await limited(
      services,
      async (signal) => {
        const { log } = services;
        const context: TaskContext = { ...address, attempt, signal, log };
        return definition.run(input, context as Parameters<TaskDefinition["run"]>[1]);
      },
      {
        signal: userSignal,
        timeoutMs: definition.timeoutMs,
        what: `Run "${address.runId}" of task "${address.taskName}"`,
      },
    );
    if (run.signal.aborted) return undefined;
    if (result.ok) return { status: "completed", output: result.value };
    const error = toFailure(result.thrown);
    if (userSignal.aborted) return { status: "canceled", error };
    const delayMs = retryDelayMs(definition.retries, { error: result.thrown, attempt }, run.random);
    if (delayMs === undefined) return { status: "failed", error };
    services.log.warn("The run failed and is tried again.", {
      ...address,
      attempt,
      delayMs,
      error: error.message,
    });
    await pause(services, delayMs, userSignal);
    if (userSignal.aborted) return run.signal.aborted ? undefined : { status: "canceled", error };
  }
}
