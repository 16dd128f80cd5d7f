/** Durable and regular runs that are canceled, terminated, or out of time. */
import { type DurableContext, durableTask, type Task, task } from "../../../shared/task.ts";
import { effect } from "../harness/effects.ts";

/** What an order is about when it is interrupted. */
export type Activity =
  | "sleep"
  | "event"
  | "deaf step"
  | "steps"
  | "children"
  | "left children"
  | "long retry"
  | "nothing durable"
  | "failure";

/** What an order is to do. */
export interface Order {
  readonly activity: Activity;
  /** Its cleanup never ends by itself. */
  readonly isStubborn?: boolean;
  /** How often an undo fails before it succeeds. */
  readonly undoFailures?: number;
}

const never = (): Promise<never> => new Promise(() => {});

/** Sleeps for an hour. */
export const sleeper: Task<null, string> = durableTask({
  name: "int-sleeper",
  run: async (_: null, ctx) => {
    await ctx.sleepFor("1h");
    return "slept";
  },
});

/** Charges, reserves, does what it is told, cleans up behind itself, and undoes what it did. */
async function fulfil(
  { activity, isStubborn, undoFailures = 0 }: Order,
  ctx: DurableContext,
): Promise<string> {
  const step = (name: string, then?: () => unknown): Promise<unknown> =>
    ctx.step(name, () => {
      effect(ctx.runId, name);
      return then?.();
    });
  const undoable = (name: string): Promise<string> =>
    ctx.step(
      name,
      () => {
        effect(ctx.runId, name);
        return `receipt of ${name}`;
      },
      {
        retries: { limit: 3, backoff: { initial: "10ms" } },
        undo: (receipt, { attempt }) => {
          if (attempt <= undoFailures) throw new Error(`not yet: ${attempt}`);
          effect(ctx.runId, `undo by ${receipt}`);
        },
      },
    );
  await undoable("charge");
  await undoable("reserve");
  try {
    switch (activity) {
      case "sleep":
        await ctx.sleepFor("1h");
        break;
      case "event":
        await ctx.waitForEvent("int.never");
        break;
      case "deaf step":
        await step("deaf", never);
        break;
      case "steps":
        for (let i = 0; ; i++) await step(`ordinary ${i}`);
      case "children":
        await ctx.run(sleeper, [null, null]);
        break;
      case "left children":
        await ctx.start(sleeper, null, { id: `left-${ctx.runId}`, whenCanceled: "leave" });
        await ctx.run(sleeper, null, { id: `kept-${ctx.runId}` });
        break;
      case "long retry":
        await ctx.step("again", () => Promise.reject(new Error("no")), {
          retries: { limit: 3, backoff: { initial: "1h", max: "2h" } },
        });
        break;
      case "nothing durable":
        await step("begun");
        await never();
        break;
      case "failure":
        throw new RangeError("out of stock");
    }
    return "done";
  } catch (error) {
    await step(`caught ${(error as Error).name}`);
    throw error;
  } finally {
    if (isStubborn) await never();
    await step("cleanup");
  }
}

/** An order that has little time for its cleanup. */
export const order: Task<Order, string> = durableTask({
  name: "int-order",
  cleanupTimeout: "400ms",
  run: fulfil,
});

/** An order that has enough time for its cleanup, though its workers die. */
export const calmOrder: Task<Order, string> = durableTask({ name: "int-calm-order", run: fulfil });

/** Fails while a child of it is being started. */
export const careless: Task<null, never> = durableTask({
  name: "int-careless",
  run: async (_input: null, ctx) => {
    const undo = (): void => effect(ctx.runId, "undo");
    await ctx.step("charge", () => effect(ctx.runId, "charge"), { undo });
    void ctx.start(sleeper, null);
    for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
    throw new Error("out of stock");
  },
});

/** The same with a time limit. */
export const hasty: Task<Order, string> = durableTask({
  name: "int-hasty",
  runTimeout: "1500ms",
  run: async ({ activity }: Order, ctx) => {
    await ctx.step("charge", () => effect(ctx.runId, "charge"), {
      undo: () => effect(ctx.runId, "undo"),
    });
    try {
      if (activity === "sleep") await ctx.sleepFor("1h");
      else await ctx.step("deaf", never);
      return "done";
    } catch (error) {
      await ctx.step("caught", () => effect(ctx.runId, `caught ${(error as Error).name}`));
      throw error;
    }
  },
});

/** A regular run that ends when its signal says so, or never. */
export const busy: Task<{ readonly obeys: boolean }, string> = task({
  name: "int-busy",
  cleanupTimeout: "300ms",
  retries: 0,
  run: async ({ obeys }: { readonly obeys: boolean }, { runId, signal }) => {
    effect(runId, "begun");
    if (!obeys) await never();
    await new Promise((resolve) => signal.addEventListener("abort", resolve));
    effect(runId, "told");
    signal.throwIfAborted();
    return "done";
  },
});

/** A regular run that fails and is to be tried again in an hour. */
export const failing: Task<null, never> = task({
  name: "int-failing",
  retries: { limit: 3, backoff: { initial: "1h", max: "2h" } },
  run: () => Promise.reject(new RangeError("no")),
});

/** A regular run with a time limit. */
export const hastyBusy: Task<{ readonly obeys: boolean }, string> = task({
  name: "int-hasty-busy",
  runTimeout: "500ms",
  cleanupTimeout: "200ms",
  retries: 0,
  run: async ({ obeys }: { readonly obeys: boolean }, { runId, signal }) => {
    effect(runId, "begun");
    if (!obeys) await never();
    await new Promise((resolve) => signal.addEventListener("abort", resolve));
    signal.throwIfAborted();
    return "done";
  },
});
