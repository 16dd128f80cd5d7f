/** Runs with values that are larger than a message. */
import { durableTask, type Task } from "../../../shared/task.ts";
import { effect } from "../harness/effects.ts";

/** What a step made, and what came of the child that was given it. */
export interface Made {
  readonly bytes: number;
  readonly last: number | undefined;
  readonly echoed: number;
}

/** Returns its input. */
export const echo: Task<Uint8Array, Uint8Array> = durableTask({
  name: "echo",
  run: async (input: Uint8Array) => input,
});

/** Makes many bytes in a step, waits, and gives them to a child. */
export const maker: Task<number, Made> = durableTask({
  name: "maker",
  run: async (size: number, ctx) => {
    const made = await ctx.step("make", ({ attempt }) => {
      effect(ctx.runId, "make", attempt);
      return new Uint8Array(size).fill(7);
    });
    await ctx.sleepFor("1500ms");
    const echoed = await ctx.run(echo, made);
    return { bytes: made.length, last: made.at(-1), echoed: echoed.length };
  },
});
