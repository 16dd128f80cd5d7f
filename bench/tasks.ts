/** The tasks that are run: what the worker process executes. */
import { durableTask, type Task, task } from "../shared/task.ts";
import { preciseNow } from "./loops.ts";

/** 256 bytes as JSON, of the kind that a task gets. */
export interface Order {
  readonly id: string;
  readonly customer: string;
  readonly amount: number;
  readonly note: string;
}

const ORDER_BYTES = 256;

/** An order of 256 bytes. */
export function orderOf(id: string): Order {
  const order = { id, customer: "customer-4711", amount: 129.95, note: "" };
  return { ...order, note: "n".repeat(ORDER_BYTES - JSON.stringify(order).length) };
}

/** What this process saw of the runs it executed; taken by the suite after each pass. */
export const seen: {
  /** How late a run went on after its sleep, in milliseconds; negative is too early. */
  lateMs: number[];
  /** From the client's start to the beginning of the first step, in milliseconds. */
  startMs: number[];
  /** Runs that have begun to sleep since the suite forgot the others, each counted once. */
  asleep: Set<string>;
  /** Runs of `alternation` that have begun. */
  begun: number;
} = { lateMs: [], startMs: [], asleep: new Set(), begun: 0 };

/** When the runs of this process asked for their sleep: monotonic, by run. */
const sleepsSince: Map<string, number> = new Map();

export const noop: Task<Order, Order> = task({ name: "noop", run: (order: Order) => order });

const STEP_COUNT = 10;
const STEP_RESULT = "r".repeat(97); // 100 bytes with its frame

export const steps: Task<Order, number> = durableTask({
  name: "steps",
  run: async (_order: Order, ctx) => {
    let length = 0;
    for (let i = 0; i < STEP_COUNT; i++)
      length += (await ctx.step("work", () => STEP_RESULT)).length;
    return length;
  },
});

export const sleeper: Task<{ readonly ms: number }, void> = durableTask({
  name: "sleeper",
  run: async ({ ms }: { readonly ms: number }, ctx) => {
    const { runId } = ctx;
    const since = sleepsSince.get(runId) ?? performance.now();
    sleepsSince.set(runId, since);
    await ctx.sleepFor({ milliseconds: ms });
    seen.lateMs.push(performance.now() - since - ms);
    sleepsSince.delete(runId);
  },
});

export const longSleeper: Task<{ readonly due: number }, void> = durableTask({
  name: "long-sleeper",
  run: async ({ due }: { readonly due: number }, ctx) => {
    seen.asleep.add(ctx.runId);
    await ctx.sleepUntil(new Date(due));
    seen.lateMs.push(Date.now() - due);
  },
});

export const approval: Task<{ readonly orderId: string }, string> = durableTask({
  name: "approval",
  run: async ({ orderId }: { readonly orderId: string }, ctx) => {
    await ctx.waitForEvent("order.approved", { where: { orderId } });
    return orderId;
  },
});

/** A run with a history of so many entries, which then waits. */
export interface LongHistory {
  readonly orderId: string;
  readonly entries: number;
}

export const longHistory: Task<LongHistory, string> = durableTask({
  name: "long-history",
  run: async ({ orderId, entries }: LongHistory, ctx) => {
    for (let i = 0; i < entries; i++) await ctx.step("work", () => STEP_RESULT);
    await ctx.waitForEvent("order.approved", { where: { orderId } });
    return orderId;
  },
});

/** A parent, and how it awaits its children. */
export interface Parent {
  readonly children: number;
  /** One call with a list, or a call for each under `Promise.all`. */
  readonly how: "list" | "single";
}

export const parent: Task<Parent, number> = durableTask({
  name: "parent",
  run: async ({ children, how }: Parent, ctx) => {
    const orders = Array.from({ length: children }, (_, index) => orderOf(`order-${index}`));
    const outputs =
      how === "list"
        ? await ctx.run(noop, orders)
        : await Promise.all(orders.map((order) => ctx.run(noop, order)));
    return outputs.length;
  },
});

/** How often work and waiting alternate, and how long they take. */
export interface Alternation {
  readonly rounds: number;
  readonly workMs: number;
  readonly waitMs: readonly number[];
}

/** The runs of this process that have begun and not ended, and until when each of them sleeps. */
export const alternating: Map<string, number> = new Map();

export const alternation: Task<Alternation, void> = durableTask({
  name: "alternation",
  run: async ({ rounds, workMs, waitMs }: Alternation, ctx) => {
    const { runId } = ctx;
    for (let round = 0; round < rounds; round++) {
      await ctx.step("work", () => {
        if (!alternating.has(runId) && round === 0) seen.begun++;
        alternating.set(runId, 0);
        return new Promise<void>((resolve) => setTimeout(resolve, workMs));
      });
      const ms = waitMs[round] ?? 0;
      alternating.set(runId, performance.now() + ms);
      await ctx.sleepFor({ milliseconds: ms });
    }
    alternating.delete(runId);
  },
});

/** An order on its way. */
export interface Fulfilment {
  readonly orderId: string;
  /** When the client asked for it, by `preciseNow`. */
  readonly askedAt: number;
  readonly skus: readonly string[];
  readonly holdMs: number;
}

export const fulfil: Task<Fulfilment, string> = durableTask({
  name: "fulfil",
  run: async ({ orderId, askedAt, skus, holdMs }: Fulfilment, ctx) => {
    await ctx.step("reserve payment", () => {
      seen.startMs.push(preciseNow() - askedAt);
      return STEP_RESULT;
    });
    const approved = await ctx.waitForEvent("order.approved", {
      where: { orderId },
      timeout: "1 h",
    });
    if (!approved) return "expired";
    await ctx.run(
      noop,
      skus.map((sku) => orderOf(sku)),
    );
    await ctx.sleepFor({ milliseconds: holdMs });
    await ctx.step("thank the customer", () => STEP_RESULT);
    return "done";
  },
});
