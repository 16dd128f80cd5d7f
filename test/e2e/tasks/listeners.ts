/** Durable runs that wait for events. */
import { durableTask, type Filter, type Task } from "../../../shared/task.ts";
import { effect } from "../harness/effects.ts";
import { passGate } from "../harness/gates.ts";

/** What a listener listens to. */
export interface Listening {
  readonly name: string;
  readonly where?: Filter;
  readonly from?: "now";
  readonly timeoutMs?: number;
  /** How many events it takes, one after the other. Default 1. */
  readonly times?: number;
  /** Stays in a step until the gate of this name is open, before it waits for anything. */
  readonly gate?: string;
}

/** What it heard: payloads with their names, or nothing when the time was over. */
export type Heard = { readonly name: string; readonly data: unknown } | null;

/** Waits for events one after the other. */
export const listener: Task<Listening, Heard[]> = durableTask({
  name: "listener",
  run: async ({ name, where, from, timeoutMs, times = 1, gate }: Listening, ctx) => {
    await ctx.step("first", async () => {
      effect(ctx.runId, "first");
      if (gate !== undefined) await passGate(gate);
    });
    const heard: Heard[] = [];
    for (let i = 0; i < times; i++) {
      const found = await ctx.waitForEvent(name, {
        ...(where === undefined ? {} : { where }),
        ...(from === undefined ? {} : { from }),
        ...(timeoutMs === undefined ? {} : { timeout: { milliseconds: timeoutMs } }),
      });
      heard.push(found && { name: found.name, data: found.data });
      await ctx.step("heard", () => effect(ctx.runId, "heard", 1, found?.data));
    }
    return heard;
  },
});

/** Waits for several events of one name at the same time. */
export const chorus: Task<{ name: string; count: number }, unknown[]> = durableTask({
  name: "chorus",
  run: async ({ name, count }: { name: string; count: number }, ctx) => {
    const waits = Array.from({ length: count }, () => ctx.waitForEvent(name));
    return (await Promise.all(waits)).map(({ data }) => data);
  },
});
