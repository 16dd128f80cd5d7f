import test from "ava";
import { until } from "../helpers/until.ts";
import { checkQuiet, forEachWorld } from "./harness/index.ts";
import { hurried } from "./tasks/timeouts.ts";

const tasksFile = new URL("./tasks/timeouts.js", import.meta.url);

forEachWorld(test, (title, open) => {
  test(`${title}: an event that was there before the timeout wins against it while the run is at work, and nothing else does`, async (t) => {
    const world = await open(t);
    await world.startEngine();
    await world.startWorker({ tasksFile, env: { CONTRAIL_E2E_GATES: world.folder } });
    const runs = await Promise.all(
      ["given", "missing"].map((id) => world.client.start(hurried, { id })),
    );
    await world.client.publish("given.came", 1);
    for (const id of ["given", "missing"]) world.open(`${id}.begin`);
    for (const run of runs)
      await until(
        async () => {
          const waits = [...(await run.view()).state.waits.values()];
          return waits.length === 1 && waits[0]?.result !== undefined;
        },
        { what: "the wait is over while the step is at work" },
      );
    for (const id of ["given", "missing"]) world.open(`${id}.work`);
    const results = await Promise.all(runs.map((run) => world.result(run)));
    t.deepEqual(results, ["in time", "too late"]);
    await checkQuiet(t, world);
  });
});
