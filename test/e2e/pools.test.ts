import test from "ava";
import { until } from "../helpers/until.ts";
import { claims, forEachWorld, type World } from "./harness/index.ts";
import { busy, leaf, nap, nest, waiter } from "./tasks/pools.ts";

const tasksFile = new URL("./tasks/pools.js", import.meta.url);
const WAITING = 1_000;

forEachWorld(test, (title, open) => {
  test(`${title}: durable runs start and resume while busy work fills every regular slot, and more of it waits`, async (t) => {
    const world = await open(t, { claimTimeoutMs: 5_000 });
    await world.startEngine();
    await world.startWorker({ tasksFile, slots: { regular: 3, durable: 2 } });
    const blockers = await Promise.all(
      Array.from({ length: 9 }, () => world.client.start(busy, world.gate("open"))),
    );
    await until(() => world.leases.held("regular") === 3, { what: "every regular slot is held" });
    const naps = await Promise.all(Array.from({ length: 6 }, () => world.client.start(nap)));
    for (const run of naps) {
      t.is(await world.result(run), "slept");
      t.true(claims(await world.endOf(run)).includes("timer"), "it gave its slot back and resumed");
    }
    const nested = await world.client.start(nest, 2);
    t.is(await world.result(nested), "2(1(0))");
    t.is(world.effects.read(undefined, "busy").length, 3, "no other regular run began meanwhile");
    t.is(world.leases.held("regular"), 3);
    world.open("open");
    for (const run of blockers) t.is(await world.result(run, 60_000), "done");
    checkCapacities(world, { regular: 3, durable: 2 });
  });

  test(`${title}: regular runs start while durable runs hold every durable slot`, async (t) => {
    const world = await open(t, { claimTimeoutMs: 5_000 });
    await world.startWorker({
      tasksFile,
      slots: { regular: 1, durable: 2 },
      failpoints: holdSteps(world),
    });
    const held = await Promise.all([1, 2].map(() => world.client.start(nap)));
    await until(() => world.leases.held("durable") === 2, { what: "every durable slot is held" });
    for (let i = 0; i < 5; i++) t.is(await world.result(await world.client.start(leaf, i)), 2 * i);
    t.is(world.leases.held("durable"), 2);
    world.open("steps");
    for (const run of held) t.is(await world.result(run), "slept");
    checkCapacities(world, { regular: 1, durable: 2 });
  });

  test(`${title}: 1,000 waiting durable runs hold no slot and keep no other run from starting`, async (t) => {
    const world = await open(t, { claimTimeoutMs: 5_000 });
    await world.startEngine();
    await world.startWorker({ tasksFile, slots: { regular: 1, durable: 1 } });
    const waiting = await Promise.all(
      Array.from({ length: WAITING }, (_, i) => world.client.start(waiter, i % 2)),
    );
    const countOf = async (status: "waiting" | "completed"): Promise<number> => {
      const runs = await world.client.list({ taskName: "waiter", status, limit: 2 * WAITING });
      return runs.length;
    };
    await until(async () => (await countOf("waiting")) === WAITING, {
      ...{ withinMs: 90_000, everyMs: 500, what: "all of them wait" },
    });
    await until(async () => (await world.leases.stored("durable"))[0]?.held.length === 0, {
      what: "the bucket shows no run",
    });
    t.is(await world.result(await world.client.start(leaf, 4)), 8);
    t.is(await world.result(await world.client.start(nap)), "slept");
    t.is(await countOf("waiting"), WAITING, "none of them was touched");
    await world.client.publish("pools.go", { group: 1 });
    await until(async () => (await countOf("completed")) === WAITING / 2, {
      ...{ withinMs: 90_000, everyMs: 500, what: "half of them have ended" },
    });
    for (const run of waiting.slice(0, 10)) {
      const { state } = await run.view();
      t.is(state.status, waiting.indexOf(run) % 2 === 1 ? "completed" : "waiting");
    }
    checkCapacities(world, { regular: 1, durable: 1 });

    t.true(world.leases.records.length > 0);
  });

  function checkCapacities(
    world: World,
    capacities: { readonly regular: number; readonly durable: number },
  ): void {
    for (const { pool, capacity, held } of world.leases.records) {
      if (capacity !== capacities[pool] || held.length > capacity)
        throw new Error(`The ${pool} pool held ${held.length} of ${capacity} slots.`);
    }
  }
});

/** Both durable runs stop in their first step until the test lets them go. */
function holdSteps(world: World): string {
  const hold = `hold:${world.gate("steps")}`;
  return `before-step@1=${hold},before-step@2=${hold}`;
}
