import test from "ava";
import { until } from "../helpers/until.ts";
import { checkHistory, checkQuiet, forEachWorld } from "./harness/index.ts";
import { FAMILY_RESULT, KIDS, TEENS } from "./tasks/families.ts";

const tasksFile = new URL("./tasks/families.js", import.meta.url);

/** Where the parent's worker is killed. How often it comes by depends on when children end. */
const groups = {
  "while it starts children": [
    "before-commit@1",
    "after-commit@1",
    "before-commit@2",
    "before-wait@1",
  ],
  "while it begins to wait": [
    ...["before-waiting@1", "before-registration@1", "before-ack@1"],
    ...["before-registration@2", "before-ack@2"],
  ],
  "while children wake it": [
    ...["before-claim@1", "after-claim@1", "before-claim@2", "after-claim@2"],
    ...["before-step@1", "after-step@1"],
  ],
} as const;

forEachWorld(test, (title, open) => {
  for (const [when, places] of Object.entries(groups))
    test(`${title}: a parent whose worker is killed ${when} gets the results of its children, each of which was started once`, async (t) => {
      const world = await open(t);
      await world.startEngine();
      await world.startWorker({ tasksFile, only: ["kid", "teen"] });
      const families = await Promise.all(
        places.map(async (place, i) => {
          const only = [`family ${i + 1}`];
          const gate = `gate ${i}`;
          const failpoints = `${place}=hold:${world.gate(gate)}`;
          const doomed = await world.startWorker({ tasksFile, only, failpoints });
          const run = await world.client.start(`family ${i + 1}`);
          let hasEnded = false;
          void run.result().then(() => {
            hasEnded = true;
          });
          await until(() => hasEnded || world.isHeld(gate), { withinMs: 30_000, what: place });
          await doomed.end();
          return { run, hasEnded };
        }),
      );
      t.true(families.filter(({ hasEnded }) => !hasEnded).length >= places.length - 2);
      await world.startWorker({ tasksFile });
      for (const { run } of families) {
        t.deepEqual(await world.result(run), FAMILY_RESULT);
        checkHistory(t, await world.endOf(run));
      }
      await checkQuiet(t, world);
      for (const [step, inputs] of [
        ["kid", KIDS],
        ["teen", TEENS],
      ] as const) {
        const effects = world.effects.read(undefined, step);
        t.is(effects.length, inputs.length * places.length, `effects of ${step}`);
        t.is(new Set(effects.map(({ run }) => run)).size, effects.length);
        const notes = effects.map(({ note }) => note as number).sort((a, b) => a - b);
        t.deepEqual(
          notes,
          inputs.flatMap((input) => places.map(() => input)),
        );
      }
    });
});
