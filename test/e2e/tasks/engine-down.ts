/** Runs that need an engine, and runs that need none. */
import { allOf, child, durableTask, event, sleep, type Task, task } from "../../../shared/task.ts";
import { effect } from "../harness/effects.ts";

/** A child. */
export const double: Task<number, number> = task({
  name: "double",
  run: (input: number, { runId }) => {
    effect(runId, "double");
    return input * 2;
  },
});

/** Steps, a short sleep and one that the server has to wake. */
export const alone: Task<undefined, string> = durableTask({
  name: "alone",
  run: async (_input: undefined, ctx) => {
    const a = await ctx.step("a", () => effect(ctx.runId, "a"));
    await ctx.sleepFor("100ms");
    await ctx.sleepFor("1500ms");
    const b = await ctx.step("b", () => effect(ctx.runId, "b"));
    return `${a ?? "a"}${b ?? "b"}`;
  },
});

/** Waits for its event. */
export const needsEvent: Task<string, string> = durableTask({
  name: "needs-event",
  run: async (id: string, ctx) => {
    const found = await ctx.waitForEvent("down.event", { where: { id } });
    effect(ctx.runId, "woken");
    return (found.data as { id: string }).id;
  },
});

/** Awaits a child and a group of them. */
export const needsChildren: Task<number, readonly number[]> = durableTask({
  name: "needs-children",
  run: async (count: number, ctx) => {
    const first = await ctx.run(double, 1);
    const rest = await ctx.run(
      double,
      Array.from({ length: count }, (_, i) => i),
    );
    effect(ctx.runId, "woken");
    return [first, ...rest];
  },
});

/** Needs an event, a child and time. */
export const needsAll: Task<string, string> = durableTask({
  name: "needs-all",
  run: async (id: string, ctx) => {
    const all = await ctx.waitFor(
      allOf({
        found: event("down.event", { where: { id } }),
        doubled: child(double, 4),
        slept: sleep("1200ms"),
      }),
    );
    effect(ctx.runId, "woken");
    return `${(all.found.data as { id: string }).id} ${all.doubled.output} ${all.slept.kind}`;
  },
});

/** Takes ten events of one name, one after the other. */
export const tenEvents: Task<string, readonly number[]> = durableTask({
  name: "ten-events",
  run: async (id: string, ctx) => {
    const taken: number[] = [];
    for (let i = 0; i < 10; i++) {
      const { data } = await ctx.waitForEvent("down.tick", { where: { id } });
      const { n } = data as { n: number };
      await ctx.step("take", () => effect(ctx.runId, `${n}`));
      taken.push(n);
    }
    return taken;
  },
});
