import test from "ava";
import { until } from "../helpers/until.ts";
import { checkHistory, claims, forEachWorld } from "./harness/index.ts";
import { fanOut, nest, single } from "./tasks/pools.ts";

const tasksFile = new URL("./tasks/pools.js", import.meta.url);
const CHILDREN = 1_000;
/** The sum of what the children return: twice 0 to 999. */
const SUM = CHILDREN * (CHILDREN - 1);
/** "Once or a few times, not a thousand": less than one wake-up for ten children. */
const MOST_CLAIMS = CHILDREN / 10;

forEachWorld(test, (title, open) => {
  for (const [parent, how] of [
    [fanOut, "as one wait"],
    [single, "with a wait for each"],
  ] as const)
    test(`${title}: a parent with one durable slot awaits 1,000 regular children on five slots ${how}, and is woken a few times`, async (t) => {
      const world = await open(t, { claimTimeoutMs: 5_000 });
      await world.startEngine();
      await world.startWorker({ tasksFile, slots: { durable: 1, regular: 5 } });
      const run = await world.client.start(parent, CHILDREN, { id: "parent" });
      t.is(await world.result(run, 100_000), SUM);
      const view = await world.endOf(run);
      checkHistory(t, view);
      const reasons = claims(view).filter((because) => because !== "start");
      t.true(reasons.length <= MOST_CLAIMS, `${reasons.length} claims`);
      t.true(reasons.length >= 1 && reasons.every((because) => because === "match"), `${reasons}`);
      const children = await world.client.list({ taskName: "leaf", limit: 2 * CHILDREN });
      t.is(children.length, CHILDREN);
      t.true(children.every(({ status, isChild }) => status === "completed" && isChild));
    });

  test(`${title}: durable parents nested five deep finish with one durable slot in the whole system`, async (t) => {
    const world = await open(t);
    await world.startEngine();
    const worker = await world.startWorker({ tasksFile, slots: { durable: 1, regular: 0 } });
    const runs = await Promise.all([1, 2, 3].map(() => world.client.start(nest, 5)));
    for (const run of runs) t.is(await world.result(run, 60_000), "5(4(3(2(1(0)))))");
    const all = await world.client.list({ taskName: "nest", limit: 100 });
    t.is(all.length, 3 * 6);
    t.deepEqual([...new Set(all.map(({ status }) => status))], ["completed"]);
    for (const run of runs) {
      const view = await world.endOf(run);
      checkHistory(t, view);
      const reasons = claims(view).filter((because) => because !== "start");
      t.deepEqual(reasons, ["match"], "woken once, by the end of its child");
    }
    await until(() => world.leases.held("durable") === 0);
    t.deepEqual(world.leases.excesses, []);
    t.true(world.leases.records.some(({ held }) => held.length === 1));
    t.true(world.leases.records.every(({ worker: id }) => id === worker.id));
  });
});
