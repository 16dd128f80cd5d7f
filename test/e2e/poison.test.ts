/** Runs that end their worker's process, or keep it for themselves. */
import test from "ava";
import { until } from "../helpers/until.ts";
import { forEachWorld } from "./harness/index.ts";
import { brittle, type Death, hog, lateKiller, patient } from "./tasks/brittle.ts";

const tasksFile = new URL("./tasks/brittle.js", import.meta.url);

/** How each death is known by whoever looks after the process. */
const DEATHS: { readonly [D in Death]: { readonly how: string; readonly exit: RegExp } } = {
  crash: { how: "with a crash", exit: /^SIGKILL$/ },
  memory: { how: "by using up the memory", exit: /^(SIGABRT|134)$/ },
  loop: { how: "with an endless loop", exit: /^70$/ },
};

forEachWorld(test, (title, open) => {
  for (const [death, { how, exit }] of Object.entries(DEATHS))
    test(`${title}: of the runs on the workers that die only the one that kills them ${how} is paused`, async (t) => {
      const world = await open(t, { claimTimeoutMs: 1_000 });
      const gate = world.gate("go");
      world.open("card");
      const innocent = await world.client.start(patient, { gate });
      const killer = await world.client.start(lateKiller, death as Death);
      const isPaused = async (): Promise<boolean> =>
        (await killer.view()).state.status === "paused";
      let deaths = 0;
      while (deaths <= 12 && !(await isPaused())) {
        const victim = await world.startWorker({
          tasksFile,
          only: [lateKiller.name, patient.name],
          ...(death === "loop" ? { endWhenBlocked: "2s" } : {}),
          env: death === "memory" ? { NODE_OPTIONS: "--max-old-space-size=48" } : {},
        });
        await until(async () => !victim.isRunning || (await isPaused()), { withinMs: 60_000 });
        if (victim.isRunning) continue;
        deaths++;
        const { code, signal } = await victim.exited;
        t.regex(String(signal ?? code), exit);
        if (death === "loop")
          t.regex(
            victim.stderr(),
            /worker \S+ has been blocked .*late-killer.*tasks\/brittle\.[jt]s:\d+/s,
          );
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

  test(`${title}: a worker whose event loop was blocked for a while says for how long, by which code, and which runs were at work`, async (t) => {
    // A claim lost to a slow machine would be told in the same way, before the loop turns again.
    const world = await open(t, { claimTimeoutMs: 60_000 });
    const worker = await world.startWorker({ tasksFile, endWhenBlocked: "60s" });
    const run = await world.client.start(hog, 2_500, { id: "greedy" });
    t.is(await world.result(run), "done");
    const said = await until(() =>
      worker.lines.find(
        ({ message, fields }) =>
          message.startsWith("The event loop was blocked for") &&
          ((fields?.["runs"] ?? []) as string[]).length > 0,
      ),
    );
    t.regex(
      said.message,
      /^The event loop was blocked for \d{4,} ms, at tasks\/brittle\.[jt]s:\d+:/,
    );
    t.is(said.level, "warn");
    t.like(said.fields, { runs: ["hog/greedy"] });
    t.regex(String(said.fields?.["stack"]), /\n +at .*\n/);
    t.is((await worker.stop()).code, 0);
    t.is(worker.stderr(), "");
  });
});
