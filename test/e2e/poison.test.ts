import test from "ava";
import { until } from "../helpers/until.ts";
import { forEachWorld } from "./harness/index.ts";
import { brittle, lateKiller, patient } from "./tasks/brittle.ts";

const tasksFile = new URL("./tasks/brittle.js", import.meta.url);

forEachWorld(test, (title, open) => {
  test(`${title}: of the runs on the workers that die only the one that kills them is paused`, async (t) => {
    const world = await open(t, { claimTimeoutMs: 1_000 });
    const gate = world.gate("go");
    world.open("card");
    const innocent = await world.client.start(patient, { gate });
    const killer = await world.client.start(lateKiller);
    const isPaused = async (): Promise<boolean> => (await killer.view()).state.status === "paused";
    let deaths = 0;
    while (deaths <= 12 && !(await isPaused())) {
      const victim = await world.startWorker({ tasksFile, only: [lateKiller.name, patient.name] });
      await until(async () => !victim.isRunning || (await isPaused()));
      if (!victim.isRunning) deaths++;
    }
    const { state } = await killer.view();
    t.is(state.status, "paused");
    t.like(state.paused?.details as object, { code: "workers-lost" });
    t.true(deaths <= 8, `${deaths} workers died`);
    t.not((await innocent.view()).state.status, "paused");
    world.open("go");
    t.is(await world.result(innocent), "worked");
    const other = await world.client.start(brittle, { card: world.gate("card") });
    await world.startWorker({ tasksFile });
    t.regex(await world.result(other), /charged/);
  });
});
