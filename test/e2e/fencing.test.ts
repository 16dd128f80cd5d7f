import test from "ava";
import type { RunHandle } from "../../shared/index.ts";
import { until } from "../helpers/until.ts";
import {
  checkHistory,
  checkQuiet,
  claims,
  forEachWorld,
  type TestProcess,
  type World,
} from "./harness/index.ts";
import { flaky, gated, gatedSleeper } from "./tasks/gated.ts";
import { WINDING_RESULT } from "./tasks/winding.ts";

const windingFile = new URL("./tasks/winding.js", import.meta.url);
const gatedFile = new URL("./tasks/gated.js", import.meta.url);

/** Where a worker is stopped, and how often it comes by there first. */
const groups = {
  "at its code and its commits": [
    "before-step@2",
    "after-step@3",
    "before-commit@3",
    "after-commit@3",
  ],
  "at a claim": ["before-claim@1", "after-claim@1", "before-claim@2", "after-claim@2"],
  "at a registration": [
    "before-registration@1",
    "before-timer@1",
    "before-wait@1",
    "before-ack@1",
    "before-timer@2",
    "before-ack@2",
  ],
} as const;

forEachWorld(test, (title, open) => {
  for (const [where, places] of Object.entries(groups))
    test(`${title}: a worker that is paused ${where} and comes back after another has taken over appends nothing, starts nothing, and goes on with other runs`, async (t) => {
      const world = await open(t);
      const paused = await Promise.all(
        places.map(async (place, i) => {
          const only = [`winding ${i + 1}`];
          const failpoints = `${place}=stop`;
          const worker = await world.startWorker({
            ...{ tasksFile: windingFile, only, failpoints, slots: { durable: 1 } },
          });
          const run = await world.client.start(`winding ${i + 1}`);
          await until(() => worker.isStopped, { withinMs: 20_000, everyMs: 100, what: place });
          return { worker, run, place };
        }),
      );
      const other = await world.startWorker({ tasksFile: windingFile });
      for (const { run } of paused) t.deepEqual(await world.result(run), WINDING_RESULT);
      const lengths = await Promise.all(paused.map(({ run }) => historyLength(world, run)));
      await other.stop();
      const effects = world.effects.read().length;
      for (const { worker } of paused) worker.kill("SIGCONT");
      for (const { worker, run, place } of paused) {
        // With its only slot: the run that it lost does not hold it.
        const next = await world.client.start(run.taskName);
        t.deepEqual(await world.result(next), WINDING_RESULT, place);
        t.true(worker.isRunning);
      }
      for (const [i, { run, place }] of paused.entries()) {
        checkHistory(t, await world.endOf(run));
        t.is(await historyLength(world, run), lengths[i] as number, `${place} appended nothing`);
        const late = world.effects
          .read()
          .slice(effects)
          .filter(({ run: of }) => of === run.runId);
        // Between the last look at the history and the step's first line nothing can stop it.
        t.is(late.length, place.startsWith("before-step") ? 1 : 0, `${place} started steps`);
      }
      await checkQuiet(t, world);
    });

  test(`${title}: a worker that is too late with its claim leaves the run to the worker that was given the same token`, async (t) => {
    const world = await open(t, { claimTimeoutMs: 2_000 });
    const a = await world.startWorker({ tasksFile: gatedFile, failpoints: "before-claim@1=stop" });
    const run = await world.client.start(gatedSleeper);
    await until(() => a.isStopped, { everyMs: 50, what: "the first worker is before its claim" });
    const b = await world.startWorker({ tasksFile: gatedFile, env: gatesOf(world, "b") });
    await until(() => world.effects.read(run.runId, "woken").length > 0, { withinMs: 20_000 });
    await comesBack(world, a);
    world.open("b/woken");
    t.is(await world.result(run), "done");
    const view = await world.endOf(run);
    checkHistory(t, view);
    t.deepEqual(claims(view), ["timer"]);
    t.deepEqual(
      world.effects.read(run.runId, "woken").map(({ pid }) => pid),
      [b.pid],
    );
  });

  test(`${title}: a worker that is about to take over leaves the run to its owner when that shows a sign of life first`, async (t) => {
    const world = await open(t, { claimTimeoutMs: 2_000 });
    const a = await world.startWorker({ tasksFile: gatedFile, env: gatesOf(world, "a") });
    const run = await world.client.start(gated);
    await until(() => world.effects.read(run.runId, "two").length > 0);
    a.kill("SIGSTOP");
    const failpoints = `before-claim@1=hold:${world.gate("claim")}`;
    const b = await world.startWorker({ tasksFile: gatedFile, failpoints });
    await world.untilHeld("claim");
    await until(() => world.leases.of(b.id, "durable")?.held.length === 1);
    world.open("a/two");
    a.kill("SIGCONT");
    await until(() => world.effects.read(run.runId, "three").length > 0);
    world.open("claim");
    await until(() => world.leases.of(b.id, "durable")?.held.length === 0);
    await b.end();
    world.open("a/three");
    t.is(await world.result(run), "done");
    const view = await world.endOf(run);
    t.deepEqual(claims(view), []);
    t.deepEqual(world.effects.counts(run.runId), { one: 1, two: 1, three: 1 });
    checkHistory(t, view);
  });

  test(`${title}: a worker that lost a run in the middle of a step and gets it back later holds no slot for the step that lost`, async (t) => {
    const world = await open(t);
    const env = { ...gatesOf(world, "a"), CONTRAIL_E2E_FAILS: "yes" };
    const slots = { durable: 2 };
    const a = await world.startWorker({ tasksFile: gatedFile, env, slots });
    const run = await world.client.start(flaky);
    await until(() => world.effects.read(run.runId, "flaky").length > 0);
    a.kill("SIGSTOP");
    const b = await world.startWorker({ tasksFile: gatedFile });
    await world.untilStatus(run, "waiting");
    await until(() => world.leases.of(b.id, "durable")?.held.length === 0);
    await b.end();
    a.kill("SIGCONT");
    t.is(await world.result(run), "done");
    world.open("a/flaky"); // the first attempt fails, and its pass has lost the run meanwhile
    await until(() => world.leases.of(a.id, "durable")?.held.length === 0, {
      what: "the lost pass has given its slot back",
    });
    t.is(world.effects.read(run.runId, "flaky").filter(({ pid }) => pid === a.pid).length, 1);
    checkHistory(t, await world.endOf(run));
  });
});

/** A folder of gates for one process. */
function gatesOf(world: World, name: string): { CONTRAIL_E2E_GATES: string } {
  return { CONTRAIL_E2E_GATES: world.gate(name) };
}

/** Continues a stopped worker; resolves when it has done what it was at and holds no slot. */
async function comesBack(world: World, worker: TestProcess): Promise<void> {
  const continuedAt = Date.now();
  worker.kill("SIGCONT");
  const isIdle = (): boolean => {
    const lease = world.leases.of(worker.id, "durable");
    return lease?.held.length === 0 && Date.parse(lease.at) > continuedAt;
  };
  await until(isIdle, { what: "the worker that came back holds no slot" });
}

async function historyLength(world: World, run: RunHandle): Promise<number> {
  return (await world.endOf(run)).commits.length;
}
