/** Runs for workers that are told to end, and for servers that go away. */
import { existsSync } from "node:fs";
import { durableTask, type Task, task } from "../../../shared/task.ts";
import { until } from "../../helpers/until.ts";
import { effect } from "../harness/effects.ts";

/** What a step that waits for a gate needs to know. */
export interface Gated {
  readonly gate: string;
  /** Whether it ends when its signal says so. */
  readonly obeys: boolean;
}

async function atGate({ gate, obeys }: Gated, signal: AbortSignal): Promise<void> {
  await until(() => existsSync(gate) || (obeys && signal.aborted), {
    ...{ withinMs: 120_000, everyMs: 20 },
  });
  if (obeys) signal.throwIfAborted();
}

/** A step that waits for a gate, between two others. */
export const longStep: Task<Gated, readonly string[]> = durableTask({
  name: "long-step",
  run: async (input: Gated, ctx) => {
    const record = (name: string): string => {
      effect(ctx.runId, name);
      return name;
    };
    const before = await ctx.step("before", () => record("before"));
    const held = await ctx.step("held", async ({ signal }) => {
      effect(ctx.runId, "begun");
      await atGate(input, signal);
      return record("held");
    });
    return [before, held, await ctx.step("after", () => record("after"))];
  },
});

/** The same in a regular run. */
export const longTask: Task<Gated, string> = task({
  name: "long-task",
  run: async (input: Gated, { runId, signal }) => {
    effect(runId, "begun");
    await atGate(input, signal);
    effect(runId, "held");
    return "held";
  },
});

/** Takes no time. */
export const brief: Task<number, number> = task({
  name: "brief",
  run: (input: number, { runId }) => {
    effect(runId, "brief");
    return input;
  },
});

/** Waits for its event. */
export const patient: Task<string, string> = durableTask({
  name: "patient",
  run: async (id: string, ctx) => {
    effect(ctx.runId, "entered");
    const found = await ctx.waitForEvent("drain.go", { where: { id } });
    await ctx.step("woken", () => effect(ctx.runId, "woken"));
    return (found.data as { id: string }).id;
  },
});

/** Executes steps, one after the other, until its gate is open. */
export const busySteps: Task<string, number> = durableTask({
  name: "busy-steps",
  run: async (gate: string, ctx) => {
    for (let count = 1; ; count++)
      if (
        await ctx.step(`step ${count}`, () => {
          effect(ctx.runId, `step ${count}`);
          return existsSync(gate);
        })
      )
        return count;
      else if (count % 20 === 0) await ctx.sleepFor("50ms");
  },
});
