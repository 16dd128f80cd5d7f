import { readFile } from "node:fs/promises";
import test from "ava";
import { RunCanceledError, RunFailedError, StepFailedError } from "../../shared/errors.ts";
import { durableTask, task } from "../../shared/task.ts";
import { type TestKit, TestKitError, testKit } from "../../testing/index.ts";
import { charged, done, fulfil, order, pack } from "./sample.ts";

const steps = { charge: { id: "p1" } };

test("a task runs to its end in memory, with scripted steps and published events", async (t) => {
  const kit = await testKit({ tasks: [fulfil, pack], steps });
  const from = kit.now();
  const run = await kit.start(fulfil, order);
  await kit.publish("order.approved", { orderId: "42" });
  t.deepEqual(await run.result(), done);
  t.deepEqual(
    kit.executed.map(({ step, runId, attempt }) => [step, runId, attempt]),
    [
      ["charge", "run-1", 1],
      ["notify", "run-1", 1],
    ],
  );
  t.deepEqual(charged, [], "the script took the place of the step");
  const hours = (kit.now().epochMilliseconds - from.epochMilliseconds) / 3_600_000;
  t.true(hours >= 24 && hours < 24.01, `${hours} hours`);
});

test("time passes as the test advances it, and no further", async (t) => {
  const kit = await testKit({ tasks: [fulfil, pack], steps, startAt: "2030-05-01T12:00:00Z" });
  const run = await kit.start(fulfil, order);
  await kit.advance({ days: 6, hours: 23 });
  t.is((await run.view()).state.status, "waiting");
  t.regex(kit.now().toString(), /^2030-05-08T11:00:0[01]/);
  t.regex(await run.why(), /waits since .* for event "order.approved"/);
  await kit.advance("1h");
  t.is((await run.view()).state.status, "completed");
  t.deepEqual(await run.result(), { status: "expired" });
});

test("a result may be awaited before what it needs is published", async (t) => {
  const kit = await testKit({ tasks: [fulfil, pack], steps });
  const run = await kit.start(fulfil, order);
  const result = run.result();
  await kit.publish("order.approved", { orderId: "42" });
  const other = kit.run(pack, { sku: "x" });
  t.deepEqual(await Promise.all([result, other]), [done, { parcel: "P-x" }]);
});

test("a script may be a function of the attempt, an error, or for all other steps", async (t) => {
  const work = durableTask({
    name: "work",
    retries: { limit: 3, backoff: { initial: "1h" } },
    run: async (_: undefined, ctx) => {
      const a = await ctx.step("flaky", () => "real");
      const b = await ctx.step("other", () => "real");
      await ctx.step("broken", () => "real", { retries: 0 });
      return [a, b];
    },
  });
  const kit = await testKit({
    tasks: [work],
    steps: {
      flaky: ({ attempt, step, runId }: { attempt: number; step: string; runId: string }) => {
        if (attempt < 3) throw new Error(`attempt ${attempt} of ${step} in ${runId}`);
        return attempt;
      },
      broken: new RangeError("no"),
      "*": "any",
    },
  });
  const error = await t.throwsAsync(kit.run(work), { instanceOf: RunFailedError });
  t.is(error?.cause instanceof Error && error.cause.name, StepFailedError.name);
  const { state, commits } = await kit.get(work, "run-1").view();
  t.deepEqual(
    state.deliveries.map(({ result }) => (result.ok ? result.value : result.error.message)),
    [3, "any", "no"],
  );
  const failed = commits.flatMap(({ entries }) =>
    entries.flatMap((entry) => (entry.kind === "attempt-failed" ? [entry.error.message] : [])),
  );
  t.deepEqual(failed, ["attempt 1 of flaky in run-1", "attempt 2 of flaky in run-1"]);
});

test("children are scripted by the names of their tasks, also those of tasks that are known", async (t) => {
  const children = { pack: ({ input }: { input: unknown }) => ({ parcel: JSON.stringify(input) }) };
  const kit = await testKit({ tasks: [fulfil, pack], steps, children });
  const run = await kit.start(fulfil, order);
  await kit.publish("order.approved", { orderId: "42" });
  t.deepEqual((await run.result()).parcels, ['{"sku":"a"}', '{"sku":"b"}']);
  const failing = await testKit({ tasks: [fulfil], steps, children: { pack: new Error("none") } });
  const other = await failing.start(fulfil, order);
  await failing.publish("order.approved", { orderId: "42" });
  await t.throwsAsync(other.result(), { instanceOf: RunFailedError, message: /none/ });
});

test("a test that waits for what cannot happen learns what the run waits for", async (t) => {
  const kit = await testKit({ tasks: [fulfil], steps });
  const run = await kit.start(fulfil, order);
  await kit.publish("order.approved", { orderId: "42" });
  const error = await t.throwsAsync(run.result(), { instanceOf: TestKitError });
  t.is((error as TestKitError).code, "test-kit");
  t.regex(error?.message ?? "", /waits since .* for the end of 2 children of task "pack"/);
});

test("a run is canceled and terminated as elsewhere, and undos are steps", async (t) => {
  const trip = durableTask({
    name: "trip",
    run: async (_: undefined, ctx) => {
      await ctx.step("book", () => "b1", { undo: () => {} });
      await ctx.sleepFor("30 days");
    },
  });
  const kit = await testKit({ tasks: [trip], steps: { "undo book": "undone" } });
  const run = await kit.start(trip);
  await kit.settle();
  await run.cancel("bored");
  await t.throwsAsync(run.result(), { instanceOf: RunCanceledError, message: /bored/ });
  t.deepEqual(
    kit.executed.map(({ step }) => step),
    ["book", "undo book"],
  );
  const other = await kit.start(trip);
  await kit.settle();
  await other.terminate();
  await t.throwsAsync(other.result(), { instanceOf: RunCanceledError });
  t.is(kit.executed.length, 3);
});

test("time stands still while a step reads a file, and passes one that hangs", async (t) => {
  const reader = durableTask({
    name: "reader",
    run: async (_: undefined, ctx) => {
      const text = await ctx.step("read", () => readFile("package.json", "utf8"));
      const at = ctx.now().epochMilliseconds;
      const outcome = await ctx
        .step("hang", () => new Promise(() => {}), { timeout: "20s", retries: 0 })
        .catch((error: Error) => error.message);
      return { size: text.length, at, outcome };
    },
  });
  const kit = await testKit({ tasks: [reader], patienceMs: 20 });
  const from = kit.now().epochMilliseconds;
  const { size, at, outcome } = await kit.run(reader);
  t.true(size > 100);
  t.is(at, from);
  t.regex(String(outcome), /longer than its limit/);
});

test("a step may publish an event through the kit", async (t) => {
  const world: { kit?: TestKit } = {};
  const teller = durableTask({
    name: "teller",
    run: async (_: undefined, ctx) => {
      await ctx.step("tell", async () => {
        await readFile("package.json");
        await world.kit?.publish("told", { by: "teller" });
      });
      return (await ctx.waitForEvent("told")).data;
    },
  });
  world.kit = await testKit({ tasks: [teller] });
  t.deepEqual(await world.kit.run(teller), { by: "teller" });
});

test("a regular task is attempted again, and a worker that crashes is replaced", async (t) => {
  const tries: number[] = [];
  const send = task({
    name: "send",
    run: (_: undefined, { attempt }) => {
      tries.push(attempt);
      if (attempt < 3) throw new Error("busy");
      return "sent";
    },
  });
  const kit = await testKit({ tasks: [send, fulfil, pack], steps });
  t.is(await kit.run(send), "sent");
  t.deepEqual(tries, [1, 2, 3]);
  const run = await kit.start(fulfil, order);
  await kit.settle();
  await kit.crash();
  await kit.publish("order.approved", { orderId: "42" });
  t.deepEqual(await run.result(), done);
  t.is(kit.executed.filter(({ step }) => step === "charge").length, 1);
  kit.close();
});

test("a history of the kit says where in the task its steps are", async (t) => {
  const kit = await testKit({ tasks: [fulfil, pack], steps });
  const run = await kit.start(fulfil, order);
  await kit.settle();
  const { commits } = await run.view();
  const [step] = commits.flatMap(({ entries }) => entries);
  t.regex(step && "source" in step ? String(step.source) : "", /^testing\/sample\.[jt]s:\d+$/);
});
