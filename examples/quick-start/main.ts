import { connect } from "contrail";
import { startEngine } from "contrail/engine";
import { durableTask, task } from "contrail/task";
import { startWorker } from "contrail/worker";

const packItem = task({
  name: "pack-item", // regular: short work that holds a slot while it runs
  retries: { limit: 3, backoff: { initial: "1s", factor: 2, max: "1m" } },
  run: (input: { sku: string }) => ({ parcel: `P-${input.sku}` }),
});

const fulfil = durableTask({
  name: "fulfil-order", // durable: may take weeks, and holds a slot only while it works
  run: async (order: { id: string; skus: string[] }, ctx) => {
    const payment = await ctx.step("reserve payment", () => `payment for ${order.id}`);
    const approval = await ctx.waitForEvent("order.approved", {
      where: { orderId: order.id },
      timeout: "7 days",
    });
    if (!approval) return { status: "expired" as const };
    await ctx.sleepFor({ seconds: 5 });
    const skus = order.skus.map((sku) => ({ sku }));
    return { status: "done" as const, payment, parcels: await ctx.run(packItem, skus) };
  },
});

const servers = process.env.NATS_URL ?? "nats://127.0.0.1:4222";
const engine = await startEngine({ servers });
const worker = await startWorker({ servers, tasks: [packItem, fulfil] });
const client = await connect({ servers });

const run = await client.start(fulfil, { id: "42", skus: ["tea", "cup"] }, { id: "order-42" });
console.log("Started. It waits for order.approved.");
console.log(await run.result()); // { status: "done", payment: "payment for 42", parcels: ... }
await Promise.all([client.close(), worker.close(), engine.close()]);
