/** A durable task with one of everything, as users may have it. */
import { anyOf, child, durableTask, event, sleep, type Task, task } from "../../shared/task.ts";

export const pack: Task<{ readonly sku: string }, { readonly parcel: string }> = task({
  name: "pack",
  run: (input: { readonly sku: string }) => ({ parcel: `P-${input.sku}` }),
});

/** What the real payment does: tests script it. */
export const charged: string[] = [];

/** What is ordered. */
export interface Order {
  readonly id: string;
  readonly skus: readonly string[];
}

/** What becomes of it. */
export interface Fulfilled {
  readonly status: "expired" | "done";
  readonly payment?: string;
  readonly parcels?: readonly string[];
  readonly first?: string;
}

export const fulfil: Task<Order, Fulfilled> = durableTask({
  name: "fulfil",
  run: async (order: Order, ctx) => {
    const payment = await ctx.step("charge", () => {
      charged.push(order.id);
      return { id: "real" };
    });
    const approval = await ctx.waitForEvent("order.approved", {
      where: { orderId: order.id },
      timeout: "7 days",
    });
    if (!approval) return { status: "expired" };
    const parcels = await ctx.run(
      pack,
      order.skus.map((sku) => ({ sku })),
    );
    await ctx.sleepFor({ hours: 24 });
    const extra = await ctx.start(pack, { sku: "extra" });
    const first = await ctx.waitFor(anyOf(child(extra), sleep("3 days"), event("never")));
    await ctx.step("notify", () => "sent");
    return {
      status: "done",
      payment: payment.id,
      parcels: parcels.map(({ parcel }) => parcel),
      first: first.kind,
    };
  },
});

export const order: Order = { id: "42", skus: ["a", "b"] };
export const done: Fulfilled = {
  status: "done",
  payment: "p1",
  parcels: ["P-a", "P-b"],
  first: "child",
};
