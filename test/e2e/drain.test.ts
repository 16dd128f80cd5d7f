import test from "ava";
import type { RunHandle } from "../../shared/index.ts";
import { until } from "../helpers/until.ts";
import {
  checkHistory,
  claims,
  forEachWorld,
  type TestProcess,
  type World,
} from "./harness/index.ts";
import { brief, longStep, longTask, patient } from "./tasks/drain.ts";

const tasksFile = new URL("./tasks/drain.js", import.meta.url);
const CLAIM_MS = 5_000;

/** Tells a worker to end and resolves when it takes nothing more. */
async function drain(world: World, worker: TestProcess): Promise<void> {
  worker.kill("SIGTERM");
  await until(async () => !(await asks(world)), { what: "the worker asks for no more tokens" });
}

/** Whether anybody asks the consumer of brief runs for tokens. */
async function asks({ link, setup }: World): Promise<boolean> {
  const { names } = setup;
  for (let shard = 0; shard < names.shardCount; shard++) {
    const subject = `$JS.API.CONSUMER.INFO.${names.logStream(shard)}.${names.taskConsumer("brief")}`;
    const reply = await link.nc.request(subject);
    if ((reply.json() as { num_waiting: number }).num_waiting > 0) return true;
  }
  return false;
}

const pidsOf = (world: World, run: RunHandle, step: string): number[] =>
  world.effects.read(run.runId, step).map(({ pid }) => pid);

forEachWorld(test, (title, open) => {
  test(`${title}: a worker that is told to end takes no more runs, finishes those at work, and leaves`, async (t) => {
    const world = await open(t, { claimTimeoutMs: CLAIM_MS });
    const { client } = world;
    const a = await world.startWorker({ tasksFile, drainTimeout: "60s" });
    const input = { gate: world.gate("work"), obeys: false };
    const runs: RunHandle[] = [
      await client.start(longStep, input),
      await client.start(longTask, input),
    ];
    for (const run of runs) await until(() => pidsOf(world, run, "begun").length === 1);
    await drain(world, a);
    const later = await Promise.all(Array.from({ length: 20 }, (_, i) => client.start(brief, i)));
    const b = await world.startWorker({ tasksFile });
    for (const [i, run] of later.entries()) t.is(await world.result(run), i);
    for (const run of later) t.deepEqual(pidsOf(world, run, "brief"), [b.pid]);
    t.true(a.isRunning, "it waits for the runs at work");
    world.open("work");
    t.deepEqual(await world.result(runs[0] as RunHandle), ["before", "held", "after"]);
    t.is(await world.result(runs[1] as RunHandle), "held");
    t.deepEqual(await a.exited, { code: 0, signal: null });
    for (const run of runs) {
      t.deepEqual(pidsOf(world, run, "held"), [a.pid], "executed once, where it began");
      t.deepEqual(
        claims(await world.endOf(run)).filter((why) => why === "takeover"),
        [],
      );
      checkHistory(t, await world.endOf(run));
    }
  });

  for (const obeys of [true, false])
    test(`${title}: a worker that is told to end hands over within its grace time what does not end, ${obeys ? "with" : "without"} regard of the signal`, async (t) => {
      const world = await open(t, { claimTimeoutMs: 30_000 });
      const { client } = world;
      const a = await world.startWorker({ tasksFile, drainTimeout: "300ms" });
      const input = { gate: world.gate("work"), obeys };
      const runs: RunHandle[] = [
        await client.start(longStep, input),
        await client.start(longTask, input),
      ];
      for (const run of runs) await until(() => pidsOf(world, run, "begun").length === 1);
      t.deepEqual(await a.stop(), { code: 0, signal: null });
      const b = await world.startWorker({ tasksFile });
      // long before the claims of the first worker are over
      for (const run of runs)
        await until(() => pidsOf(world, run, "begun").length === 2, { withinMs: 20_000 });
      world.open("work");
      t.deepEqual(await world.result(runs[0] as RunHandle), ["before", "held", "after"]);
      t.is(await world.result(runs[1] as RunHandle), "held");
      for (const run of runs) {
        t.deepEqual(pidsOf(world, run, "begun"), [a.pid, b.pid]);
        t.deepEqual(pidsOf(world, run, "held"), [b.pid]);
        checkHistory(t, await world.endOf(run));
      }
      t.deepEqual(pidsOf(world, runs[0] as RunHandle, "before"), [a.pid]);
    });

  test(`${title}: a worker that is told to end leaves waiting runs to others, and its lease is gone`, async (t) => {
    const world = await open(t, { claimTimeoutMs: CLAIM_MS });
    const { client } = world;
    await world.startEngine();
    const a = await world.startWorker({ tasksFile, drainTimeout: "60s" });
    const runs = await Promise.all(["a", "b", "c"].map((id) => client.start(patient, id)));
    for (const run of runs) await world.untilStatus(run, "waiting");
    t.is((await world.leases.stored("durable")).length, 1);
    t.deepEqual(await a.stop(), { code: 0, signal: null });
    t.deepEqual(await world.leases.stored("durable"), []);
    t.deepEqual(await world.leases.stored("regular"), []);
    for (const run of runs) t.is((await run.view()).state.status, "waiting");
    const b = await world.startWorker({ tasksFile });
    for (const id of ["a", "b", "c"]) await client.publish("drain.go", { id });
    for (const [i, run] of runs.entries()) {
      t.is(await world.result(run), ["a", "b", "c"][i] as string);
      t.deepEqual(pidsOf(world, run, "entered"), [a.pid, b.pid]);
      t.deepEqual(pidsOf(world, run, "woken"), [b.pid]);
    }
  });

  test(`${title}: workers that are told to end one after the other, while runs are started all the time, lose none and execute none twice`, async (t) => {
    const world = await open(t, { claimTimeoutMs: CLAIM_MS });
    const { client } = world;
    const runs: RunHandle<number>[] = [];
    let worker = await world.startWorker({ tasksFile });
    for (let round = 0; round < 4; round++) {
      const next = world.startWorker({ tasksFile });
      const starts = Array.from({ length: 100 }, (_, i) => client.start(brief, round * 100 + i));
      const ended = worker.stop();
      runs.push(...(await Promise.all(starts)));
      t.deepEqual(await ended, { code: 0, signal: null });
      worker = await next;
    }
    for (const [i, run] of runs.entries()) t.is(await world.result(run), i);
    for (const run of runs) t.is(pidsOf(world, run, "brief").length, 1);
  });
});
