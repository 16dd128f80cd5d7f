/** A durable run with all that can be interrupted: steps, sleeps short and long, a wait, branches. */
import { durableTask, type Task } from "../../../shared/task.ts";
import { effect } from "../harness/effects.ts";

/** What each run of this task returns. */
export const WINDING_RESULT = {
  one: "one",
  approval: null,
  two: "two",
  branches: ["three", "slept", "four"],
  five: "five",
} as const;

/** The steps of a run of this task, in an order in which they may be executed. */
export const WINDING_STEPS = ["one", "two", "three", "four", "five"] as const;

/** Tasks that differ in their names only, so that several can be run without getting mixed up. */
export const winding1: Task<undefined, unknown> = winding(1);
export const winding2: Task<undefined, unknown> = winding(2);
export const winding3: Task<undefined, unknown> = winding(3);
export const winding4: Task<undefined, unknown> = winding(4);
export const winding5: Task<undefined, unknown> = winding(5);
export const winding6: Task<undefined, unknown> = winding(6);
export const winding7: Task<undefined, unknown> = winding(7);
export const winding8: Task<undefined, unknown> = winding(8);
export const winding9: Task<undefined, unknown> = winding(9);
export const winding10: Task<undefined, unknown> = winding(10);
export const winding11: Task<undefined, unknown> = winding(11);
export const winding12: Task<undefined, unknown> = winding(12);

function winding(number: number): Task<undefined, unknown> {
  return durableTask({
    name: `winding ${number}`,
    run: async (_input: undefined, ctx) => {
      const step = (name: string): Promise<string> =>
        ctx.step(name, ({ attempt }) => {
          effect(ctx.runId, name, attempt);
          return name;
        });
      const one = await step("one");
      const approval = await ctx.waitForEvent(`approved.${ctx.runId}`, { timeout: "1500ms" });
      const two = await step("two");
      const slept = ctx.sleepFor("50ms").then(() => "slept");
      const branches = await Promise.all([step("three"), slept, step("four")]);
      await ctx.sleepFor("1500ms");
      const five = await step("five");
      return { one, approval, two, branches, five };
    },
  });
}
