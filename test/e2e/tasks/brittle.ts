/** Runs that fail, stand still or kill their worker until somebody repairs something. */
import { existsSync } from "node:fs";
import { type DurableContext, durableTask, type Task, task } from "../../../shared/task.ts";
import { effect } from "../harness/effects.ts";

/** What an order needs. */
export interface Needs {
  /** Path of a file without which "charge" fails. */
  readonly card: string;
  /** Path of a file without which "ship" kills the worker's process. */
  readonly truck?: string;
  /** The first two steps say how they are undone. */
  readonly undoes?: boolean;
  /** How long the run may take. */
  readonly sleeps?: boolean;
}

async function order(needs: Needs, ctx: DurableContext): Promise<string> {
  const undo = (name: string) =>
    needs.undoes ? { undo: () => effect(ctx.runId, `undo ${name}`) } : {};
  const once = { retries: { limit: 0, backoff: { initial: "10ms" } } } as const;
  const ids = await Promise.all(
    ["reserve", "pack"].map((name) =>
      ctx.step(
        name,
        () => {
          effect(ctx.runId, name);
          return `${name}d`;
        },
        undo(name),
      ),
    ),
  );
  if (needs.sleeps) await ctx.sleepFor("20s");
  let note: string;
  try {
    const charge = ctx.step(
      "charge",
      () => {
        effect(ctx.runId, "charge");
        if (!existsSync(needs.card)) throw new RangeError("no such card");
        return "charged";
      },
      once,
    );
    note = (await Promise.all([charge, ctx.step("weigh", () => effect(ctx.runId, "weigh"))]))[0];
  } catch (error) {
    await ctx.step("complain", () => effect(ctx.runId, "complain"));
    throw error;
  }
  if (needs.truck !== undefined)
    await ctx.step("ship", () => {
      effect(ctx.runId, "ship");
      if (!existsSync(needs.truck ?? "")) process.kill(process.pid, "SIGKILL");
    });
  return [...ids, note].join(", ");
}

/** An order that needs a card. */
export const brittle: Task<Needs, string> = durableTask({ name: "brittle", run: order });

/** The same within 700 ms, which a sleep uses up. */
export const brittleHasty: Task<Needs, string> = durableTask({
  name: "brittle-hasty",
  runTimeout: "700ms",
  run: order,
});

/** An order of a child. */
export const brittleParent: Task<Needs, string> = durableTask({
  name: "brittle-parent",
  run: async (needs: Needs, ctx) =>
    `child: ${await ctx.run(brittle, needs, { id: `of-${ctx.runId}` })}`,
});

/** A regular task that needs a card. */
export const brittleRegular: Task<Needs, string> = task({
  name: "brittle-regular",
  retries: { limit: 1, backoff: { initial: "10ms" } },
  run: (needs: Needs, ctx) => {
    effect(ctx.runId, "charge", ctx.attempt);
    if (!existsSync(needs.card)) throw new RangeError("no such card");
    return "charged";
  },
});

/** How a run ends the process it is in. */
export type Death = "crash" | "memory" | "loop";

/** Kills its worker a moment after it was taken up. */
export const lateKiller: Task<Death, void> = durableTask({
  name: "late-killer",
  run: async (death: Death, ctx) => {
    await ctx.step("kill", async () => {
      effect(ctx.runId, "kill");
      await new Promise((resolve) => setTimeout(resolve, 400));
      const kept: unknown[] = [];
      switch (death) {
        case "crash":
          return process.kill(process.pid, "SIGKILL");
        case "memory":
          for (;;) kept.push(Array.from({ length: 100_000 }, (_, i) => ({ i })));
        case "loop":
          for (;;) kept.length = 0;
      }
    });
  },
});

/** Keeps the event loop for itself for a while, nearly all of it in code of Node's own. */
export const hog: Task<number, string> = durableTask({
  name: "hog",
  run: (ms: number, ctx) =>
    ctx.step("hog", () => {
      const from = performance.now();
      while (performance.now() - from < ms)
        for (let i = 0; i < 1_000; i++) void globalThis.performance; // a getter
      return "done";
    }),
});

/** Has a step that takes as long as a file is missing. */
export const patient: Task<{ readonly gate: string }, string> = durableTask({
  name: "patient",
  run: async ({ gate }: { readonly gate: string }, ctx) => {
    await ctx.step("work", async () => {
      effect(ctx.runId, "work");
      while (!existsSync(gate)) await new Promise((resolve) => setTimeout(resolve, 10));
    });
    return "worked";
  },
});
