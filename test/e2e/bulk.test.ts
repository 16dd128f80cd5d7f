/** What is asked of many runs at once, which a filter selects: counted first, and recorded in each. */
import test from "ava";
import { type RunHandle, type RunView, timelineOf } from "../../shared/index.ts";
import { jsonLines } from "../helpers/contrail.ts";
import { until } from "../helpers/until.ts";
import { checkHistory, checkQuiet, command, forEachWorld, type World } from "./harness/index.ts";
import { CODE_VARIABLE, changed, guarded, undoing } from "./tasks/versioned.ts";

const tasksFile = new URL("./tasks/versioned.js", import.meta.url);
/** Long enough that all runs wait while the worker that began them is ended. */
const SLEEP_MS = 4_000;
const RUNS = 5;

function startVersion(world: World, version: number) {
  return world.startWorker({ tasksFile, env: { [CODE_VARIABLE]: String(version) } });
}

type Entry = RunView["commits"][number]["entries"][number];

/** The entry of a kind of a run's history, of which there is one. */
async function oneEntry(run: RunHandle, kind: Entry["kind"]): Promise<Entry | undefined> {
  const { commits } = await run.view();
  const found = commits.flatMap(({ entries }) => entries.filter((entry) => entry.kind === kind));
  return found.length === 1 ? found[0] : undefined;
}

forEachWorld(test, (title, open) => {
  test(`${title}: many paused runs are resumed by a filter, after a dry run that counts, and each says who did it`, async (t) => {
    const world = await open(t);
    await world.startEngine();
    const old = await startVersion(world, 1);
    const runs = await Promise.all(
      Array.from({ length: RUNS }, () => world.client.start(changed, SLEEP_MS)),
    );
    const other = await world.client.start(undoing, SLEEP_MS);
    for (const run of [...runs, other]) await world.untilStatus(run, "waiting");
    await old.end();
    const young = await startVersion(world, 2);
    for (const run of [...runs, other]) await world.untilStatus(run, "paused");
    await young.end();
    await startVersion(world, 1);
    const select = ["resume", "--all", "--task", "changed", "--because", "replayed differently"];
    const dry = await command(world, [...select, "--dry-run", "--json"]);
    t.deepEqual(jsonLines(dry.stdout), [{ matched: RUNS, done: 0, refused: 0, dryRun: true }]);
    const none = await command(world, ["resume", "--all", "--because", "else", "--json"]);
    t.deepEqual(jsonLines(none.stdout), [{ matched: 0, done: 0, refused: 0, dryRun: false }]);
    for (const run of runs) {
      const { state, repairRequest } = await run.view();
      t.deepEqual([state.status, repairRequest], ["paused", undefined]);
    }
    const done = await command(world, [...select, "--reason", "rolled back"]);
    t.is(done.code, 0);
    t.is(done.stderr, `${RUNS} of ${RUNS} paused runs go on as soon as workers take them.\n`);
    for (const run of runs) {
      t.is(await world.result(run), 1);
      t.like(await oneEntry(run, "resumed"), { by: "contrail cli", reason: "rolled back" });
      const repairs = timelineOf(await run.view()).filter(({ kind }) => kind === "repaired");
      t.deepEqual(
        repairs.map(({ text }) => text),
        ["contrail cli resumed it: rolled back"],
      );
      t.deepEqual(world.effects.counts(run.runId), { charge: 1 });
      checkHistory(t, await world.endOf(run));
    }
    t.is((await other.view()).state.status, "paused");
    await other.terminate();
    await t.throwsAsync(world.result(other), { code: "run-canceled" });
    await checkQuiet(t, world);
  });

  test(`${title}: many runs are canceled by a filter, after a dry run that counts: they clean up, undo their steps, and say who did it`, async (t) => {
    const world = await open(t);
    await world.startEngine();
    await startVersion(world, 1);
    const runs = await Promise.all(
      Array.from({ length: RUNS }, () => world.client.start(undoing, 3_600_000)),
    );
    const other = await world.client.start(guarded, SLEEP_MS);
    for (const run of runs) await world.untilStatus(run, "waiting");
    const filter = { taskName: undoing.name };
    const dry = await world.client.bulk("cancel", filter, { isDryRun: true });
    t.deepEqual(dry, { matched: RUNS, done: 0, refused: [] });
    for (const run of runs) t.is((await run.view()).cancelRequest, undefined);
    const done = await world.client.bulk("cancel", filter, { reason: "the shop is closed" });
    t.deepEqual(done, { matched: RUNS, done: RUNS, refused: [] });
    for (const run of runs) {
      await t.throwsAsync(world.result(run), { code: "run-canceled", message: /shop is closed/ });
      const entry = await oneEntry(run, "cancel-requested");
      t.like(entry, { by: "client", reason: "the shop is closed" });
      const did = world.effects.read(run.runId).map(({ step }) => step);
      t.deepEqual(did, ["charge", "clean up", "undo"]);
      checkHistory(t, await world.endOf(run));
    }
    t.is(await world.result(other), "1 false");
    const again = await world.client.bulk("cancel", filter);
    t.deepEqual(again, { matched: 0, done: 0, refused: [] });
    await checkQuiet(t, world);
  });

  test(`${title}: many paused runs are terminated by their status, and others are left alone`, async (t) => {
    const world = await open(t);
    await world.startEngine();
    const old = await startVersion(world, 1);
    const runs = await Promise.all(
      Array.from({ length: RUNS }, () => world.client.start(changed, SLEEP_MS)),
    );
    for (const run of runs) await world.untilStatus(run, "waiting");
    await old.end();
    await startVersion(world, 2);
    const other = await world.client.start(changed, SLEEP_MS);
    for (const run of runs) await world.untilStatus(run, "paused");
    const filter = { status: "paused", because: "replayed differently" } as const;
    const count = async () =>
      (await world.client.bulk("terminate", filter, { isDryRun: true })).matched;
    t.is(await count(), RUNS);
    const done = await world.client.bulk("terminate", filter, { reason: "no code for them" });
    t.is(done.done, RUNS);
    for (const run of runs) {
      await t.throwsAsync(world.result(run), {
        code: "run-canceled",
        message: /terminated by client.*no code/,
      });
      t.deepEqual(world.effects.counts(run.runId), { charge: 1 });
    }
    await until(async () => (await count()) === 0);
    t.is(await world.result(other), 2);
  });
});
