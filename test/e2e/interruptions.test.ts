import test, { type ExecutionContext } from "ava";
import { RunCanceledError, RunFailedError, type RunHandle } from "../../shared/index.ts";
import type { Task } from "../../shared/task.ts";
import { until } from "../helpers/until.ts";
import { checkHistory, checkQuiet, forEachWorld, type World } from "./harness/index.ts";
import {
  type Activity,
  busy,
  calmOrder,
  careless,
  failing,
  hasty,
  hastyBusy,
  order,
  sleeper,
} from "./tasks/interrupted.ts";

const tasksFile = new URL("./tasks/interrupted.js", import.meta.url);

const did = (world: World, run: RunHandle): string[] =>
  world.effects.read(run.runId).map(({ step }) => step);

const DONE = ["charge", "reserve"];
const UNDONE = ["undo by receipt of reserve", "undo by receipt of charge"];
const CANCELED = ["caught RunCanceledError", "cleanup", ...UNDONE];

/** Resolves when the run is in the middle of what it is to be interrupted in. */
async function untilAt(world: World, run: RunHandle, activity: Activity): Promise<void> {
  const begun = { "deaf step": "deaf", steps: "ordinary 20", "nothing durable": "begun" } as const;
  const name = (begun as { [activity: string]: string | undefined })[activity];
  if (name === undefined) await world.untilStatus(run, "waiting");
  else await until(() => did(world, run).includes(name), { what: name });
}

async function checkCanceled(
  t: ExecutionContext,
  world: World,
  run: RunHandle,
  message: RegExp,
): Promise<void> {
  const error = await t.throwsAsync(world.result(run), { instanceOf: RunCanceledError });
  t.regex(`${error.message} ${String((error.cause as Error)?.message)}`, message);
  checkHistory(t, await world.endOf(run));
}

forEachWorld(test, (title, open) => {
  test(`${title}: a canceled run learns it where it waits, cleans up with steps, and undoes what it did`, async (t) => {
    const world = await open(t);
    await world.startEngine();
    await world.startWorker({ tasksFile });
    const activities: readonly Activity[] = [
      ...(["sleep", "event", "deaf step", "steps", "children"] as const),
      ...(["long retry", "nothing durable"] as const),
    ];
    await Promise.all(
      activities.map(async (activity) => {
        const what = activity === "nothing durable" ? order : calmOrder;
        const run = await world.client.start(what, { activity }, { id: activity });
        await untilAt(world, run, activity);
        await run.cancel("changed my mind");
        if (activity === "nothing durable")
          return checkCanceled(t, world, run, /within 400 ms after it was interrupted/);
        await checkCanceled(t, world, run, /changed my mind/);
        const effects = did(world, run).filter((name) => !/^(ordinary|deaf)/.test(name));
        t.deepEqual(effects, [...DONE, ...CANCELED], activity);
      }),
    );
    const loop = did(world, world.client.get(calmOrder, "steps"));
    const told = loop.indexOf("caught RunCanceledError");
    t.false(loop.slice(told).some((name) => name.startsWith("ordinary")));
    const children = await world.client.list({ taskName: sleeper.name });
    t.is(children.length, 2);
    for (const { runId } of children)
      await world.endOf(world.client.get(sleeper, runId)).then(({ state }) => {
        t.is(state.status, "canceled");
      });
    await checkQuiet(t, world);
  });

  test(`${title}: a canceled run comes to the same end whenever its worker dies`, async (t) => {
    const world = await open(t, { claimTimeoutMs: 1_000 });
    await world.startEngine();
    for (const place of ["before-commit", "after-commit", "after-step"]) {
      const run = await world.client.start(calmOrder, { activity: "sleep", undoFailures: 1 });
      const first = await world.startWorker({ tasksFile });
      await world.untilStatus(run, "waiting");
      await first.end();
      await run.cancel("late");
      for (const n of [1, 3, 5]) {
        const failpoints = `${place}@${n}=kill`;
        const doomed = await world.startWorker({ tasksFile, failpoints });
        await until(async () => !doomed.isRunning || (await run.view()).state.outcome);
        await doomed.end();
      }
      const last = await world.startWorker({ tasksFile });
      await checkCanceled(t, world, run, /late/);
      const effects = [...new Set(did(world, run))];
      t.deepEqual(effects, [...DONE, ...CANCELED], place);
      await checkQuiet(t, world);
      await last.end();
    }
  });

  test(`${title}: cleanup that does not end is given up after its time, and the undos run`, async (t) => {
    const world = await open(t);
    await world.startEngine();
    await world.startWorker({ tasksFile });
    const input = { activity: "sleep", isStubborn: true } as const;
    const run = await world.client.start(order, input);
    await world.untilStatus(run, "waiting");
    await run.cancel();
    await checkCanceled(t, world, run, /within 400 ms after it was interrupted/);
    t.deepEqual(did(world, run), [...DONE, "caught RunCanceledError", ...UNDONE]);
  });

  test(`${title}: a failed run undoes its steps in reverse order, with retries, and says what could not be undone`, async (t) => {
    const world = await open(t);
    await world.startWorker({ tasksFile });
    const [good, bad] = await Promise.all(
      [1, 9].map((undoFailures) =>
        world.client.start(order, { activity: "failure", undoFailures }),
      ),
    );
    const error = await t.throwsAsync(world.result(good as RunHandle), {
      instanceOf: RunFailedError,
    });
    t.is((error.cause as Error).message, "out of stock");
    t.deepEqual(did(world, good as RunHandle), [
      ...[...DONE, "caught RangeError", "cleanup"],
      ...UNDONE,
    ]);
    const worse = await t.throwsAsync(world.result(bad as RunHandle), {
      instanceOf: RunFailedError,
    });
    const { name, message, cause } = worse.cause as Error;
    t.is(name, "UndoFailedError");
    t.regex(message, /^2 of 2 undos failed\. Step "undo reserve" failed: not yet: 4/);
    t.is((cause as Error).message, "out of stock");
  });

  test(`${title}: a run that fails while it starts a child undoes its steps`, async (t) => {
    const world = await open(t);
    await world.startWorker({ tasksFile });
    const run = await world.client.start(careless, null);
    await t.throwsAsync(world.result(run), { instanceOf: RunFailedError });
    t.deepEqual(did(world, run), ["charge", "undo"]);
    checkHistory(t, await world.endOf(run));
  });

  test(`${title}: a run that is terminated ends at once wherever it is, and its code is not asked`, async (t) => {
    const world = await open(t);
    await world.startEngine();
    await world.startWorker({ tasksFile });
    const activities = ["sleep", "deaf step", "children", "nothing durable"] as const;
    await Promise.all(
      activities.map(async (activity) => {
        const run = await world.client.start(order, { activity });
        await untilAt(world, run, activity);
        if (activity === "nothing durable") await run.cancel();
        await run.terminate("enough");
        await checkCanceled(t, world, run, /terminated by .*: enough/);
        t.false(did(world, run).some((name) => /^(caught|cleanup|undo)/.test(name)));
      }),
    );
    for (const { runId } of await world.client.list({ taskName: sleeper.name }))
      t.is((await world.endOf(world.client.get(sleeper, runId))).state.status, "canceled");
    await checkQuiet(t, world);
  });

  test(`${title}: children follow a canceled parent, unless they are to be left`, async (t) => {
    const world = await open(t);
    await world.startEngine();
    await world.startWorker({ tasksFile });
    const run = await world.client.start(order, { activity: "left children" });
    await world.untilStatus(run, "waiting");
    const [left, kept] = ["left", "kept"].map((name) =>
      world.client.get(sleeper, `${name}-${run.runId}`),
    ) as [RunHandle, RunHandle];
    for (const child of [left, kept]) await world.untilStatus(child, "waiting");
    await run.cancel("late");
    await checkCanceled(t, world, run, /late/);
    t.is((await world.endOf(kept)).state.status, "canceled");
    t.is((await left.view()).state.status, "waiting");
    t.is((await left.view()).cancelRequest, undefined);
  });

  test(`${title}: a run that was canceled in the queue ends without its code`, async (t) => {
    const world = await open(t);
    await world.startEngine();
    const durable = await world.client.start(order, { activity: "failure" });
    const regular = await world.client.start(busy, { obeys: true });
    for (const run of [durable, regular]) await run.cancel("too slow");
    await world.startWorker({ tasksFile });
    for (const run of [durable, regular]) {
      await checkCanceled(t, world, run, /too slow/);
      t.deepEqual(did(world, run), []);
    }
    await checkQuiet(t, world);
  });

  for (const place of ["before-waiting", "before-registration"])
    test(`${title}: a request to cancel that comes while its run suspends, at ${place}, is told`, async (t) => {
      const world = await open(t);
      await world.startEngine();
      for (const [task, input] of [
        [calmOrder, { activity: "sleep" }],
        [failing, null],
      ] as const) {
        const gate = `${task.name}.${place}`;
        const failpoints = `${place}=hold:${world.gate(gate)}`;
        const worker = await world.startWorker({ tasksFile, failpoints });
        const run = await world.client.start(task as Task<unknown, unknown>, input);
        await world.untilHeld(gate);
        await run.cancel("late");
        await until(async () => (await run.view()).cancelRequest !== undefined);
        await until(() => worker.isRunning && world.isHeld(gate));
        world.open(gate);
        await t.throwsAsync(world.result(run, 60_000), { instanceOf: RunCanceledError });
        await worker.end();
      }
    });

  test(`${title}: a queued run that is canceled, or whose time in the queue is over, ends without any worker`, async (t) => {
    const world = await open(t);
    await world.startEngine();
    const { client } = world;
    const canceled = await client.start(order, { activity: "failure" });
    await canceled.cancel("too slow");
    const late = await client.start(order, { activity: "failure" }, { queueTimeout: "200ms" });
    const limited = await client.start(hasty, { activity: "sleep" });
    await checkCanceled(t, world, canceled, /too slow/);
    await timedOut(t, world, late, /No worker began the run within 200 ms/);
    await timedOut(t, world, limited, /No worker began the run within 1500 ms/);
    const begun = await client.start(busy, { obeys: true }, { queueTimeout: "60s" });
    const inTime = await client.start(order, { activity: "failure" }, { queueTimeout: "60s" });
    await world.startWorker({ tasksFile });
    await t.throwsAsync(world.result(inTime), { instanceOf: RunFailedError });
    t.true(did(world, inTime).includes("charge"));
    await until(() => did(world, begun).includes("begun"));
    await begun.cancel();
    await checkCanceled(t, world, begun, /abort/);
    for (const run of [canceled, late, limited]) t.deepEqual(did(world, run), []);
    await checkQuiet(t, world);
  });

  test(`${title}: a regular run is told by its signal, and given up when it does not stop`, async (t) => {
    const world = await open(t);
    await world.startEngine();
    await world.startWorker({ tasksFile });
    const [good, deaf, terminated] = (await Promise.all(
      [true, false, false].map((obeys) => world.client.start(busy, { obeys })),
    )) as [RunHandle, RunHandle, RunHandle];
    for (const run of [good, deaf, terminated])
      await until(() => did(world, run).includes("begun"));
    await good.cancel();
    await deaf.cancel();
    await terminated.terminate("enough");
    await checkCanceled(t, world, good, /abort/);
    await checkCanceled(t, world, deaf, /for 300 ms after it was told to stop/);
    await checkCanceled(t, world, terminated, /terminated by .*: enough/);
    t.deepEqual(did(world, good), ["begun", "told"]);
    await checkQuiet(t, world);
  });

  test(`${title}: a run that takes longer than its limit is told so, cleans up and fails, also when its worker died meanwhile`, async (t) => {
    const world = await open(t, { claimTimeoutMs: 1_000 });
    const first = await world.startWorker({ tasksFile });
    const asleep = await world.client.start(hasty, { activity: "sleep" });
    const atWork = await world.client.start(hasty, { activity: "deaf step" });
    const regular = await world.client.start(hastyBusy, { obeys: true });
    const deaf = await world.client.start(hastyBusy, { obeys: false });
    for (const run of [asleep, atWork])
      await until(() => did(world, run).includes("charge"), { what: "a charge" });
    for (const run of [regular, deaf]) await timedOut(t, world, run, /500 ms/);
    await first.end();
    await world.startWorker({ tasksFile });
    for (const run of [asleep, atWork]) {
      await timedOut(t, world, run, /1500 ms/);
      const effects = [...new Set(did(world, run))];
      t.deepEqual(effects, ["charge", "caught TimeoutError", "undo"]);
    }
    await checkQuiet(t, world);
  });
});

async function timedOut(
  t: ExecutionContext,
  world: World,
  run: RunHandle,
  message: RegExp,
): Promise<void> {
  const error = await t.throwsAsync(world.result(run), { instanceOf: RunFailedError });
  t.is((error.cause as Error).name, "TimeoutError");
  t.regex((error.cause as Error).message, message);
  checkHistory(t, await world.endOf(run));
}
