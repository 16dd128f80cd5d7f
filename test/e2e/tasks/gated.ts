/** Durable runs whose steps wait for files, so that a test decides when they go on. */
import { durableTask, type Task } from "../../../shared/task.ts";
import { effect } from "../harness/effects.ts";
import { passGate } from "../harness/gates.ts";

/** Three steps; the second waits for the gate "two" of its process, the third for "three". */
export const gated: Task<undefined, string> = durableTask({
  name: "gated",
  run: async (_input: undefined, ctx) => {
    const one = await ctx.step("one", ({ attempt }) => effect(ctx.runId, "one", attempt));
    await ctx.step("two", async ({ attempt }) => {
      effect(ctx.runId, "two", attempt);
      await passGate("two");
    });
    await ctx.step("three", async ({ attempt }) => {
      effect(ctx.runId, "three", attempt);
      await passGate("three");
    });
    return `done ${one ?? ""}`.trim();
  },
});

/** Sleeps, then has a step that waits for the gate "woken" of its process. */
export const gatedSleeper: Task<undefined, string> = durableTask({
  name: "gated-sleeper",
  run: async (_input: undefined, ctx) => {
    await ctx.sleepFor("1500ms");
    await ctx.step("woken", async ({ attempt }) => {
      effect(ctx.runId, "woken", attempt);
      await passGate("woken");
    });
    return "done";
  },
});

/** A step that waits for the gate "flaky" and then fails if the process says so; then a sleep. */
export const flaky: Task<undefined, string> = durableTask({
  name: "flaky",
  run: async (_input: undefined, ctx) => {
    await ctx.step(
      "flaky",
      async ({ attempt }) => {
        effect(ctx.runId, "flaky", attempt);
        await passGate("flaky");
        if (process.env["CONTRAIL_E2E_FAILS"] && attempt === 1) throw new Error("not this time");
      },
      { retries: { limit: 3, backoff: { initial: "10ms", factor: 1, max: "10ms" } } },
    );
    await ctx.sleepFor("1500ms");
    return "done";
  },
});
