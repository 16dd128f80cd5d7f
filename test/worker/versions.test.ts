/** Runs go on with the version of the code that they began with, wherever it is. */
import test from "ava";
import { RunCanceledError } from "../../shared/errors.ts";
import { durableTask, type Task, task } from "../../shared/task.ts";
import type { TaskVersion } from "../../shared/task-definition.ts";
import { CodeWorld } from "./code-versions.ts";

type Compatible = readonly TaskVersion[] | ((version: string) => boolean);
type Order = Task<number, string>;

/** A task that sleeps for so many hours and tells its version. */
function order(version?: TaskVersion, compatibleWith?: Compatible): Order {
  return durableTask({
    name: "order",
    ...(version === undefined ? {} : { version }),
    ...(compatibleWith === undefined ? {} : { compatibleWith }),
    run: async (hours: number, ctx) => {
      const change = ctx.changed("version 2") ? "new" : "old";
      await ctx.sleepFor({ hours });
      return `${change} code, ended by ${version ?? "none"}`;
    },
  });
}

/** A worker with these versions begins a run and is closed when the run waits. */
async function begin(world: CodeWorld, tasks: readonly Order[], id: string, hours = 1) {
  const worker = await world.startWorker(tasks);
  const run = await world.client.start(tasks[0] as Order, hours, { id });
  await world.untilStatus(run, "waiting");
  await world.stop(worker);
  return run;
}

test("a run goes on where its version is, and waits for it elsewhere", async (t) => {
  await CodeWorld.play(async (world) => {
    const run = await begin(world, [order(1)], "a");
    t.is((await run.view()).state.version, "1");
    await world.startWorker([order(2)]);
    const later = await world.client.start(order(2), 1, { id: "b" });
    await world.pause(2 * 3_600_000);
    t.is((await run.view()).state.status, "waiting");
    t.is(await later.result(), "new code, ended by 2");
    const told = world.lines.filter((line) => line.includes('with version "1" cannot go on'));
    t.is(told.length, 1, "the worker says so once, however often the token comes");
    const at = world.world.time.now();
    await world.startWorker([order(1)]);
    t.is(await run.result(), "new code, ended by 1");
    t.true(world.world.time.now() - at < 60_000, "and soon when its version is there again");
  });
});

test("one worker has several versions: old runs go on with theirs, new ones begin with the greatest", async (t) => {
  await CodeWorld.play(async (world) => {
    const old = await begin(world, [order(9)], "a");
    await world.startWorker([order(9), order(10)]);
    const young = await world.client.start(order(9), 1, { id: "b" });
    t.is(await old.result(), "new code, ended by 9");
    t.is(await young.result(), "new code, ended by 10");
    t.deepEqual(
      world.lines.filter((line) => line.includes("cannot go on")),
      [],
    );
  });
});

test("compatible code goes on with a run, which has that version from then on", async (t) => {
  await CodeWorld.play(async (world) => {
    const run = await begin(world, [order(1)], "a");
    await world.startWorker([order(2, [1])]);
    t.is(await run.result(), "new code, ended by 2");
    const view = await run.view();
    t.is(view.state.version, "2");
    const pins = view.commits.flatMap(({ entries }) => entries.map(({ kind }) => kind));
    t.is(pins.filter((kind) => kind === "version-pinned").length, 2);
  });
});

test("a run that began without a version goes on where that is said to be compatible", async (t) => {
  await CodeWorld.play(async (world) => {
    const run = await begin(world, [order()], "a");
    t.is((await run.view()).state.version, undefined);
    const wrong = await world.startWorker([order(2, [1])]);
    await world.pause(2 * 3_600_000);
    t.is((await run.view()).state.status, "waiting");
    await world.stop(wrong);
    await world.startWorker([order(2, [1, ""])]);
    t.is(await run.result(), "new code, ended by 2");
  });
});

test("a worker that starts names the runs it cannot go on with", async (t) => {
  await CodeWorld.play(async (world) => {
    for (const id of ["a", "b", "c", "d"]) await begin(world, [order(1)], id, 9_000);
    await begin(world, [order(2)], "e", 9_000);
    const found = await world.until(() =>
      world.lines.find((line) => line.includes("runs of task")),
    );
    t.regex(
      found,
      /^4 runs of task "order" cannot go on at this worker, which has version "2": 4 with version "1", such as "[abcd]", "[abcd]", "[abcd]"\. Keep a worker/,
    );
  });
});

test("a run whose version is nowhere can be terminated", async (t) => {
  await CodeWorld.play(async (world) => {
    const run = await begin(world, [order(1)], "a", 500);
    await world.startWorker([order(2)]);
    await run.terminate("nobody has its code");
    await t.throwsAsync(run.result(), { instanceOf: RunCanceledError });
  });
});

test("a regular run has a version too", async (t) => {
  await CodeWorld.play(async (world) => {
    const pack = (version: number) =>
      task({
        name: "pack",
        version,
        retries: { limit: 1, backoff: { initial: "1h" } },
        run: (_: number, ctx) => {
          if (ctx.attempt === 1) throw new Error("again");
          return version;
        },
      });
    const worker = await world.startWorker([pack(1)]);
    const run = await world.client.start(pack(1), 0, { id: "a" });
    await world.untilStatus(run, "waiting");
    await world.stop(worker);
    await world.startWorker([pack(1), pack(2)]);
    t.is(await run.result(), 1);
  });
});
