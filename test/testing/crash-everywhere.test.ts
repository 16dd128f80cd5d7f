import test from "ava";
import { durableTask, task } from "../../shared/task.ts";
import { crashEverywhere, TestKitError } from "../../testing/index.ts";
import { done, fulfil, order, pack } from "./sample.ts";

test("a worker dies at every place, and each run comes to the same outcome", async (t) => {
  const { outcome, places } = await crashEverywhere(
    { tasks: [fulfil, pack], steps: { charge: { id: "p1" } } },
    async (kit) => {
      const run = await kit.start(fulfil, order);
      await kit.publish("order.approved", { orderId: "42" });
      return run.result();
    },
  );
  t.deepEqual(outcome, done);
  t.true(places.length > 20);
  const has = (pattern: RegExp): boolean => places.some((place) => pattern.test(place));
  t.true(has(/^before-claim$/) && has(/^after-step$/) && has(/^after .*\.fulfil\.run-1\.h$/));
  t.true(has(/\.timer$/) && has(/\.wait$/) && has(/pack.*\.c$/) && has(/acknowledgement/));
});

test("an outcome that depends on the crash is told, with the place", async (t) => {
  let calls = 0;
  const counter = task({ name: "counter", run: () => ++calls });
  const error = await t.throwsAsync(
    crashEverywhere({ tasks: [counter] }, (kit) => kit.run(counter)),
    { instanceOf: TestKitError },
  );
  t.regex(error?.message ?? "", /^The test came to 2 after the worker died at its place 1, "/);
});

test("a step that is executed twice is no fault while its result is not stored", async (t) => {
  let calls = 0;
  const counter = durableTask({
    name: "counter",
    run: async (_: undefined, ctx) => {
      await ctx.step("count", () => {
        calls++;
      });
      return "counted";
    },
  });
  const { places } = await crashEverywhere({ tasks: [counter] }, (kit) => kit.run(counter));
  t.true(calls > places.length);
});

test("a test that fails after a crash says where the worker died", async (t) => {
  let calls = 0;
  const once = task({
    name: "once",
    retries: 0,
    run: () => {
      if (++calls > 1) throw new Error("again");
    },
  });
  await t.throwsAsync(
    crashEverywhere({ tasks: [once] }, (kit) => kit.run(once)),
    { instanceOf: TestKitError, message: /^The test failed after the worker died at its place 1,/ },
  );
});
