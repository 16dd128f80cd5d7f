import test from "ava";
import { until } from "../helpers/until.ts";
import { checkHistory, forEachWorld } from "./harness/index.ts";
import { counting, countingOn, impatient, regularCounting } from "./tasks/long-steps.ts";

const tasksFile = new URL("./tasks/long-steps.js", import.meta.url);

forEachWorld(test, (title, open) => {
  test(`${title}: an attempt without heartbeats is given up, and the next goes on from its last details`, async (t) => {
    const world = await open(t);
    await world.startWorker({ tasksFile });
    for (const task of [counting, regularCounting]) {
      const run = await world.client.start(task, null);
      t.is(await world.result(run), 1);
      const from = world.effects.read(run.runId, "from");
      t.deepEqual(
        from.map(({ attempt, note }) => [attempt, note]),
        [
          [1, 0],
          [2, 1],
        ],
      );
      const view = await world.endOf(run);
      checkHistory(t, view);
      t.regex(JSON.stringify(view.commits), /gave no heartbeat within its limit of 300 ms/);
    }
  });

  test(`${title}: what a step said last is given to whoever executes it after its worker died`, async (t) => {
    const world = await open(t, { claimTimeoutMs: 1_000 });
    const first = await world.startWorker({ tasksFile });
    const run = await world.client.start(countingOn, null);
    const recorded = async (): Promise<boolean> =>
      (await run.view()).commits.some(({ entries }) =>
        entries.some(({ kind }) => kind === "heartbeat"),
      );
    await until(recorded);
    await first.end();
    await world.startWorker({ tasksFile });
    t.is(await world.result(run), 1);
    checkHistory(t, await world.endOf(run));
  });

  test(`${title}: a step with a limit for all its attempts fails when that is over`, async (t) => {
    const world = await open(t);
    await world.startWorker({ tasksFile });
    for (const isDeaf of [true, false]) {
      const run = await world.client.start(impatient, { isDeaf });
      t.regex(await world.result(run), /^TimeoutError: .*limit of \d+ ms/);
      const calls = world.effects.read(run.runId, "call").length;
      t.true(isDeaf ? calls === 1 : calls > 1, `${calls} attempts`);
    }
  });
});
