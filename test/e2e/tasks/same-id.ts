/** Runs that say in the file of effects that they were executed. */
import { durableTask, type Task, task } from "../../../shared/task.ts";
import { effect } from "../harness/effects.ts";

/** Returns its input. */
export const once: Task<unknown, unknown> = task({
  name: "once",
  run: (input: unknown, { runId }) => {
    effect(runId, "once");
    return input;
  },
});

/** Returns its input by a step. */
export const onceDurable: Task<unknown, unknown> = durableTask({
  name: "once-durable",
  run: (input: unknown, ctx) =>
    ctx.step("once", () => {
      effect(ctx.runId, "once");
      return input;
    }),
});
