/** What follows a failed attempt, of steps and of regular runs. */
import test from "ava";
import { RunFailedError, type RunHandle, type RunView } from "../../shared/index.ts";
import { until } from "../helpers/until.ts";
import { checkHistory, checkQuiet, claims, forEachWorld, type World } from "./harness/index.ts";
import {
  begun,
  begunRegular,
  caller,
  delayed,
  delayedRegular,
  type Failing,
  hopeless,
  interrupted,
  interruptedRegular,
  late,
  patientCaller,
  patientRegular,
} from "./tasks/retries.ts";

type Entry = RunView["commits"][number]["entries"][number];

const tasksFile = new URL("./tasks/retries.js", import.meta.url);

const attemptsOf = (world: World, run: RunHandle): number[] =>
  world.effects.read(run.runId, "call").map(({ attempt }) => attempt);

const entriesOf = ({ commits }: RunView): readonly Entry[] =>
  commits.flatMap(({ entries }) => entries);

forEachWorld(test, (title, open) => {
  test(`${title}: a step is tried again as its rule says, and what it failed with at last is thrown in the task, which goes on`, async (t) => {
    const world = await open(t);
    await world.startWorker({ tasksFile, warmRuns: 0 });
    const expected: { readonly [F in Failing]: readonly [number, string] } = {
      always: [3, "RangeError: refused 3, because socket closed"],
      "for good": [1, "NonRetryableError: no such account"],
      "at its second": [2, "called"],
      "by rule": [2, "RangeError: refused 2, because socket closed"],
    };
    for (const [failing, [count, output]] of Object.entries(expected)) {
      const run = await world.client.start(caller, failing as Failing);
      t.is(await world.result(run), output, failing);
      t.deepEqual(
        attemptsOf(world, run),
        Array.from({ length: count }, (_, i) => i + 1),
        failing,
      );
      checkHistory(t, await world.endOf(run));
    }
    await checkQuiet(t, world);
  });

  test(`${title}: the history has each attempt with the name, message, stack and causes of its error`, async (t) => {
    const world = await open(t);
    await world.startWorker({ tasksFile });
    const run = await world.client.start(caller, "always");
    await world.result(run);
    const errors = entriesOf(await world.endOf(run)).flatMap((entry) =>
      entry.kind === "attempt-failed"
        ? [{ attempt: entry.attempt, error: entry.error }]
        : entry.kind === "step-failed"
          ? [{ attempt: entry.attempts, error: entry.error }]
          : [],
    );
    t.deepEqual(
      errors.map(({ attempt }) => attempt),
      [1, 2, 3],
    );
    for (const { attempt, error } of errors) {
      t.like(error, { name: "RangeError", message: `refused ${attempt}` });
      t.regex(error.stack ?? "", /at refusal .*tasks\/retries\.[jt]s:\d+/);
      t.like(error.cause, { name: "Error", message: "socket closed" });
      t.regex(error.cause?.stack ?? "", /tasks\/retries\.[jt]s:\d+/);
    }
  });

  test(`${title}: a short pause between attempts holds no slot, is kept by the worker and writes nothing but the failure`, async (t) => {
    const world = await open(t);
    await world.startWorker({ tasksFile, slots: { regular: 1, durable: 1 } });
    for (const [first, second] of [
      [patientCaller, begun],
      [patientRegular, begunRegular],
    ] as const) {
      const meeting = { other: world.gate(`${first.name} met`) };
      const run = await world.client.start(first, meeting);
      // With the only slot held by the first run this one would never begin.
      const other = await world.client.start(second, meeting);
      await world.result(other);
      t.is(await world.result(run), "met", first.name);
      t.true(attemptsOf(world, run).length >= 1);
      const view = await world.endOf(run);
      t.false(
        entriesOf(view).some(({ kind }) => kind === "waiting"),
        first.name,
      );
      t.false(view.hasTimer, first.name);
    }
    await checkQuiet(t, world);
  });

  test(`${title}: a worker that dies in a short pause takes no attempt with it: the next one goes on counting`, async (t) => {
    const world = await open(t, { claimTimeoutMs: 1_000 });
    for (const task of [interrupted, interruptedRegular]) {
      const meeting = { other: world.gate(`${task.name} failed twice`) };
      const first = await world.startWorker({ tasksFile });
      const run = await world.client.start(task, meeting);
      const failures = async (): Promise<number> =>
        entriesOf(await run.view()).filter(({ kind }) => kind === "attempt-failed").length;
      await until(async () => (await failures()) === 2, { what: "two attempts are recorded" });
      await first.end();
      await world.startWorker({ tasksFile });
      t.is(await world.result(run), 3, task.name);
      t.deepEqual([...new Set(attemptsOf(world, run))], [1, 2, 3], task.name);
      t.is(attemptsOf(world, run).filter((attempt) => attempt < 3).length, 2, task.name);
      checkHistory(t, await world.endOf(run));
    }
  });

  test(`${title}: a long pause, as the error names it, outlives the worker, and the next one makes the next attempt`, async (t) => {
    const world = await open(t);
    for (const task of [delayed, delayedRegular]) {
      const first = await world.startWorker({ tasksFile });
      const run = await world.client.start(task, null);
      const { state } = await world.untilStatus(run, "waiting");
      t.is(state.retries.size, 1);
      await first.end();
      const second = await world.startWorker({ tasksFile });
      t.is(await world.result(run), 2, task.name);
      t.deepEqual(attemptsOf(world, run), [1, 2], task.name);
      const view = await world.endOf(run);
      const [failed, waiting] = entriesOf(view).filter(({ kind }) =>
        ["attempt-failed", "waiting"].includes(kind),
      );
      t.like(failed, { kind: "attempt-failed", attempt: 1 });
      t.is(waiting?.kind, "waiting");
      const pids = world.effects.read(run.runId, "call").map(({ pid }) => pid);
      t.deepEqual(pids, [first.pid, second.pid], task.name);
      t.deepEqual(claims(view).at(-1), "timer");
      const failure = view.commits.find(({ entries }) => entries.some((entry) => entry === failed));
      const dueAt = (failed as { readonly retryAt: number }).retryAt;
      t.true(dueAt - (failure?.time ?? 0) > 1_500, "the error's own delay, not the backoff of 1 s");
      checkHistory(t, view);
      await second.end();
    }
    await world.startWorker({ tasksFile }); // for tokens whose runs have ended
    await checkQuiet(t, world);
  });

  test(`${title}: a regular run that fails for good is not tried again`, async (t) => {
    const world = await open(t);
    await world.startWorker({ tasksFile });
    const run = await world.client.start(hopeless, null);
    const error = await t.throwsAsync(world.result(run), { instanceOf: RunFailedError });
    t.like(error.cause as Error, { name: "NonRetryableError", message: "no such account" });
    t.deepEqual(attemptsOf(world, run), [1]);
  });

  test(`${title}: an attempt that takes too long is told by its signal and given up, and its late result is refused`, async (t) => {
    const world = await open(t);
    await world.startWorker({ tasksFile });
    const run = await world.client.start(late, { other: world.gate("late") });
    t.is(await world.result(run), "in time");
    const did = world.effects.read(run.runId).map(({ step }) => step);
    t.true(did.includes("told TimeoutError"));
    t.true(did.includes("late"), "the first attempt came to its result");
    const view = await world.endOf(run);
    checkHistory(t, view);
    const failed = entriesOf(view).find(({ kind }) => kind === "attempt-failed");
    t.regex(JSON.stringify(failed), /Step \\"call\\" .*500 ms/);
  });
});
