import test from "ava";
import { forEachWorld } from "./harness/index.ts";
import { fiveSteps } from "./tasks/five-steps.ts";

const tasksFile = new URL("./tasks/five-steps.js", import.meta.url);
const once = { "step 1": 1, "step 2": 1, "step 3": 1, "step 4": 1, "step 5": 1 };

forEachWorld(test, (title, open) => {
  test.serial(
    `${title}: a run of five steps whose worker is killed after step 3 is finished by another worker, no step twice`,
    async (t) => {
      const world = await open(t);
      const a = await world.startWorker({ tasksFile, failpoints: "after-commit@3=kill" });
      const run = await world.client.start(fiveSteps);
      t.is((await a.exited).signal, "SIGKILL");
      const b = await world.startWorker({ tasksFile });
      t.deepEqual(await run.result(), [10, 20, 30, 40, 50]);
      t.deepEqual(world.effects.counts(run.runId), once);
      const pids = world.effects.read(run.runId).map(({ pid }) => pid);
      t.deepEqual(pids, [a.pid, a.pid, a.pid, b.pid, b.pid]);
    },
  );
});
