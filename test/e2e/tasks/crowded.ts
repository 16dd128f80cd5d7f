/** Runs that ask for more than one run may have. */
import { durableTask, LimitExceededError, type Task, task } from "../../../shared/task.ts";
import { effect } from "../harness/effects.ts";

/** Which limit something exceeded, and its bound; nothing when it exceeded none. */
export type Exceeded = readonly [name: string, limit: number] | null;

async function limitOf(operation: Promise<unknown>): Promise<Exceeded> {
  try {
    await operation;
    return null;
  } catch (error) {
    if (!(error instanceof LimitExceededError)) throw error;
    return [error.limitName, error.limit];
  }
}

/** A child. */
export const crumb: Task<number, number> = task({
  name: "crowded-crumb",
  run: (input: number) => input,
});

/** Asks for too many children, sleeps, and goes on. */
export const crowdedParent: Task<number, readonly unknown[]> = durableTask({
  name: "crowded-parent",
  run: async (count: number, ctx) => {
    const refused = await limitOf(ctx.run(crumb, new Array<number>(count).fill(1)));
    await ctx.step("go on", () => effect(ctx.runId, "go on"));
    await ctx.sleepFor("1500ms");
    return [refused, await ctx.run(crumb, [8, 9])];
  },
});

/** Waits for too much at the same time. */
export const crowdedWaiter: Task<number, Exceeded> = durableTask({
  name: "crowded-waiter",
  run: (count: number, ctx) =>
    Promise.race(Array.from({ length: count }, () => limitOf(ctx.sleepFor("1h")))),
});

/** Makes its history longer than it may be, and tells what it was refused with. */
export const crowdedHistory: Task<number, never> = durableTask({
  name: "crowded-history",
  run: async (count: number, ctx) => {
    await ctx.step("reserve", () => 1, { undo: () => effect(ctx.runId, "undo") });
    for (let done = 0; done < count; done += 1_000)
      await Promise.all(Array.from({ length: 1_000 }, (_, i) => ctx.step(`s${i}`, () => null)));
    throw new Error("nobody refused it");
  },
});

/** The same, but goes on with an empty history in time. */
export const crowdedRounds: Task<number, number> = durableTask({
  name: "crowded-rounds",
  run: async (rounds: number, ctx) => {
    for (let batch = 0; batch < 5; batch++)
      await Promise.all(Array.from({ length: 1_000 }, (_, i) => ctx.step(`s${i}`, () => null)));
    return rounds === 0 ? 0 : ctx.continueAs(rounds - 1);
  },
});
