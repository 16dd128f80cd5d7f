import test from "ava";
import { examine } from "../../engine/index.ts";
import { until } from "../helpers/until.ts";
import { GATES_VARIABLE } from "./harness/gates.ts";
import { checkHistory, checkQuiet, claims, forEachWorld, type World } from "./harness/index.ts";
import { remove, steal, untilStored } from "./harness/tampering.ts";
import { gatedSleeper } from "./tasks/gated.ts";
import { listener } from "./tasks/listeners.ts";
import { sleeper } from "./tasks/sleepers.ts";

const sleepers = new URL("./tasks/sleepers.js", import.meta.url);
const listeners = new URL("./tasks/listeners.js", import.meta.url);
const gated = new URL("./tasks/gated.js", import.meta.url);

/** What `contrail doctor --runs` says is wrong with runs. */
async function lostRuns(world: World): Promise<unknown[]> {
  const findings = await examine({ ...world.access, namespace: "contrail", runs: true });
  return findings
    .filter(
      ({ check, verdict, details }) => check === "run" && verdict === "problem" && details["id"],
    )
    .map(({ details }) => [details["id"], details["reason"]]);
}

forEachWorld(test, (title, open) => {
  test(`${title}: a run whose timer somebody deletes is woken when it is due, and doctor names it before`, async (t) => {
    const world = await open(t);
    await world.startEngine();
    await world.startWorker({ tasksFile: sleepers });
    const run = await world.client.start(sleeper, 15_000);
    const other = await world.client.start(sleeper, 15_000);
    await remove(world, run, "timer");
    await untilStored(world, other, "timer");
    t.deepEqual(await lostRuns(world), [[run.runId, "no-timer"]]);
    t.is(await world.result(run), "went to bed, got up");
    const view = await world.endOf(run);
    checkHistory(t, view);
    t.deepEqual(claims(view), ["poke"]);
    t.is(await world.result(other), "went to bed, got up");
    t.deepEqual(claims(await world.endOf(other)), ["timer"]);
    await checkQuiet(t, world);
  });

  test(`${title}: a run whose registration is deleted while no engine leads is registered again by the next one`, async (t) => {
    const world = await open(t);
    const first = await world.startEngine();
    await world.startWorker({ tasksFile: listeners });
    const run = await world.client.start(listener, { name: "order.paid", timeoutMs: 600_000 });
    await untilStored(world, run, "wait");
    await first.end();
    await remove(world, run, "wait");
    await world.client.publish("order.paid", 7);
    await world.startEngine();
    t.deepEqual(await world.result(run), [{ name: "order.paid", data: 7 }]);
    const view = await world.endOf(run);
    checkHistory(t, view);
    t.deepEqual(claims(view), ["poke"], "it looks itself, and need not wait for the engine");
    await checkQuiet(t, world);
  });

  test(`${title}: a run whose token somebody deletes gets another one`, async (t) => {
    const world = await open(t);
    await world.startEngine();
    const worker = await world.startWorker({ tasksFile: listeners });
    const run = await world.client.start(listener, { name: "order.paid", timeoutMs: 600_000 });
    await untilStored(world, run, "wait");
    await worker.end();
    await world.client.publish("order.paid", 7);
    await remove(world, run, "token.ready");
    await world.startWorker({ tasksFile: listeners });
    t.deepEqual(await world.result(run), [{ name: "order.paid", data: 7 }]);
    checkHistory(t, await world.endOf(run));
    await checkQuiet(t, world);
  });

  test(`${title}: runs whose tokens somebody takes and acknowledges, a start and a timer's, go on`, async (t) => {
    const world = await open(t);
    await world.startEngine();
    const worker = await world.startWorker({ tasksFile: sleepers });
    const asleep = await world.client.start(sleeper, 3_000);
    await untilStored(world, asleep, "timer");
    await worker.end();
    await untilStored(world, asleep, "token.ready");
    await steal(world, asleep, "token.ready");
    const queued = await world.client.start(sleeper, 1_500);
    await steal(world, queued, "token.start");
    t.deepEqual(Object.fromEntries((await lostRuns(world)) as [string, string][]), {
      [asleep.runId]: "no-timer",
      [queued.runId]: "no-token",
    });
    await world.startWorker({ tasksFile: sleepers });
    for (const run of [asleep, queued]) {
      t.is(await world.result(run), "went to bed, got up");
      checkHistory(t, await world.endOf(run));
    }
    await checkQuiet(t, world);
  });

  test(`${title}: a run whose worker is killed when its token was deleted is taken over by a token in its place`, async (t) => {
    const world = await open(t);
    await world.startEngine();
    const env = { [GATES_VARIABLE]: world.folder };
    const doomed = await world.startWorker({ tasksFile: gated, env });
    const run = await world.client.start(gatedSleeper, undefined);
    await until(() => world.effects.read(run.runId, "woken").length === 1);
    await remove(world, run, "token.ready");
    await doomed.end();
    await world.startWorker({ tasksFile: gated });
    t.is(await world.result(run), "done");
    const view = await world.endOf(run);
    checkHistory(t, view);
    t.deepEqual(claims(view), ["timer", "takeover"]);
    await checkQuiet(t, world);
  });
});
