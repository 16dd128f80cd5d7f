import test from "ava";
import type { LogFields } from "../../shared/logger.ts";
import { silentLog } from "../../shared/logger.ts";
import { durableTask, task } from "../../shared/task.ts";
import { testKit } from "../../testing/index.ts";

const pack = task({
  name: "pack",
  run: (sku: string, { log }) => {
    log.info("packing", { sku, runId: "another" });
  },
});
const order = durableTask({
  name: "order",
  run: async (sku: string, ctx) => {
    ctx.log.warn("taken", { sku });
    await ctx.sleepFor("1 day");
    ctx.log.info("slept");
    await ctx.run(pack, sku);
  },
});

test("what a task logs says of which task, run and worker it is, and is not said again by a replay", async (t) => {
  const lines: [string, LogFields | undefined][] = [];
  const write = (message: string, fields?: LogFields): void => void lines.push([message, fields]);
  const kit = await testKit({
    tasks: [pack, order],
    warmRuns: 0,
    log: { ...silentLog, info: write, warn: write },
  });
  t.teardown(() => kit.close());
  const run = await kit.start(order, "tea", { id: "mine" });
  await run.result();
  const told = lines.filter(([, fields]) => fields?.["taskName"] !== undefined);
  t.deepEqual(
    told.map(([message]) => message),
    ["taken", "slept", "packing"],
  );
  const [taken, slept, packing] = told.map(([, fields]) => fields);
  t.like(taken, { sku: "tea", taskName: "order", runId: "mine" });
  t.like(slept, { taskName: "order", runId: "mine" });
  t.like(packing, { sku: "tea", taskName: "pack" });
  t.not(packing?.["runId"], "another");
  for (const fields of [taken, slept, packing]) t.is(typeof fields?.["worker"], "string");
});
