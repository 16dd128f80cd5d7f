/** The tasks of the scenarios. What a step does, and where, goes into the place's effects. */
import { allOf, anyOf, durableTask, event, sleep, type Task, task } from "../../shared/task.ts";
import type { Place } from "./place.ts";

/** A durable task whose input does not matter. */
export type Durable = Task<unknown, unknown, "durable">;

/** Sleeps for an hour. */
export const sleeper: Durable = durableTask({
  name: "sleeper",
  run: async (_: unknown, ctx) => {
    await ctx.sleepFor("1 hour");
    return "awake";
  },
});

/** Runs steps one after the other; each notes the worker and its name. */
export function stepper(place: Place, worker: string, steps: readonly string[]): Durable {
  return durableTask({
    name: "stepper",
    run: async (_: unknown, ctx) => {
      for (const step of steps) await ctx.step(step, () => noted(place, `${worker} ${step}`));
      return steps.join("");
    },
  });
}

/** Waits for an event, then runs one step. */
export function approver(place: Place, worker: string): Durable {
  return durableTask({
    name: "approver",
    run: async (_: unknown, ctx) => {
      const approval = await ctx.waitForEvent("approved");
      await ctx.step("after", () => noted(place, `${worker} after`));
      return approval.data;
    },
  });
}

/** Waits for a moment and for an event. */
export const both: Durable = durableTask({
  name: "both",
  run: async (_: unknown, ctx) => {
    await ctx.waitFor(allOf(sleep("50 ms"), event("approved")));
    return "both";
  },
});

/** Sleeps for its input, or until an event that does not come: so the server times it. */
export const napper: Task<string, unknown, "durable"> = durableTask({
  name: "napper",
  run: async (duration: string, ctx) => {
    await ctx.waitFor(anyOf(sleep(duration), event("never")));
    return "awake";
  },
});

/** Waits for either, twice. */
export const twice: Durable = durableTask({
  name: "twice",
  run: async (_: unknown, ctx) => {
    await ctx.waitFor(anyOf(event("first"), sleep("1 hour")));
    await ctx.waitFor(anyOf(event("second"), sleep("2 hours")));
    return "both";
  },
});

/** A regular task that notes the worker. */
export function regular(place: Place, name: string): Task<unknown, unknown, "regular"> {
  return task({ name: "regular", run: () => noted(place, name) });
}

function noted(place: Place, effect: string): string {
  place.effects.push(effect);
  return effect;
}
