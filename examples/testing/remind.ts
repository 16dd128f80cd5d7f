/** A test of a task, as users write it: `node --test` runs it. docs/testing.md shows it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { durableTask } from "contrail/task";
import { crashEverywhere, testKit } from "contrail/testing";

const remind = durableTask({
  name: "remind",
  run: async (order: { id: string }, ctx) => {
    const paid = await ctx.waitForEvent("order.paid", {
      where: { id: order.id },
      timeout: "3 days",
    });
    if (paid) return "paid";
    await ctx.step("send mail", () => fetch("https://mail.example/send", { method: "POST" }));
    return "reminded";
  },
});
const steps = { "send mail": "sent" };

test("somebody who does not pay is reminded after three days", async () => {
  const kit = await testKit({ tasks: [remind], steps });
  const run = await kit.start(remind, { id: "o1" });
  await kit.advance("2 days");
  assert.equal((await run.view()).state.status, "waiting");
  assert.equal(await run.result(), "reminded");
});

test("a payment is never missed, wherever the worker dies", async () => {
  const { outcome, places } = await crashEverywhere({ tasks: [remind], steps }, async (kit) => {
    const run = await kit.start(remind, { id: "o1" });
    await kit.publish("order.paid", { id: "o1" });
    return run.result();
  });
  assert.equal(outcome, "paid");
  assert.ok(places.length > 0);
});
