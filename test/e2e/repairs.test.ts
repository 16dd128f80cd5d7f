import test from "ava";
import {
  RepairRefusedError,
  RunCanceledError,
  RunFailedError,
  timelineOf,
} from "../../shared/index.ts";
import { until } from "../helpers/until.ts";
import { checkHistory, checkQuiet, forEachWorld } from "./harness/index.ts";
import { brittle, brittleHasty, brittleParent, brittleRegular } from "./tasks/brittle.ts";

const tasksFile = new URL("./tasks/brittle.js", import.meta.url);
const failed = { instanceOf: RunFailedError };
const refused = { instanceOf: RepairRefusedError };
const DONE = "reserved, packd, charged";

forEachWorld(test, (title, open) => {
  test(`${title}: a failed run that is retried goes on from its failed step under the same id, and says who did it`, async (t) => {
    const world = await open(t);
    await world.startWorker({ tasksFile });
    const card = world.gate("card");
    const run = await world.client.start(brittle, { card }, { id: "42" });
    await t.throwsAsync(world.result(run), failed);
    await run.retry({ reason: "try" });
    await t.throwsAsync(world.result(run), { ...failed, message: /no such card/ });
    world.open("card");
    await run.retry({ reason: "the card is there" });
    t.is(await world.result(run), DONE);
    const counts = world.effects.counts(run.runId);
    t.deepEqual(counts, { reserve: 1, pack: 1, weigh: 1, complain: 2, charge: 3 });
    const view = await world.endOf(run);
    const repairs = timelineOf(view).filter(({ kind }) => kind === "repaired");
    t.deepEqual(
      repairs.map(({ text }) => text),
      [
        'client retried it from "charge": try',
        'client retried it from "charge": the card is there',
      ],
    );
    await t.throwsAsync(run.retry(), { ...refused, message: /is completed and cannot be retried/ });
    await t.throwsAsync(run.resume(), refused);
    await t.throwsAsync(run.skip("charge", "again"), refused);
    await checkQuiet(t, world);
  });

  test(`${title}: a retried run does again what it had undone`, async (t) => {
    const world = await open(t);
    await world.startWorker({ tasksFile });
    const run = await world.client.start(brittle, { card: world.gate("card"), undoes: true });
    await t.throwsAsync(world.result(run), failed);
    world.open("card");
    await run.retry();
    t.is(await world.result(run), DONE);
    t.like(world.effects.counts(run.runId), { reserve: 2, pack: 2, "undo reserve": 1, charge: 2 });
    checkHistory(t, await world.endOf(run));
  });

  test(`${title}: a retried run loses nothing when nobody serves it, and when its worker dies at any place`, async (t) => {
    const world = await open(t, { claimTimeoutMs: 1_000 });
    const first = await world.startWorker({ tasksFile });
    const card = world.gate("card");
    const run = await world.client.start(brittle, { card });
    await t.throwsAsync(world.result(run), failed);
    await first.end();
    world.open("card");
    await run.retry();
    await run.retry(); // asking for the same again is one retry
    t.regex((await run.why()).sentence, /"client" asked to retry it/);
    await t.throwsAsync(run.skip("charge", 1), { ...refused, message: /client asked to retry it/ });
    for (const place of ["before-claim", "after-claim", "after-commit"]) {
      const doomed = await world.startWorker({ tasksFile, failpoints: `${place}@1=kill` });
      t.is((await doomed.exited).signal, "SIGKILL", place);
    }
    await world.startWorker({ tasksFile });
    t.is(await world.result(run), DONE);
    const view = await world.endOf(run);
    const entries = view.commits.flatMap((commit) => commit.entries);
    t.is(entries.filter(({ kind }) => kind === "retried").length, 1);
    t.like(world.effects.counts(run.runId), { reserve: 1, pack: 1 });
    await checkQuiet(t, world);
  });

  test(`${title}: a run that kills its workers is paused, resumed, and goes on when the step is skipped`, async (t) => {
    const world = await open(t, { claimTimeoutMs: 1_000 });
    world.open("card");
    const needs = { card: world.gate("card"), truck: world.gate("truck") };
    const run = await world.client.start(brittle, needs);
    const isPaused = async (): Promise<boolean> => (await run.view()).state.status === "paused";
    while (!(await isPaused())) {
      const victim = await world.startWorker({ tasksFile });
      await until(async () => !victim.isRunning || (await isPaused()));
    }
    t.like((await run.view()).state.paused?.details as object, { code: "workers-lost" });
    await t.throwsAsync(run.retry(), { ...refused, message: /a paused one is resumed/ });
    await t.throwsAsync(run.skip("reserve", 1), refused);
    await run.skip("ship", null, { reason: "by hand" });
    t.is(await world.result(run), DONE);
    const shipped = timelineOf(await world.endOf(run)).find(({ kind }) => kind === "repaired");
    t.is(shipped?.text, 'client gave step "ship" its result: by hand');
  });

  test(`${title}: a run that is paused because it kills its workers undoes its steps when it is canceled, and kills no more`, async (t) => {
    const world = await open(t, { claimTimeoutMs: 1_000 });
    await world.startEngine();
    world.open("card");
    const needs = { card: world.gate("card"), truck: world.gate("truck"), undoes: true };
    const run = await world.client.start(brittle, needs);
    const isPaused = async (): Promise<boolean> => (await run.view()).state.status === "paused";
    while (!(await isPaused())) {
      const victim = await world.startWorker({ tasksFile });
      await until(async () => !victim.isRunning || (await isPaused()));
    }
    const shipped = world.effects.read(run.runId, "ship").length;
    const last = await world.startWorker({ tasksFile });
    await run.cancel("nobody can ship it");
    await t.throwsAsync(world.result(run), { instanceOf: RunCanceledError });
    const counts = world.effects.counts(run.runId);
    // An undo whose worker loses the run before its result is stored is executed again.
    for (const undo of ["undo reserve", "undo pack"]) t.true((counts[undo] ?? 0) >= 1, undo);
    t.is(counts["ship"], shipped);
    t.true(last.isRunning);
    await checkQuiet(t, world);
  });

  test(`${title}: a failed step is given a result, also of a run that waits for its next attempt`, async (t) => {
    const world = await open(t);
    await world.startWorker({ tasksFile });
    const run = await world.client.start(brittle, { card: world.gate("card") });
    await t.throwsAsync(world.result(run), failed);
    await run.skip("charge", "paid in cash");
    t.is(await world.result(run), "reserved, packd, paid in cash");
    t.is(world.effects.counts(run.runId)["charge"], 1);
    checkHistory(t, await world.endOf(run));
  });

  test(`${title}: a regular run and one that ran out of time are retried, a parent keeps the failure of a child`, async (t) => {
    const world = await open(t);
    await world.startEngine();
    await world.startWorker({ tasksFile });
    const card = world.gate("card");
    const regular = await world.client.start(brittleRegular, { card });
    const parent = await world.client.start(brittleParent, { card }, { id: "p" });
    const hasty = await world.client.start(brittleHasty, { card, sleeps: true });
    for (const run of [regular, parent, hasty]) await t.throwsAsync(world.result(run), failed);
    world.open("card");
    await regular.retry();
    t.is(await world.result(regular), "charged");
    const attempts = world.effects.read(regular.runId).map(({ attempt }) => attempt);
    t.deepEqual(attempts, [1, 2, 1]);
    await hasty.retry();
    await t.throwsAsync(world.result(hasty), failed); // its time counts from the retry
    const limits = (await world.endOf(hasty)).commits.flatMap(({ entries }) => entries);
    t.is(limits.filter(({ kind }) => kind === "timed-out").length, 2);
    const child = world.client.get(brittle, "of-p");
    await child.retry();
    t.is(await world.result(child), DONE);
    t.is((await parent.view()).state.status, "failed");
    await parent.retry();
    t.is(await world.result(parent), `child: ${DONE}`);
    await checkQuiet(t, world);
  });

  test(`${title}: a fork goes on under a new id from any entry, with another input or result`, async (t) => {
    const world = await open(t, { claimTimeoutMs: 1_000 });
    const first = await world.startWorker({ tasksFile });
    const run = await world.client.start(brittle, { card: world.gate("none") });
    await t.throwsAsync(world.result(run), failed);
    await first.end();
    world.open("card");
    const input = { card: world.gate("card") };
    const again = await run.fork({ id: "again", input, reason: "new card" });
    const changed = await again.fork({ input, results: { pack: "boxed" } });
    const empty = await run.fork({ entries: 0, input });
    await t.throwsAsync(run.fork({ entries: 99 }), { ...refused, message: /has \d+ entries/ });
    await t.throwsAsync(run.fork({ results: { none: 1 } }), { ...refused, message: /"none"/ });
    const doomed = await world.startWorker({ tasksFile, failpoints: "after-commit@1=kill" });
    await doomed.exited;
    await world.startWorker({ tasksFile });
    t.is(await world.result(again), DONE);
    t.is(await world.result(changed), "reserved, boxed, charged");
    t.is(await world.result(empty), DONE);
    for (const { runId } of [again, changed])
      t.deepEqual(world.effects.read(runId, "reserve").length, 0);
    // A step whose worker was killed before its result was stored is executed again.
    t.true(world.effects.read(again.runId, "charge").length >= 1);
    t.true(world.effects.read(empty.runId, "reserve").length >= 1);
    const [row] = timelineOf(await world.endOf(again));
    t.is(row?.text, `client forked it from ${run.runId}: new card`);
    t.is((await run.view()).state.status, "failed");
    await checkQuiet(t, world);
  });

  test(`${title}: many runs are retried by a filter, after a dry run that counts`, async (t) => {
    const world = await open(t);
    await world.startWorker({ tasksFile });
    const card = world.gate("card");
    const runs = await Promise.all(
      Array.from({ length: 12 }, () => world.client.start(brittle, { card })),
    );
    for (const run of runs) await t.throwsAsync(world.result(run), failed);
    const other = await world.client.start(brittleRegular, { card });
    await t.throwsAsync(world.result(other), failed);
    world.open("card");
    const filter = { taskName: brittle.name, because: "no such card" };
    const dry = await world.client.bulk("retry", filter, { isDryRun: true });
    t.deepEqual(dry, { matched: 12, done: 0, refused: [] });
    const none = await world.client.bulk("retry", { ...filter, because: "else" });
    t.deepEqual(none, { matched: 0, done: 0, refused: [] });
    t.is((await world.client.bulk("retry", filter, { reason: "all" })).done, 12);
    for (const { runId } of runs) t.is(await world.result(world.client.get(brittle, runId)), DONE);
    t.is((await other.view()).state.status, "failed");
  });
});
