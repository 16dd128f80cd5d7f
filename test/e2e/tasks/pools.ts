/** Parents and children, busy regular runs, and durable runs that wait. */
import { existsSync } from "node:fs";
import { durableTask, type Task, task } from "../../../shared/task.ts";
import { until } from "../../helpers/until.ts";
import { effect } from "../harness/effects.ts";

/** Takes no time. */
export const leaf: Task<number, number> = task({ name: "leaf", run: (input: number) => input * 2 });

/** Holds its slot until a file exists. */
export const busy: Task<string, string> = task({
  name: "busy",
  run: async (gate: string, ctx) => {
    effect(ctx.runId, "busy");
    await until(() => existsSync(gate), { withinMs: 120_000, everyMs: 20 });
    return "done";
  },
});

/** Awaits as many children as it is told, as one wait. */
export const fanOut: Task<number, number> = durableTask({
  name: "fan-out",
  run: async (count: number, ctx) => {
    const inputs = Array.from({ length: count }, (_, i) => i);
    const outputs = await ctx.run(leaf, inputs);
    return outputs.reduce((sum, output) => sum + output, 0);
  },
});

/** The same with a wait for each child. */
export const single: Task<number, number> = durableTask({
  name: "single",
  run: async (count: number, ctx) => {
    const inputs = Array.from({ length: count }, (_, i) => i);
    const outputs = await Promise.all(inputs.map((input) => ctx.run(leaf, input)));
    return outputs.reduce((sum, output) => sum + output, 0);
  },
});

/** Awaits a durable child, that awaits one, and so on. */
export const nest: Task<number, string> = durableTask({
  name: "nest",
  run: async (depth: number, ctx): Promise<string> => {
    const before = await ctx.step("before", () => `${depth}`);
    if (depth === 0) return before;
    const inner = await ctx.run(nest, depth - 1);
    return `${before}(${inner})`;
  },
});

/** Waits for an event that tells which runs may go on. */
export const waiter: Task<number, string> = durableTask({
  name: "waiter",
  run: async (group: number, ctx) => {
    const found = await ctx.waitForEvent("pools.go", { where: { group } });
    return `${(found.data as { group: number }).group}`;
  },
});

/** Sleeps so long that it gives its slot back, between two steps. */
export const nap: Task<undefined, string> = durableTask({
  name: "nap",
  run: async (_input: undefined, ctx) => {
    const before = await ctx.step("before", () => "slept");
    await ctx.sleepFor("1500ms");
    return ctx.step("after", () => before);
  },
});
