/** A test of a task as users write it with vitest, which runs it in vitest.test.ts. */
import { durableTask } from "contrail/task";
import { crashEverywhere, TestKitError, testKit } from "contrail/testing";
import { expect, test, vi } from "vitest";

const remind = durableTask({
  name: "remind",
  run: async (order: { id: string }, ctx) => {
    const paid = await ctx.waitForEvent("order.paid", {
      where: { id: order.id },
      timeout: "3 days",
    });
    if (paid) return "paid";
    await ctx.step("send mail", () => "sent");
    return "reminded";
  },
});

test("somebody who does not pay is reminded after three days", async () => {
  const send = vi.fn(() => "sent");
  const kit = await testKit({ tasks: [remind], steps: { "send mail": send } });
  const run = await kit.start(remind, { id: "o1" });
  await kit.advance("2 days");
  expect((await run.view()).state.status).toBe("waiting");
  expect(send).not.toHaveBeenCalled();
  await expect(run.result()).resolves.toBe("reminded");
  expect(send).toHaveBeenCalledOnce();
});

test("a payment is never missed, wherever the worker dies", async () => {
  const { outcome, places } = await crashEverywhere({ tasks: [remind] }, async (kit) => {
    const run = await kit.start(remind, { id: "o1" });
    await kit.publish("order.paid", { id: "o1" });
    return run.result();
  });
  expect(outcome).toBe("paid");
  expect(places.length).toBeGreaterThan(0);
});

test("the date may be a fake one", async () => {
  vi.useFakeTimers({ toFake: ["Date"], now: 0 });
  try {
    const kit = await testKit({ tasks: [remind] });
    await expect(kit.run(remind, { id: "o1" })).resolves.toBe("reminded");
  } finally {
    vi.useRealTimers();
  }
});

test("what nobody will bring fails the test with an error of the kit", async () => {
  const waiting = durableTask({
    name: "waiting",
    run: async (_: null, ctx) => void (await ctx.waitForEvent("never")),
  });
  const kit = await testKit({ tasks: [waiting] });
  await expect(kit.run(waiting, null)).rejects.toBeInstanceOf(TestKitError);
});
