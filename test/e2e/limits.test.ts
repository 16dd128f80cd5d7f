/** Limits that a run meets, by their names. */
import test from "ava";
import { RunFailedError } from "../../shared/index.ts";
import { checkHistory, checkQuiet, forEachWorld } from "./harness/index.ts";
import { crowdedHistory, crowdedParent, crowdedRounds, crowdedWaiter } from "./tasks/crowded.ts";

const tasksFile = new URL("./tasks/crowded.js", import.meta.url);

// docs/limits.md has them.
const CHILDREN = 100_000;
const WAITS = 10_000;
const ENTRIES = 50_000;

forEachWorld(test, (title, open) => {
  test(`${title}: a run that asks for too many children is refused them by name, goes on, and comes to the same on another worker`, async (t) => {
    const world = await open(t);
    await world.startEngine();
    const first = await world.startWorker({ tasksFile });
    const run = await world.client.start(crowdedParent, CHILDREN + 1);
    await world.untilStatus(run, "waiting");
    await first.end();
    await world.startWorker({ tasksFile });
    t.deepEqual(await world.result(run), [
      ["children-per-run", CHILDREN],
      [8, 9],
    ]);
    t.deepEqual(world.effects.counts(run.runId), { "go on": 1 });
    t.is((await world.client.list({ taskName: "crowded-crumb" })).length, 2);
    checkHistory(t, await world.endOf(run));
    await checkQuiet(t, world);
  });

  test(`${title}: a run that waits for too much at once is refused the wait that is too much`, async (t) => {
    const world = await open(t);
    await world.startWorker({ tasksFile });
    const run = await world.client.start(crowdedWaiter, WAITS + 1);
    t.deepEqual(await world.result(run), ["waits-per-run", WAITS]);
    await checkQuiet(t, world);
  });

  test(`${title}: a history that gets too long is warned of, fails its run by name, and the steps are undone`, async (t) => {
    const world = await open(t);
    const worker = await world.startWorker({ tasksFile });
    const run = await world.client.start(crowdedHistory, ENTRIES + 1_000);
    const { cause } = (await t.throwsAsync(world.result(run, 300_000), {
      instanceOf: RunFailedError,
    })) as { cause: object };
    t.like(cause, { code: "limit-exceeded", limitName: "history-length", limit: ENTRIES });
    t.deepEqual(world.effects.counts(run.runId), { undo: 1 });
    const warnings = worker.lines.filter(({ message }) => /^The history of the run/.test(message));
    t.is(warnings.length, 1);
    t.is(warnings[0]?.level, "warn");
  });

  test(`${title}: a run that continues in time has done more than one history may hold, under one id`, async (t) => {
    const world = await open(t);
    const worker = await world.startWorker({ tasksFile });
    const run = await world.client.start(crowdedRounds, 2);
    t.is(await world.result(run, 300_000), 0);
    const { state } = await world.endOf(run);
    t.is(state.beginning?.count, 2);
    t.true(state.entries < 10_000, `${state.entries} entries in the last history`);
    t.false(worker.hasLogged(/^The history of the run/));
  });
});
