import test from "ava";
import { checkHistory, checkpoints, checkQuiet, forEachWorld } from "./harness/index.ts";
import { WINDING_RESULT, WINDING_STEPS } from "./tasks/winding.ts";

const tasksFile = new URL("./tasks/winding.js", import.meta.url);

/** Each place between two writes, and how often a run of the task comes by it. */
const places = {
  "before-step": 5,
  "after-step": 5,
  "before-commit": 6,
  "after-commit": 6,
  "before-claim": 2,
  "after-claim": 2,
  "before-waiting": 2,
  "before-registration": 2,
  "before-timer": 2,
  "before-wait": 1,
  "before-ack": 2,
} as const;

/** How a worker dies: in the very moment, or when what it has sent before has arrived. */
const deaths = ["at once", "a moment later"] as const;

forEachWorld(test, (title, open) => {
  for (const [place, times] of Object.entries(places))
    test(`${title}: a run whose worker is killed at ${place} (time 1 to ${times}), ${deaths.join(" or ")}, ends right, no checkpointed step executed again`, async (t) => {
      const world = await open(t);
      const cases = deaths.flatMap((death) =>
        Array.from({ length: times }, (_, i) => ({ death, time: i + 1 })),
      );
      const runs = await Promise.all(
        cases.map(async ({ death, time }, i) => {
          const task = `winding ${i + 1}`;
          const gate = `${place} ${time}`;
          const action = death === "at once" ? "kill" : `hold:${world.gate(gate)}`;
          const failpoints = `${place}@${time}=${action}`;
          const doomed = await world.startWorker({ tasksFile, only: [task], failpoints });
          const run = await world.client.start(task);
          if (death !== "at once") {
            await world.untilHeld(gate);
            doomed.kill();
          }
          t.is((await doomed.exited).signal, "SIGKILL", `${task} came to its end`);
          return run;
        }),
      );
      const before = await Promise.all(runs.map((run) => run.view()));
      await world.startWorker({ tasksFile });
      for (const [i, run] of runs.entries()) {
        t.deepEqual(await world.result(run), WINDING_RESULT);
        const after = await world.endOf(run);
        checkHistory(t, after);
        t.is(after.state.takeovers, 0);
        const counts = world.effects.counts(run.runId);
        const stored = checkpoints(before[i] as (typeof before)[number]);
        for (const step of WINDING_STEPS)
          if (stored.includes(step)) t.is(counts[step], 1, `${run.taskName}, ${step}`);
          else t.true([1, 2].includes(counts[step] ?? 0), `${run.taskName}, ${step}`);
        const repeated = Object.values(counts).filter((count) => count > 1).length;
        t.true(repeated <= 2, "only the steps under way at the kill may be executed again");
      }
      await checkQuiet(t, world);
    });
});
