/** Runs that are in every state at the same time, for what happens to their store. */
import { existsSync } from "node:fs";
import { durableTask, type Task, task } from "../../../shared/task.ts";
import { until } from "../../helpers/until.ts";
import { effect } from "../harness/effects.ts";

/** Environment variable with the version of the code: "2" diverges from what "1" recorded. */
export const CODE_VARIABLE = "CONTRAIL_E2E_CODE";
const LARGE_BYTES = 400_000;

/** Sleeps for so many milliseconds between two steps. */
export const sleeper: Task<number, string> = durableTask({
  name: "sleeper",
  run: async (ms: number, ctx) => {
    await ctx.step("before", () => effect(ctx.runId, "before"));
    await ctx.sleepFor({ milliseconds: ms });
    return ctx.step("after", () => {
      effect(ctx.runId, "after");
      return "slept";
    });
  },
});

/** Waits for an event with its id, with a large value made before it. */
export const patient: Task<undefined, number> = durableTask({
  name: "patient",
  run: async (_input: undefined, ctx) => {
    const made = await ctx.step("make", () => {
      effect(ctx.runId, "make");
      return new Uint8Array(LARGE_BYTES).fill(7);
    });
    await ctx.waitForEvent("stored.go", { where: { id: ctx.runId } });
    await ctx.step("woken", () => effect(ctx.runId, "woken"));
    return made.length;
  },
});

/** Ends at once, or when an event says so. */
export const kid: Task<{ n: number; waits: boolean }, number> = durableTask({
  name: "kid",
  run: async ({ n, waits }: { n: number; waits: boolean }, ctx) => {
    await ctx.step("kid", () => effect(ctx.runId, "kid"));
    if (waits) await ctx.waitForEvent("stored.kid", { where: { n } });
    return n;
  },
});

/** Waits for children, of which every second one waits itself. */
export const parent: Task<number, number> = durableTask({
  name: "parent",
  run: async (count: number, ctx) => {
    await ctx.step("before", () => effect(ctx.runId, "before"));
    const inputs = Array.from({ length: count }, (_, n) => ({ n, waits: n % 2 === 1 }));
    const outputs = await ctx.run(kid, inputs);
    await ctx.step("after", () => effect(ctx.runId, "after"));
    return outputs.length;
  },
});

/** Another code after a deployment: its runs are paused by it. */
export const changed: Task<undefined, string> = durableTask({
  name: "changed",
  run: async (_input: undefined, ctx) => {
    if (process.env[CODE_VARIABLE] === "2") await ctx.step("new", () => effect(ctx.runId, "new"));
    await ctx.step("old", () => effect(ctx.runId, "old"));
    await ctx.sleepFor("1500ms");
    return "as recorded";
  },
});

/** A step that is at work until a file exists, behind one that is done. */
export const atWork: Task<string, string> = durableTask({
  name: "at-work",
  run: async (gate: string, ctx) => {
    await ctx.step("before", () => effect(ctx.runId, "before"));
    return ctx.step("held", async () => {
      effect(ctx.runId, "held");
      await until(() => existsSync(gate), { withinMs: 120_000, everyMs: 20 });
      return "held";
    });
  },
});

/** Ends at once. */
export const brief: Task<number, number> = task({
  name: "brief",
  run: (n: number, { runId }) => {
    effect(runId, "brief");
    return n;
  },
});

/** Of no worker until late. */
export const late: Task<number, number> = task({
  name: "late",
  run: (n: number, { runId }) => {
    effect(runId, "late");
    return n;
  },
});

/** Steps and children one after the other, with short waits between. */
export const busyParent: Task<number, number> = durableTask({
  name: "busy-parent",
  run: async (rounds: number, ctx) => {
    let sum = 0;
    for (let round = 0; round < rounds; round++) {
      await ctx.step(`step ${round}`, () => effect(ctx.runId, `step ${round}`));
      const outputs = await ctx.run(kid, [
        { n: round, waits: false },
        { n: round, waits: false },
      ]);
      sum += outputs.length;
      if (round % 2 === 1) await ctx.sleepFor("1500ms");
    }
    return sum;
  },
});
