/** Durable runs that sleep. */
import { durableTask, type Task } from "../../../shared/task.ts";
import { effect } from "../harness/effects.ts";

/** Sleeps for a number of milliseconds between two steps. */
export const sleeper: Task<number, string> = durableTask({
  name: "sleeper",
  run: async (ms: number, ctx) => {
    effect(ctx.runId, "code entered");
    const before = await ctx.step("before", () => {
      effect(ctx.runId, "before");
      return "went to bed";
    });
    await ctx.sleepFor({ milliseconds: ms });
    const after = await ctx.step("after", () => {
      effect(ctx.runId, "after");
      return "got up";
    });
    return `${before}, ${after}`;
  },
});

/** Needs a durable slot for a moment. */
export const quick: Task<undefined, string> = durableTask({
  name: "quick",
  run: (_input: undefined, ctx) => ctx.step("only", () => "done"),
});
