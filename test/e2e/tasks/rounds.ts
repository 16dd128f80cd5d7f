/** A run that continues with another input: three rounds, each with a step and a sleep. */
import { durableTask, type Task } from "../../../shared/task.ts";
import { effect } from "../harness/effects.ts";

export const rounds: Task<number, number> = durableTask({
  name: "rounds",
  run: async (round: number, ctx) => {
    await ctx.step("work", ({ attempt }) => effect(ctx.runId, `work ${round}`, attempt));
    await ctx.sleepFor("1500ms");
    return round < 3 ? ctx.continueAs(round + 1) : round;
  },
});
