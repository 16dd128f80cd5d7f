import test from "ava";
import { until } from "../helpers/until.ts";
import { checkHistory, checkQuiet, claims, forEachWorld } from "./harness/index.ts";
import { sleeper } from "./tasks/sleepers.ts";

const tasksFile = new URL("./tasks/sleepers.js", import.meta.url);
const RESULT = "went to bed, got up";
const SLEEP_MS = 1_500;
const RUNS = 40;

forEachWorld(test, (title, open) => {
  test(`${title}: a run that slept on a worker that is gone since resumes on another, which does not repeat its steps`, async (t) => {
    const world = await open(t);
    const a = await world.startWorker({ tasksFile });
    const run = await world.client.start(sleeper, SLEEP_MS);
    await world.untilStatus(run, "waiting");
    await until(() => world.leases.of(a.id, "durable")?.held.length === 0);
    await a.end();
    const b = await world.startWorker({ tasksFile });
    t.is(await world.result(run), RESULT);
    const [entered, before, enteredAgain, after, ...more] = world.effects.read(run.runId);
    t.deepEqual([entered?.step, entered?.pid], ["code entered", a.pid]);
    t.deepEqual([before?.step, before?.pid], ["before", a.pid]);
    t.deepEqual([enteredAgain?.step, enteredAgain?.pid], ["code entered", b.pid]);
    t.deepEqual([after?.step, after?.pid], ["after", b.pid]);
    t.deepEqual(more, []);
    checkHistory(t, await world.endOf(run));
  });

  test(`${title}: of many runs that sleep with two workers both resume some, also such as the other put to sleep`, async (t) => {
    const world = await open(t, { claimTimeoutMs: 3_000 });
    const [a, b] = await Promise.all([
      world.startWorker({ tasksFile, slots: { durable: 2 } }),
      world.startWorker({ tasksFile, slots: { durable: 2 } }),
    ]);
    const starts = Array.from({ length: RUNS }, () => world.client.start(sleeper, SLEEP_MS));
    const runs = await Promise.all(starts);
    for (const run of runs) t.is(await world.result(run), RESULT);
    const woken = world.effects.read(undefined, "after");
    t.is(woken.length, RUNS);
    for (const { pid } of [a, b]) t.true(woken.some((effect) => effect.pid === pid));
    const hasMoved = runs.filter(({ runId }) => {
      const pids = world.effects.read(runId).map(({ pid }) => pid);
      return new Set(pids).size > 1;
    });
    t.true(hasMoved.length > 0, "some runs went on with the other worker");
    for (const run of runs) checkHistory(t, await world.endOf(run));
    await checkQuiet(t, world);
  });

  test(`${title}: a worker resumes a run that it kept in memory without a replay, and with a replay when it kept none, to the same result`, async (t) => {
    const world = await open(t);
    for (const [warmRuns, entered] of [
      [100, 1],
      [0, 2],
    ] as const) {
      const worker = await world.startWorker({ tasksFile, warmRuns });
      const run = await world.client.start(sleeper, SLEEP_MS);
      t.is(await world.result(run), RESULT);
      const view = await world.endOf(run);
      t.deepEqual(world.effects.counts(run.runId), {
        "code entered": entered,
        before: 1,
        after: 1,
      });
      t.deepEqual(
        claims(view).filter((because) => because !== "start"),
        ["timer"],
      );
      checkHistory(t, view);
      await worker.stop();
    }
  });

  test(`${title}: a worker that keeps one run in memory replays the others`, async (t) => {
    const world = await open(t);
    await world.startWorker({ tasksFile, warmRuns: 1 });
    const runs = [];
    for (let i = 0; i < 3; i++) {
      const run = await world.client.start(sleeper, 4_000);
      await world.untilStatus(run, "waiting");
      runs.push(run);
    }
    for (const run of runs) t.is(await world.result(run), RESULT);
    const entered = runs.map(({ runId }) => world.effects.counts(runId)["code entered"] ?? 0);
    t.deepEqual(entered, [2, 2, 1]);
  });

  test(`${title}: a run whose worker is closed while it sleeps is finished by another`, async (t) => {
    const world = await open(t);
    const a = await world.startWorker({ tasksFile });
    const run = await world.client.start(sleeper, SLEEP_MS);
    await world.untilStatus(run, "waiting");
    t.deepEqual(await a.stop(), { code: 0, signal: null });
    t.deepEqual(await world.leases.stored("durable"), []);
    const b = await world.startWorker({ tasksFile });
    t.is(await world.result(run), RESULT);
    t.deepEqual(
      world.effects.read(run.runId, "after").map(({ pid }) => pid),
      [b.pid],
    );
  });
});
