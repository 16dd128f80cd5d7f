/** Tasks for hostile input, and runs that must not mind what happens to others. */
import { existsSync } from "node:fs";
import { durableTask, type Task, task } from "../../../shared/task.ts";
import { until } from "../../helpers/until.ts";
import { effect } from "../harness/effects.ts";

/** Returns its input. */
export const echo: Task<unknown, unknown> = task({ name: "echo", run: (input: unknown) => input });

/** The same under names that mean something to servers, files or objects. */
export const oddNames: readonly string[] = [
  "*",
  ">",
  "a.b >*",
  "$JS.API",
  "__proto__",
  'é 漢字/\\"',
];
const odd = (name: string): Task<unknown, unknown> =>
  task({ name, run: (input: unknown) => ({ name, input }) });
export const odd0: Task<unknown, unknown> = odd("*");
export const odd1: Task<unknown, unknown> = odd(">");
export const odd2: Task<unknown, unknown> = odd("a.b >*");
export const odd3: Task<unknown, unknown> = odd("$JS.API");
export const odd4: Task<unknown, unknown> = odd("__proto__");
export const odd5: Task<unknown, unknown> = odd('é 漢字/\\"');

/** Waits for an event of its own, or an hour. */
export const listener: Task<string, unknown> = durableTask({
  name: "listener",
  run: async (id: string, ctx) => {
    const found = await ctx.waitForEvent("hostile.go", { where: { id }, timeout: "1h" });
    return found?.data ?? null;
  },
});

/** Takes the next event under any name of a pattern, whatever its payload. */
export const anyEvent: Task<string, unknown> = durableTask({
  name: "any-event",
  run: async (pattern: string, ctx) => {
    try {
      const { name, data } = await ctx.waitForEvent(pattern);
      return { name, data };
    } catch (error) {
      const { name, code, message } = error as Error & { code?: string };
      return { name, code, message };
    }
  },
});

/** Executes one step until a gate opens. */
export const gated: Task<string, string> = durableTask({
  name: "gated",
  run: (gate: string, ctx) =>
    ctx.step("hold", async () => {
      effect(ctx.runId, "hold");
      await until(() => existsSync(gate), { withinMs: 120_000, everyMs: 20 });
      return "held";
    }),
});

/** Sleeps longer than a claim lasts. */
export const sleeper: Task<undefined, string> = durableTask({
  name: "sleeper",
  run: async (_input: undefined, ctx) => {
    await ctx.sleepFor("1500ms");
    return ctx.step("after", () => "slept");
  },
});
