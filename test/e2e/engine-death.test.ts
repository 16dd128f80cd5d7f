import test from "ava";
import { until } from "../helpers/until.ts";
import { checkHistory, checkQuiet, claims, forEachWorld } from "./harness/index.ts";
import { teen } from "./tasks/families.ts";
import { listener } from "./tasks/listeners.ts";

const listeners = new URL("./tasks/listeners.js", import.meta.url);
const families = new URL("./tasks/families.js", import.meta.url);

forEachWorld(test, (title, open) => {
  for (const place of ["engine-before-look-back", "engine-before-ready", "engine-after-ready"])
    test(`${title}: when the engine is killed at ${place}, its successor wakes runs for events and children, once`, async (t) => {
      const world = await open(t);
      const gate = world.gate("go");
      const doomed = await world.startEngine({ failpoints: `${place}@1=hold:${gate}` });
      await world.startWorker({ tasksFile: listeners });
      await world.startWorker({ tasksFile: families });
      const hearer = await world.client.start(listener, { name: "order.*", times: 2 });
      const parent = await world.client.start(teen, 6);
      await world.untilStatus(hearer, "waiting");
      await until(async () => (await hearer.view()).hasRegistration);
      await world.client.publish("order.paid", 1);
      await world.untilHeld("go");
      await doomed.end();
      await world.client.publish("order.sent", 2);
      await world.startEngine();
      t.deepEqual(await world.result(hearer), [
        { name: "order.paid", data: 1 },
        { name: "order.sent", data: 2 },
      ]);
      t.is(await world.result(parent), 6);
      for (const [run, wakes] of [
        [hearer, ["match", "match"]],
        [parent, ["timer", "match"]],
      ] as const) {
        const view = await world.endOf(run);
        checkHistory(t, view);
        t.deepEqual(
          claims(view).filter((because) => because !== "start"),
          wakes,
        );
      }
      await checkQuiet(t, world);
    });
});
