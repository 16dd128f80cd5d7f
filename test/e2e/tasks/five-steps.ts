/** A durable run of five steps with side effects. */
import { durableTask, type Task } from "../../../shared/task.ts";
import { effect } from "../harness/effects.ts";

export const fiveSteps: Task<undefined, number[]> = durableTask({
  name: "five-steps",
  run: async (_input: undefined, ctx) => {
    const results: number[] = [];
    for (let i = 1; i <= 5; i++)
      results.push(
        await ctx.step(`step ${i}`, ({ attempt }) => {
          effect(ctx.runId, `step ${i}`, attempt);
          return i * 10;
        }),
      );
    return results;
  },
});

/** A run that ends its worker, whichever it is. */
export const poison: Task<undefined, void> = durableTask({
  name: "poison",
  run: async (_input: undefined, ctx) => {
    await ctx.step("die", () => {
      effect(ctx.runId, "die");
      process.kill(process.pid, "SIGKILL");
    });
  },
});
