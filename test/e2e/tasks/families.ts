/** A parent that starts children in every way there is. */
import { durableTask, type Task, task } from "../../../shared/task.ts";
import { effect } from "../harness/effects.ts";

/** A regular child. */
export const kid: Task<number, number> = task({
  name: "kid",
  run: (n: number, { runId }) => {
    effect(runId, "kid", 1, n);
    return n;
  },
});

/** A durable child that sleeps and has a child of its own. */
export const teen: Task<number, number> = durableTask({
  name: "teen",
  run: async (n: number, ctx) => {
    await ctx.step("teen", () => effect(ctx.runId, "teen", 1, n));
    await ctx.sleepFor("1500ms");
    return ctx.run(kid, n);
  },
});

/** What a parent makes of its children. */
export interface Family {
  readonly started: number[];
  readonly many: number[];
  readonly teen: number;
  readonly left: string;
}

/** What each parent returns. */
export const FAMILY_RESULT: Family = {
  started: [1, 2],
  many: [3, 4, 5],
  teen: 6,
  left: "left alone",
};
/** The inputs of the runs of `kid` that one parent starts in the end, and of `teen`. */
export const KIDS: readonly number[] = [1, 2, 3, 4, 5, 6, 7];
export const TEENS: readonly number[] = [6];

/** Parents that differ in their names only. */
export const family1: Task<undefined, Family> = family(1);
export const family2: Task<undefined, Family> = family(2);
export const family3: Task<undefined, Family> = family(3);
export const family4: Task<undefined, Family> = family(4);
export const family5: Task<undefined, Family> = family(5);
export const family6: Task<undefined, Family> = family(6);

function family(number: number): Task<undefined, Family> {
  return durableTask({
    name: `family ${number}`,
    run: async (_input: undefined, ctx) => {
      const [one, two] = await ctx.start(kid, [1, 2]);
      const [many, grown] = await Promise.all([ctx.run(kid, [3, 4, 5]), ctx.run(teen, 6)]);
      const left = await ctx.step("leave", () => "left alone");
      await ctx.start(kid, 7); // nobody waits for it
      const started = [(await one?.result()) ?? 0, (await two?.result()) ?? 0];
      return { started, many, teen: grown, left };
    },
  });
}
