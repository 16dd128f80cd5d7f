import test from "ava";
import type { RunHandle } from "../../shared/index.ts";
import { until } from "../helpers/until.ts";
import { checkHistory, forEachWorld, type World } from "./harness/index.ts";
import { brief, busySteps, longStep, patient } from "./tasks/drain.ts";

const tasksFile = new URL("./tasks/drain.js", import.meta.url);
const CLAIM_MS = 5_000;

/** Runs at work, waiting and asleep, whose results are awaited from the beginning. */
async function startAll(world: World): Promise<readonly { run: RunHandle; output: unknown }[]> {
  const { client } = world;
  const input = { gate: world.gate("work"), obeys: false };
  const atWork = await client.start(longStep, input, { id: "at-work" });
  const busy = await client.start(busySteps, world.gate("busy"), { id: "busy" });
  const waiting = await client.start(patient, "patient", { id: "patient" });
  await until(() => world.effects.read("at-work", "begun").length === 1);
  await until(() => world.effects.read("busy").length > 3);
  await world.untilStatus(waiting, "waiting");
  return [
    { run: atWork, output: await Promise.resolve(["before", "held", "after"]) },
    { run: waiting, output: "patient" },
    { run: busy, output: undefined },
  ];
}

forEachWorld(test, (title, open) => {
  for (const [how, lose] of [
    ["killed", "kill"],
    ["shut down", "shutdown"],
  ] as const)
    test(`${title}: worker, engine and client go on when every server was ${how} and comes back`, async (t) => {
      const world = await open(t, { claimTimeoutMs: CLAIM_MS, ownServers: true });
      const { client, topology } = world;
      const engine = await world.startEngine();
      const worker = await world.startWorker({ tasksFile });
      const all = await startAll(world);
      const results = all.map(({ run }) => run.result());
      for (const server of topology.servers) await server[lose]();
      const meanwhile = client.start(brief, 1, { id: "meanwhile" });
      world.open("work");
      await until(() => world.effects.read("at-work", "held").length === 1);
      await Promise.all(topology.servers.map((server) => server.start()));
      t.is(await world.result(await meanwhile, 60_000), 1, "a start waits for a server");
      await until(() => client.publish("drain.go", { id: "patient" }), { withinMs: 30_000 });
      world.open("busy");
      for (const [i, { run, output }] of all.entries()) {
        const result = await results[i];
        if (output === undefined) t.true(typeof result === "number" && result > 3);
        else t.deepEqual(result, output);
        checkHistory(t, await world.endOf(run));
      }
      t.is(world.effects.read("at-work", "held").length, 1, "what was done meanwhile is kept");
      for (const { step } of world.effects.read("busy"))
        t.true(world.effects.read("busy", step).length <= 2, step);
      t.true(engine.isRunning && worker.isRunning);
    });

  if (title === "R3")
    test(`${title}: worker, engine and client go on at the other servers when theirs is gone, whichever that is`, async (t) => {
      const world = await open(t, { claimTimeoutMs: CLAIM_MS, ownServers: true });
      const { client, topology } = world;
      const engine = await world.startEngine();
      const worker = await world.startWorker({ tasksFile });
      const runs: RunHandle[] = [];
      for (const [i, server] of topology.servers.entries()) {
        const before = await client.start(patient, `${i}`, { id: `before-${i}` });
        await world.untilStatus(before, "waiting");
        const awaited = before.result();
        await server.kill();
        const after = await client.start(brief, i, { id: `after-${i}` });
        t.is(await world.result(after, 60_000), i);
        await until(() => client.publish("drain.go", { id: `${i}` }), { withinMs: 30_000 });
        t.is(await awaited, `${i}`);
        runs.push(before, after);
        await server.start();
      }
      for (const run of runs) {
        checkHistory(t, await world.endOf(run));
        const step = run.taskName === "brief" ? "brief" : "woken";
        t.is(world.effects.read(run.runId, step).length, 1, run.runId);
      }
      t.true(engine.isRunning && worker.isRunning);
    });

  test(`${title}: a worker that is told to end while no server answers ends within its grace time, and its runs are taken over`, async (t) => {
    const world = await open(t, { claimTimeoutMs: 2_000, ownServers: true });
    const { topology } = world;
    await world.startEngine();
    const worker = await world.startWorker({ tasksFile, drainTimeout: "500ms" });
    const all = await startAll(world);
    for (const server of topology.servers) await server.kill();
    worker.kill("SIGTERM");
    await until(() => !worker.isRunning, { withinMs: 30_000, what: "the worker has ended" });
    t.is((await worker.exited).signal, null, "by itself");
    await Promise.all(topology.servers.map((server) => server.start()));
    await world.startWorker({ tasksFile });
    world.open("work");
    world.open("busy");
    await until(() => world.client.publish("drain.go", { id: "patient" }), { withinMs: 60_000 });
    for (const { run, output } of all) {
      const result = await world.result(run, 60_000);
      if (output !== undefined) t.deepEqual(result, output);
      checkHistory(t, await world.endOf(run));
    }
    t.is(world.effects.read("at-work", "before").length, 1);
  });

  test(`${title}: a client that is closed while no server answers is closed, and what it waited for is refused`, async (t) => {
    const world = await open(t, { ownServers: true });
    const { client, topology } = world;
    const run = await client.start(brief, 1);
    const result = t.throwsAsync(run.result(), { code: "unavailable" });
    for (const server of topology.servers) await server.kill();
    await client.close();
    await result;
    await t.throwsAsync(client.start(brief, 1), { code: "unavailable" });
  });
});
