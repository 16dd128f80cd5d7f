import test from "ava";
import { until } from "../helpers/until.ts";
import { checkHistory, claims, forEachWorld } from "./harness/index.ts";
import { fiveSteps, poison } from "./tasks/five-steps.ts";

const tasksFile = new URL("./tasks/five-steps.js", import.meta.url);
const once = { "step 1": 1, "step 2": 1, "step 3": 1, "step 4": 1, "step 5": 1 };

forEachWorld(test, (title, open) => {
  test(`${title}: a run of five steps whose worker is killed after step 3 is finished by another worker, each step executed once`, async (t) => {
    const world = await open(t);
    const a = await world.startWorker({ tasksFile, failpoints: "after-commit@3=kill" });
    const run = await world.client.start(fiveSteps);
    t.is((await a.exited).signal, "SIGKILL");
    const b = await world.startWorker({ tasksFile });
    t.deepEqual(await world.result(run), [10, 20, 30, 40, 50]);
    t.deepEqual(world.effects.counts(run.runId), once);
    const pids = world.effects.read(run.runId).map(({ pid }) => pid);
    t.deepEqual(pids, [a.pid, a.pid, a.pid, b.pid, b.pid]);
    const view = await world.endOf(run);
    checkHistory(t, view);
    t.deepEqual(claims(view), ["takeover"]);
  });

  test(`${title}: a worker that lives takes over from one that is killed between a step's effect and its checkpoint, and only that step is executed twice`, async (t) => {
    const world = await open(t);
    const a = await world.startWorker({ tasksFile, failpoints: "after-step@3=kill" });
    const run = await world.client.start(fiveSteps);
    await until(() => world.effects.read(run.runId, "step 1").length > 0);
    const b = await world.startWorker({ tasksFile });
    t.deepEqual(await world.result(run), [10, 20, 30, 40, 50]);
    t.deepEqual(world.effects.counts(run.runId), { ...once, "step 3": 2 });
    const pids = world.effects.read(run.runId, "step 3").map(({ pid }) => pid);
    t.deepEqual(pids, [a.pid, b.pid]);
    checkHistory(t, await world.endOf(run));
  });

  test(`${title}: a run that loses three workers in a row, each at another place, is finished by the fourth`, async (t) => {
    const world = await open(t);
    const run = await world.client.start(fiveSteps);
    for (const place of ["after-step", "after-claim", "before-commit"]) {
      const doomed = await world.startWorker({ tasksFile, failpoints: `${place}@1=kill` });
      t.is((await doomed.exited).signal, "SIGKILL");
    }
    await world.startWorker({ tasksFile });
    t.deepEqual(await world.result(run), [10, 20, 30, 40, 50]);
  });

  test(`${title}: a run that kills its worker again and again is paused with the reason, and the next run goes on`, async (t) => {
    const world = await open(t);
    const run = await world.client.start(poison);
    // The first pass has stored nothing and the second claims the start: then come five takeovers.
    for (let pass = 1; pass <= 7; pass++) {
      const victim = await world.startWorker({ tasksFile, only: ["poison"] });
      t.is((await victim.exited).signal, "SIGKILL", `pass ${pass}`);
    }
    await world.startWorker({ tasksFile });
    const view = await world.untilStatus(run, "paused");
    t.regex(view.state.paused?.reason ?? "", /lost its worker 5 times in a row/);
    t.is(world.effects.read(run.runId).length, 7);
    t.deepEqual(await world.result(await world.client.start(fiveSteps)), [10, 20, 30, 40, 50]);
  });
});
