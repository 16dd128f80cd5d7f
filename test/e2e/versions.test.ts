/** Code that changes while runs go on, in real processes: divergence (P7), guards, versions. */
import test from "ava";
import type { DivergenceDetails, RunHandle } from "../../shared/index.ts";
import { until } from "../helpers/until.ts";
import { checkHistory, checkQuiet, command, forEachWorld, type World } from "./harness/index.ts";
import { CODE_VARIABLE, changed, compatible, guarded, pinned, undoing } from "./tasks/versioned.ts";

const tasksFile = new URL("./tasks/versioned.js", import.meta.url);
const SLEEP_MS = 1_500;
const RUNS = 3;

function startVersion(world: World, version: number) {
  return world.startWorker({ tasksFile, env: { [CODE_VARIABLE]: String(version) } });
}

forEachWorld(test, (title, open) => {
  test(`${title}: runs are left to workers with their version, which go on with them; new runs begin with the new one`, async (t) => {
    const world = await open(t);
    const old = await startVersion(world, 1);
    const runs = await Promise.all(
      Array.from({ length: RUNS }, () => world.client.start(pinned, SLEEP_MS)),
    );
    for (const run of runs) await world.untilStatus(run, "waiting");
    await old.end();
    const young = await startVersion(world, 2);
    await until(() => young.hasLogged(/^3 runs of task "pinned" cannot go on at this worker/));
    const [told] = young.lines.filter(({ message }) => message.startsWith("3 runs of task"));
    t.regex(told?.message ?? "", /which has version "2": 3 with version "1", such as "/);
    for (const { runId } of runs) t.true(told?.message.includes(JSON.stringify(runId)), runId);
    await until(() => young.hasLogged(/with version "1" cannot go on.*left to other workers/));
    const later = await world.client.start(pinned, SLEEP_MS);
    t.is(await world.result(later), 2);
    const left = young.lines.filter(({ message }) => message.includes("are left to other workers"));
    t.is(left.length, 1);
    for (const run of runs) t.is((await run.view()).state.status, "waiting");
    await startVersion(world, 1);
    for (const run of runs) {
      t.is(await world.result(run), 1);
      t.deepEqual(world.effects.counts(run.runId), { begin: 1, end: 1 });
      checkHistory(t, await world.endOf(run));
    }
    await checkQuiet(t, world);
  });

  test(`${title}: a newer worker that is compatible goes on with runs of an older version, which have its version from then on`, async (t) => {
    const world = await open(t);
    await world.startEngine();
    const old = await startVersion(world, 1);
    const runs = await Promise.all(
      Array.from({ length: RUNS }, () => world.client.start(compatible, null)),
    );
    for (const run of runs) await world.untilStatus(run, "waiting");
    await old.end();
    const young = await startVersion(world, 2);
    await world.client.publish("first");
    for (const run of runs) await until(async () => (await run.view()).state.version === "2");
    for (const run of runs) await world.untilStatus(run, "waiting");
    await young.end();
    const oldAgain = await startVersion(world, 1);
    await world.client.publish("second");
    await until(() =>
      oldAgain.hasLogged(/^3 runs of task "compatible" cannot go on at this worke/),
    );
    await until(() => oldAgain.hasLogged(/with version "2" cannot go on.*left to other workers/));
    t.regex((await runs[0]?.why())?.sentence ?? "", /only at workers that have version "2"/);
    await startVersion(world, 2);
    for (const run of runs) {
      t.is(await world.result(run), 2);
      const did = world.effects.read(run.runId).map(({ step, attempt }) => `${step} ${attempt}`);
      t.deepEqual(did, ["begin 1", "middle 2", "end 2"]);
      const view = await world.endOf(run);
      const entries = view.commits.flatMap((commit) => commit.entries);
      const pins = entries.flatMap((entry) =>
        entry.kind === "version-pinned" ? [entry.version] : [],
      );
      t.deepEqual(pins, ["1", "2"]);
      checkHistory(t, view);
    }
    await checkQuiet(t, world);
  });

  test(`${title}: a run whose code has changed is paused with both sides, and nothing new is done`, async (t) => {
    const world = await open(t);
    const old = await startVersion(world, 1);
    const run = await world.client.start(changed, SLEEP_MS);
    await world.untilStatus(run, "waiting");
    await old.end();
    await startVersion(world, 2);
    const { state } = await world.untilStatus(run, "paused");
    const details = state.paused?.details as DivergenceDetails | undefined;
    const { kind, recorded, asked } = details ?? { asked: [] };
    t.deepEqual(
      [kind, recorded?.key, asked.map(({ key }) => key)],
      ["missing", "s0 charge", ["s0 check"]],
    );
    t.regex(recorded?.source ?? "", /tasks\/versioned\.[jt]s:\d+$/);
    t.regex(asked[0]?.source ?? "", /tasks\/versioned\.[jt]s:\d+$/);
    t.deepEqual(world.effects.counts(run.runId), { charge: 1 });
    const { sentence } = await run.why();
    t.regex(
      sentence,
      /is paused since .*the history has step "charge" at .*asked for step "check"/,
    );
  });

  test(`${title}: a run that was paused by a change goes on when its code is back and somebody resumes it, and the history says who`, async (t) => {
    const world = await open(t);
    const old = await startVersion(world, 1);
    const run = await world.client.start(changed, SLEEP_MS);
    await world.untilStatus(run, "waiting");
    await old.end();
    const young = await startVersion(world, 2);
    await world.untilStatus(run, "paused");
    await young.end();
    await startVersion(world, 1);
    await run.resume({ reason: "rolled back" });
    t.is(await world.result(run), 1);
    t.deepEqual(world.effects.counts(run.runId), { charge: 1 });
    const view = await world.endOf(run);
    const [repair] = view.commits.flatMap(({ entries }) =>
      entries.filter((entry) => entry.kind === "resumed"),
    );
    t.like(repair, { by: "client", reason: "rolled back" });
    checkHistory(t, view);
    await checkQuiet(t, world);
  });

  test(`${title}: a paused run that is canceled stays paused where its code cannot be told, and cleans up and undoes its steps when that is back`, async (t) => {
    const world = await open(t);
    await world.startEngine();
    const old = await startVersion(world, 1);
    const [canceled, terminated] = (await Promise.all(
      [1, 2].map(() => world.client.start(undoing, SLEEP_MS)),
    )) as [RunHandle, RunHandle];
    for (const run of [canceled, terminated]) await world.untilStatus(run, "waiting");
    await old.end();
    const young = await startVersion(world, 2);
    for (const run of [canceled, terminated]) await world.untilStatus(run, "paused");
    const answer = await command(world, ["cancel", canceled.runId, "--reason", "not wanted"]);
    t.is(answer.code, 0);
    t.regex(
      answer.stderr,
      /is asked to end\. It is paused: it cleans up, undoes its steps and ends if its code follows its history\. If not, it stays paused until you resume it with code that does, or terminate it \(--terminate\)/,
    );
    const isToEnd = async (): Promise<boolean> => {
      const { state } = await canceled.view();
      return state.status === "paused" && state.interruption !== undefined;
    };
    await until(isToEnd, { what: "it is paused again, and is to end" });
    const why =
      /"contrail cli" asked to cancel it, but it stays paused until it is resumed with code that follows its history, and then cleans up, undoes its steps and ends; or terminate it, which ends it without that \("contrail cancel --terminate"\)/;
    t.regex((await canceled.why()).sentence, why);
    const shown = await command(world, ["show", canceled.runId]);
    t.regex(shown.stdout, new RegExp(`^paused   .*${why.source}$`, "m"));
    await command(world, ["cancel", terminated.runId, "--terminate", "--reason", "not wanted"]);
    await t.throwsAsync(world.result(terminated), { code: "run-canceled" });
    t.deepEqual(world.effects.counts(terminated.runId), { charge: 1 });
    await young.end();
    await startVersion(world, 1);
    await canceled.resume();
    await t.throwsAsync(world.result(canceled), { code: "run-canceled" });
    const did = world.effects.read(canceled.runId).map(({ step }) => step);
    t.deepEqual(did, ["charge", "clean up", "undo"]);
    checkHistory(t, await world.endOf(canceled));
    await checkQuiet(t, world);
  });

  test(`${title}: a change behind a guard leaves runs alone that had passed its place, and holds for new ones`, async (t) => {
    const world = await open(t);
    const old = await startVersion(world, 1);
    const before = await world.client.start(guarded, SLEEP_MS);
    await world.untilStatus(before, "waiting");
    await old.end();
    const young = await startVersion(world, 2);
    const after = await world.client.start(guarded, SLEEP_MS);
    await world.untilStatus(after, "waiting");
    await young.end(); // what it was told is in the history: the next one replays it
    await startVersion(world, 3);
    t.regex(await world.result(before), /^[23] false$/);
    t.is(await world.result(after), "3 true");
    t.deepEqual(world.effects.counts(before.runId), { charge: 1 });
    t.deepEqual(world.effects.counts(after.runId), { check: 1, charge: 1 });
    for (const run of [before, after]) checkHistory(t, await world.endOf(run));
    await checkQuiet(t, world);
  });
});
