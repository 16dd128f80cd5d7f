/** Holes 11, 15 and 21: children whose id is taken, who are many, or who are purged. */
import { RunConflictError } from "../../shared/errors.ts";
import { type DurableContext, durableTask, type Task, task } from "../../shared/task.ts";
import { hole } from "./hole.ts";
import type { Place } from "./place.ts";

const PARENT = { taskName: "parent", runId: "r" };

hole(11, {
  title: "a parent whose child's id is taken by a client is told so, and does not wait for it",
  scenario: async (place) => {
    const kid = kidOf(place);
    const parent = durableTask({
      name: "parent",
      run: async (_: unknown, ctx) => {
        try {
          return await ctx.run(kid, 2, { id: "taken" });
        } catch (error) {
          return error instanceof RunConflictError ? "conflict" : error;
        }
      },
    });
    const k = await place.worker("K", { tasks: [kid] });
    const p = await place.worker("P", { tasks: [parent] });
    await place.client.start(kid, 1, { id: "taken" });
    await place.client.start(parent, null, { id: "r" });
    await p.work();
    await k.work();
    const child = { taskName: "kid", runId: "taken" };
    // The registry follows the ends of children alone: their histories are `c`, this one's is `h`.
    const endsAsChild = (await place.last(child, "c")) !== undefined;
    return async () => {
      const { status, outcome } = await place.state(PARENT);
      return { status, outcome, childEnded: (await place.state(child)).status, endsAsChild };
    };
  },
  closed: {
    status: "completed",
    outcome: { status: "completed", output: "conflict" },
    childEnded: "completed",
    endsAsChild: false,
  },
  opened: {
    "taken-child-id-is-accepted": {
      status: "waiting",
      outcome: undefined,
      childEnded: "completed",
      endsAsChild: false,
    },
  },
});

hole(15, {
  title: "a parent of a thousand children, awaited as one, registers their range",
  scenario: async (place) => {
    const kid = kidOf(place);
    const parent = durableTask({
      name: "parent",
      run: (_: unknown, ctx) =>
        ctx.run(
          kid,
          Array.from({ length: 1_000 }, (_value, i) => i),
        ),
    });
    // A message of a megabyte would take a hundred times as many.
    const p = await place.worker("P", { tasks: [parent], maxPayload: 8_192 });
    await place.client.start(parent, null, { id: "r" });
    await p.work();
    return () => place.facts(PARENT);
  },
  closed: { status: "waiting", lifelines: ["wait"] },
  opened: { "group-is-registered-by-names": { status: "waiting", lifelines: ["token"] } },
});

hole(15, {
  title: "a parent of a thousand children, each awaited alone, can register them all",
  scenario: async (place) => {
    const kid = kidOf(place);
    const parent = durableTask({
      name: "parent",
      run: (_: unknown, ctx) =>
        Promise.all(Array.from({ length: 1_000 }, (_value, i) => ctx.run(kid, i))),
    });
    const p = await place.worker("P", { tasks: [parent], maxPayload: 48 * 1024 });
    await place.client.start(parent, null, { id: "r" });
    await p.work();
    return () => place.facts(PARENT);
  },
  closed: { status: "waiting", lifelines: ["wait"] },
  opened: { "registration-is-not-compact": { status: "paused", lifelines: [] } },
});

hole(15, {
  title: "a run that waits for more than can be registered is paused with the reason",
  scenario: async (place) => {
    const parent = durableTask({
      name: "parent",
      // Each of the waits can be stored, all of them together cannot be registered.
      run: (_: unknown, ctx) =>
        Promise.all(
          ["a", "b", "c", "d", "e", "f", "g", "h"].map((name) =>
            ctx.waitForEvent(name, { where: { noise: noise(ctx, 20) } }),
          ),
        ),
    });
    const p = await place.worker("P", { tasks: [parent], maxPayload: 4_608 });
    await place.client.start(parent, null, { id: "r" });
    const token = await p.take();
    await p.handle(token);
    return async () => ({
      ...(await place.facts(PARENT)),
      code: ((await place.state(PARENT)).paused?.details as { code?: string })?.code,
    });
  },
  closed: { status: "paused", lifelines: [], code: "waits-too-large" },
  opened: {
    "registration-is-not-measured": {
      status: "waiting",
      lifelines: ["token"], // delivered again and again, and never registered
      code: undefined,
    },
  },
});

hole(15, {
  title: "a wait that is too large to be stored fails where the code waits for it",
  scenario: async (place) => {
    const parent = durableTask({
      name: "parent",
      run: async (_: unknown, ctx) => {
        try {
          return await ctx.waitForEvent("never", { where: { noise: noise(ctx, 99) } });
        } catch {
          return "told";
        }
      },
    });
    const p = await place.worker("P", { tasks: [parent], maxPayload: 4_096 });
    await place.client.start(parent, null, { id: "r" });
    await p.work();
    return () => place.facts(PARENT);
  },
  closed: { status: "completed", lifelines: [] },
  opened: { "wait-too-large-to-store-suspends": { status: "paused", lifelines: [] } },
});

hole(21, {
  title: "a replay starts no child again, so a child that is gone does not run twice",
  scenario: async (place) => {
    const kid = kidOf(place);
    const parent = durableTask({
      name: "parent",
      run: async (_: unknown, ctx) => {
        const output = await ctx.run(kid, 1, { id: "kid" });
        await ctx.waitForEvent("go");
        return output;
      },
    });
    const [k, p, q] = [
      await place.worker("K", { tasks: [kid] }),
      await place.worker("P", { tasks: [parent] }),
      await place.worker("Q", { tasks: [parent] }),
    ];
    const child = { taskName: "kid", runId: "kid" };
    await place.client.start(parent, null, { id: "r" });
    await p.work();
    await k.work();
    const first = await place.state(PARENT);
    await place.ready(PARENT, first.tail, await place.childEnded(PARENT));
    await p.work();
    await place.purge(child);
    const second = await place.state(PARENT);
    const because = await place.matched(PARENT, await place.event("go", 1));
    await place.ready(PARENT, second.tail, because);
    await q.work();
    const again = (await place.last(child, "token.start")) !== undefined;
    if (again) await k.work();
    return async () => ({ again, effects: place.effects });
  },
  closed: { again: false, effects: ["kid 1"] },
  opened: { "replay-starts-children-again": { again: true, effects: ["kid 1", "kid 1"] } },
});

/** A text that cannot be deflated. */
function noise(ctx: DurableContext, length: number): string {
  return Array.from({ length }, () => ctx.uuid()).join("");
}

function kidOf(place: Place): Task<number, number, "regular"> {
  return task({
    name: "kid",
    run: (input: number) => {
      place.effects.push(`kid ${input}`);
      return input;
    },
  });
}
