import test from "ava";
import { openTokens } from "../helpers/forgery.ts";
import { until } from "../helpers/until.ts";
import {
  checkHistory,
  checkQuiet,
  forEachWorld,
  type TestProcess,
  type World,
} from "./harness/index.ts";
import { approval, everything, MISMATCH, secondChance, together } from "./tasks/conditions.ts";

const tasksFile = new URL("./tasks/conditions.js", import.meta.url);
const LATER_MS = 3_600_000;
/** Long enough to publish two events, on any machine. */
const TIMELY_MS = 8_000;

forEachWorld(test, (title, open) => {
  for (const isReplayed of [false, true])
    test(`${title}: a nested condition says by type which part held, and the losing timer goes${isReplayed ? ", also after replays" : ""}`, async (t) => {
      const world = await open(t);
      await world.startEngine();
      await startWorker(world);
      const ask = (id: string, expiresMs: number) =>
        world.client.start(approval, { id, expiresMs, isReplayed });
      const byEvent = await ask("one", LATER_MS);
      const byChild = await ask("two", LATER_MS);
      const expired = await ask("three", 1_500);
      const late = await ask("four", LATER_MS);
      for (const run of [byEvent, byChild, late]) {
        await world.untilStatus(run, "waiting");
        await until(async () => (await run.view()).hasTimer, { what: "its timer is set" });
      }
      await world.client.publish("one.manager", "m1");
      await world.client.publish("one.legal.anna", "l1");
      await world.client.publish("two.manager", "m2");
      world.open("two");
      await world.client.publish("three.legal.otto", "nobody asked");
      t.deepEqual(await world.result(byEvent), { how: "event", manager: "m1", legal: "l1" });
      const reviewed = { how: "child", manager: "m2", review: "reviewed two" } as const;
      t.deepEqual(await world.result(byChild), reviewed);
      t.deepEqual(await world.result(expired), { how: "expired" });
      // Both parts of an allOf are there, but the child only after the event that held already.
      await world.client.publish("four.legal.anna", "l4");
      await until(async () => (await late.view()).state.consumedEvents.size > 0);
      world.open("four");
      await world.client.publish("four.manager", "m4");
      t.deepEqual(await world.result(late), { how: "event", manager: "m4", legal: "l4" });
      for (const gate of ["one", "three"]) world.open(gate); // children that nobody waits for
      for (const run of [byEvent, byChild, expired, late]) {
        const view = await world.endOf(run);
        checkHistory(t, view);
        t.false(view.hasTimer, "its timer is gone");
      }
      t.deepEqual(world.effects.read(undefined, MISMATCH), []);
      await checkQuiet(t, world);
    });

  test(`${title}: allOf over a child, an event and a sleep holds with the last of them, whichever`, async (t) => {
    const world = await open(t);
    await world.startEngine();
    await startWorker(world);
    const runs = await Promise.all(
      ["one", "two", "three"].map((id) => world.client.start(everything, { id, fails: false })),
    );
    for (const run of runs) await world.untilStatus(run, "waiting");
    world.open("one");
    await world.client.publish("one.came", 1); // the sleep is last
    const [first, second, third] = runs;
    await world.client.publish("two.came", 2);
    await until(() => hasSlept(second), { withinMs: 20_000 });
    world.open("two"); // the child is last
    world.open("three");
    await until(() => hasSlept(third), { withinMs: 20_000 });
    await world.client.publish("three.came", 3); // the event is last
    t.is(first && (await world.result(first)), "reviewed one, one.came, sleep");
    t.is(second && (await world.result(second)), "reviewed two, two.came, sleep");
    t.is(third && (await world.result(third)), "reviewed three, three.came, sleep");
    await checkQuiet(t, world);
  });

  test(`${title}: a child that fails settles allOf at once with its error, and the sleep of an hour leaves no timer`, async (t) => {
    const world = await open(t);
    await world.startEngine();
    await startWorker(world);
    const run = await world.client.start(everything, { id: "bad", fails: true });
    await world.untilStatus(run, "waiting");
    world.open("bad");
    t.regex(await world.result(run), /the reviewer resigned/);
    const view = await world.endOf(run);
    t.false(view.hasTimer);
    checkHistory(t, view);
    await checkQuiet(t, world);
  });

  test(`${title}: an event that lost against a sleep is there for the next wait`, async (t) => {
    const world = await open(t);
    await world.startEngine();
    await startWorker(world);
    const run = await world.client.start(secondChance, { id: "again" });
    await until(() => hasSlept(run), { withinMs: 20_000 });
    await world.untilStatus(run, "waiting");
    await world.client.publish("again.come", 1);
    t.is(await world.result(run), "sleep, event");
    await checkQuiet(t, world);
  });

  test(`${title}: an event that came in time wins over a sleep that is over when another event's token is claimed`, async (t) => {
    const world = await open(t);
    await world.startEngine();
    const worker = await startWorker(world);
    const run = await world.client.start(together, { id: "both", limitMs: TIMELY_MS });
    await world.untilStatus(run, "waiting");
    await until(async () => {
      const { hasTimer, hasRegistration } = await run.view();
      return hasTimer && hasRegistration;
    });
    await worker.end();
    const tokens = async (): Promise<number> =>
      (await openTokens(world.link, world.setup.names)).undelivered;
    await world.client.publish("both.any", 1);
    await until(async () => (await tokens()) === 1, { what: "the token of the first event" });
    await world.client.publish("both.timely", 2);
    const { state } = await run.view();
    const leaves = [...state.pending.values()].flatMap((wait) => wait.leaves);
    const dueAt = Math.max(...leaves.map((leaf) => (leaf.kind === "sleep" ? leaf.dueAt : 0)));
    t.true(Date.now() < dueAt, "the second event came in time");
    await until(() => Date.now() > dueAt, { withinMs: 2 * TIMELY_MS });
    await until(async () => (await tokens()) > 1, { what: "the token of the timer" });
    await startWorker(world);
    t.is(await world.result(run), "event");
    checkHistory(t, await world.endOf(run));
    await checkQuiet(t, world);
  });
});

/** Keeps nothing in memory: each pass replays. Its gates are in the world's folder. */
function startWorker(world: World): Promise<TestProcess> {
  return world.startWorker({ tasksFile, warmRuns: 0, env: { CONTRAIL_E2E_GATES: world.folder } });
}

type Run = Awaited<ReturnType<World["client"]["start"]>>;

/** Whether a sleep of the run is over, whatever woke the run that noticed it. */
async function hasSlept(run: Run | undefined): Promise<boolean> {
  if (!run) return false;
  const { commits } = await run.view();
  return commits.some(({ entries }) =>
    entries.some((entry) => entry.kind === "wait-settled" && entry.outcome.kind === "sleep"),
  );
}
