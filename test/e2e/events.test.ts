import test from "ava";
import type { RunHandle } from "../../shared/index.ts";
import { until } from "../helpers/until.ts";
import { checkHistory, checkQuiet, claims, forEachWorld, type World } from "./harness/index.ts";
import { chorus, listener } from "./tasks/listeners.ts";

const tasksFile = new URL("./tasks/listeners.js", import.meta.url);

forEachWorld(test, (title, open) => {
  test(`${title}: an event that comes after the start and before the wait is heard, one from before the start is not`, async (t) => {
    const world = await open(t);
    await world.startEngine();
    await world.startWorker({ tasksFile, env: { CONTRAIL_E2E_GATES: world.folder } });
    await world.client.publish("order.paid", "too early");
    const run = await world.client.start(listener, { name: "order.paid", gate: "go" });
    await until(() => world.effects.read(run.runId, "first").length > 0);
    await world.client.publish("order.paid", "before the wait");
    await world.client.publish("order.paid", "second");
    world.open("go");
    t.deepEqual(await world.result(run), [{ name: "order.paid", data: "before the wait" }]);
    t.deepEqual(await wakes(world, run), ["match"]);
  });

  for (const place of ["before-registration", "before-wait", "before-ack"])
    test(`${title}: an event that comes while the wait is being registered, at ${place}, wakes the run once`, async (t) => {
      const world = await open(t, { claimTimeoutMs: 3_000 });
      await world.startEngine();
      const failpoints = `${place}@1=hold:${world.gate("go")}`;
      await world.startWorker({ tasksFile, failpoints });
      const run = await world.client.start(listener, { name: "order.paid", times: 2 });
      await world.untilHeld("go");
      await world.client.publish("order.paid", "in the middle");
      world.open("go");
      await until(() => world.effects.read(run.runId, "heard").length === 1, {
        withinMs: 20_000,
        what: "the event in the middle of the registration is heard",
      });
      await world.client.publish("order.paid", "after");
      t.deepEqual(await data(world, run), ["in the middle", "after"]);
      t.deepEqual(await wakes(world, run), ["match", "match"]);
    });

  test(`${title}: an event that comes while the engine looks back wakes the run once, behind the one that was there before`, async (t) => {
    const world = await open(t);
    await world.startEngine({
      failpoints: `engine-before-look-back@1=hold:${world.gate("engine")}`,
    });
    await world.startWorker({ tasksFile, env: { CONTRAIL_E2E_GATES: world.folder } });
    const run = await world.client.start(listener, { name: "order.paid", times: 2, gate: "go" });
    await until(() => world.effects.read(run.runId, "first").length > 0);
    await world.client.publish("order.paid", "before");
    world.open("go");
    await world.untilHeld("engine");
    await world.client.publish("order.paid", "during");
    world.open("engine");
    t.deepEqual(await data(world, run), ["before", "during"]);
    t.deepEqual(await wakes(world, run), ["match", "match"]);
    await checkQuiet(t, world);
  });

  test(`${title}: an event after the registration wakes every run whose filter or wildcard matches, once, and no other`, async (t) => {
    const world = await open(t);
    await world.startEngine();
    await world.startWorker({ tasksFile });
    const listen = (name: string, where?: object) =>
      world.client.start(listener, { name, ...(where ? { where: where as never } : {}) });
    const heard = {
      "by name": await listen("order.paid"),
      "by name too": await listen("order.paid"),
      "by one token": await listen("order.*"),
      "by the rest": await listen("order.>"),
      "by the middle": await listen("*.paid"),
      "by filter": await listen("order.paid", { orderId: "42", total: { $gte: 100 } }),
    };
    const unheard = {
      "another filter": await listen("order.paid", { orderId: "43" }),
      "a field that is not there": await listen("order.paid", { orderId: "42", vip: true }),
      "another name": await listen("order.sent"),
      "more tokens": await listen("order.paid.*"),
      "fewer tokens": await listen("*"),
    };
    for (const run of [...Object.values(heard), ...Object.values(unheard)])
      await untilRegistered(world, run);
    const payload = { orderId: "42", total: 100 };
    await world.client.publish("order.paid", payload);
    for (const [how, run] of Object.entries(heard)) {
      t.deepEqual(await world.result(run), [{ name: "order.paid", data: payload }], how);
      t.deepEqual(await wakes(world, run), ["match"], how);
    }
    // Once this one is through, the engine has dealt with the event before it.
    const last = await listen("last.one");
    await untilRegistered(world, last);
    await world.client.publish("last.one", 1);
    await world.result(last);
    for (const [how, run] of Object.entries(unheard)) {
      const view = await run.view();
      t.deepEqual([view.state.status, claims(view)], ["waiting", []], how);
    }
  });

  test(`${title}: a loop of ten waits gets ten successive events, none twice, though a worker dies at one of them`, async (t) => {
    const world = await open(t);
    await world.startEngine();
    const doomed = await world.startWorker({ tasksFile, failpoints: "after-claim@4=kill" });
    const run = await world.client.start(listener, {
      ...{ name: "tick.*", where: { counts: true }, times: 10 },
    });
    for (let i = 0; i < 20; i++) {
      await world.client.publish(`tick.${i % 3}`, { counts: i % 2 === 0, i });
      if (i === 7) await until(() => !doomed.isRunning, { withinMs: 20_000 });
      if (i === 7) await world.startWorker({ tasksFile });
    }
    const expected = Array.from({ length: 10 }, (_, k) => ({ counts: true, i: 2 * k }));
    t.deepEqual(await data(world, run), expected);
    const view = await world.endOf(run);
    checkHistory(t, view);
    const consumed = [...view.state.consumedEvents];
    t.is(consumed.length, 10);
    await checkQuiet(t, world);
  });

  test(`${title}: waits of one run for one name at the same time get successive events, in the order of the waits`, async (t) => {
    const world = await open(t);
    await world.startEngine();
    await world.startWorker({ tasksFile });
    const run = await world.client.start(chorus, { name: "note", count: 4 });
    await untilRegistered(world, run);
    for (const note of ["c", "d", "e", "f"]) await world.client.publish("note", note);
    t.deepEqual(await world.result(run), ["c", "d", "e", "f"]);
    checkHistory(t, await world.endOf(run));
  });

  test(`${title}: a wait whose time is over returns null, and the event that comes then is not consumed`, async (t) => {
    const world = await open(t);
    await world.startEngine();
    await world.startWorker({ tasksFile });
    const run = await world.client.start(listener, { name: "order.paid", timeoutMs: 1_200 });
    t.deepEqual(await world.result(run), [null]);
    t.deepEqual(await wakes(world, run), ["timer"]);
    const twice = await world.client.start(listener, { name: "late", timeoutMs: 1_200, times: 2 });
    await until(() => world.effects.read(twice.runId, "heard").length === 1);
    await world.client.publish("late", "in time for the second");
    t.deepEqual(await data(world, twice), [null, "in time for the second"]);
    await checkQuiet(t, world);
  });

  test(`${title}: with the engine down an event that came in time beats the timeout that wakes the run`, async (t) => {
    const world = await open(t);
    await world.startWorker({ tasksFile });
    const run = await world.client.start(listener, { name: "order.paid", timeoutMs: 2_500 });
    await world.untilStatus(run, "waiting");
    await world.client.publish("order.paid", "in time");
    t.deepEqual(await data(world, run), ["in time"]);
    await checkQuiet(t, world);
    t.deepEqual(await wakes(world, run), ["timer"]);
  });

  test(`${title}: a wait from now on does not hear what came between the start and the wait`, async (t) => {
    const world = await open(t);
    await world.startEngine();
    await world.startWorker({ tasksFile, env: { CONTRAIL_E2E_GATES: world.folder } });
    const run = await world.client.start(listener, {
      ...{ name: "order.paid", from: "now", gate: "go" },
    });
    await until(() => world.effects.read(run.runId, "first").length > 0);
    await world.client.publish("order.paid", "before the wait");
    world.open("go");
    await untilRegistered(world, run);
    await world.client.publish("order.paid", "after the wait");
    t.deepEqual(await data(world, run), ["after the wait"]);
  });
});

async function data(world: World, run: RunHandle): Promise<unknown[]> {
  const heard = (await world.result(run)) as ({ data: unknown } | null)[];
  return heard.map((found) => (found ? found.data : null));
}

/** Why a run was claimed, its start left out. */
async function wakes(world: World, run: RunHandle): Promise<string[]> {
  return claims(await world.endOf(run)).filter((because) => because !== "start");
}

/** Resolves when the run waits and has told the engine for what. */
async function untilRegistered(world: World, run: RunHandle): Promise<void> {
  await until(
    async () => {
      const { state, hasRegistration } = await run.view();
      return state.status === "waiting" && hasRegistration;
    },
    { withinMs: 20_000, what: `run "${run.runId}" has registered its wait` },
  );
  await until(() => world.leases.held("durable") === 0);
}
