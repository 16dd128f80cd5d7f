/** Two tasks: an order that is approved, packed, held, and delivered; and the packing of one item. */
import { anyOf, type DurationInput, durableTask, event, sleep, task } from "contrail/task";
import { mail, payments, warehouse } from "./services.ts";

export interface Order {
  readonly id: string;
  readonly skus: readonly string[];
  /** How long the parcels stay here in case the customer changes the address. */
  readonly holdFor?: DurationInput;
}

/** A regular task: short work that holds a slot while it runs, and is tried again when it fails. */
export const packItem = task({
  name: "pack-item",
  retries: { limit: 3, backoff: { initial: "1s", factor: 2, max: "1m" } },
  timeout: "30s",
  run: async ({ sku }: { sku: string }, ctx) => ({
    parcel: await warehouse.pack({ sku }, ctx.signal),
  }),
});

/** A durable task: it may take weeks, and holds a slot only while there is something to do. */
export const fulfil = durableTask({
  name: "fulfil-order",
  run: async (order: Order, ctx) => {
    const payment = await ctx.step("reserve payment", ({ idempotencyKey }) =>
      payments.reserve({ orderId: order.id, idempotencyKey }),
    );

    const approval = await ctx.waitForEvent("order.approved", {
      where: { orderId: order.id },
      timeout: "7 days",
    });
    if (!approval) return { status: "expired" as const };

    const parcels = await Promise.all(order.skus.map((sku) => ctx.run(packItem, { sku })));

    await ctx.sleepFor(order.holdFor ?? { hours: 24 });

    const first = await ctx.waitFor(
      anyOf(event("order.delivered", { where: { orderId: order.id } }), sleep("3 days")),
    );
    await ctx.step("thank the customer", ({ idempotencyKey }) =>
      mail.send({ about: order.id, idempotencyKey }),
    );
    return { status: "done" as const, payment, parcels, first: first.kind };
  },
});
