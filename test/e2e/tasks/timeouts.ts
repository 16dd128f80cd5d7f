/** A run that is at work while the time of its wait is over. */
import { durableTask, type Task } from "../../../shared/task.ts";
import { passGate } from "../harness/gates.ts";

/** Says whether an event that was published before its wait was opened came in time. */
export const hurried: Task<{ id: string }, string> = durableTask({
  name: "hurried",
  run: async ({ id }: { id: string }, ctx) => {
    await ctx.step("begin", () => passGate(`${id}.begin`));
    const [came] = await Promise.all([
      ctx.waitForEvent(`${id}.came`, { timeout: { milliseconds: 5 } }),
      ctx.step("work", () => passGate(`${id}.work`)),
    ]);
    return came === null ? "too late" : "in time";
  },
});
