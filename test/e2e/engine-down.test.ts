import test from "ava";
import type { RunHandle } from "../../shared/index.ts";
import { until } from "../helpers/until.ts";
import { checkHistory, claims, forEachWorld, type World } from "./harness/index.ts";
import { alone, needsAll, needsChildren, needsEvent, tenEvents } from "./tasks/engine-down.ts";

const tasksFile = new URL("./tasks/engine-down.js", import.meta.url);
const CLAIM_MS = 3_000;
const TICKS = Array.from({ length: 10 }, (_, i) => i);

/** Runs that wait for events and children, and what they have to return. */
async function startAll(
  world: World,
  name: string,
): Promise<{ readonly run: RunHandle; readonly output: unknown }[]> {
  const { client } = world;
  return [
    { run: await client.start(needsEvent, name, { id: `event-${name}` }), output: name },
    {
      run: await client.start(needsChildren, 3, { id: `children-${name}` }),
      output: [2, 0, 2, 4],
    },
    { run: await client.start(needsAll, name, { id: `all-${name}` }), output: `${name} 8 sleep` },
  ];
}

/** Resolves when all of these runs are registered with whatever engine there will be. */
async function untilRegistered(
  world: World,
  all: readonly { readonly run: RunHandle }[],
): Promise<void> {
  for (const { run } of all) {
    await world.untilStatus(run, "waiting");
    await until(async () => (await run.view()).hasRegistration);
  }
}

forEachWorld(test, (title, open) => {
  test(`${title}: without an engine runs start, execute steps, sleep and resume, and what needs one is caught up when it comes`, async (t) => {
    const world = await open(t, { claimTimeoutMs: CLAIM_MS });
    await world.startWorker({ tasksFile });
    const { client } = world;
    const waiting = await startAll(world, "before");
    for (let i = 0; i < 2; i++) {
      const run = await client.start(alone);
      t.is(await world.result(run), "ab");
      t.deepEqual(
        claims(await world.endOf(run)).filter((why) => why !== "start"),
        ["timer"],
      );
    }
    await untilRegistered(world, waiting);
    await until(
      async () => (await client.list({ taskName: "double", status: "completed" })).length >= 2,
    );
    await client.publish("down.event", { id: "nobody" });
    await client.publish("down.event", { id: "before" });
    for (const { run } of waiting.slice(0, 2)) t.is((await run.view()).state.status, "waiting");
    await world.startEngine();
    for (const { run, output } of waiting) {
      t.deepEqual(await world.result(run, 60_000), output);
      t.is(world.effects.read(run.runId, "woken").length, 1);
      checkHistory(t, await world.endOf(run));
    }
  });

  test(`${title}: what happens while the engine is gone is caught up when another one starts, and nothing wakes a run twice`, async (t) => {
    const world = await open(t, { claimTimeoutMs: CLAIM_MS });
    await world.startWorker({ tasksFile });
    const engine = await world.startEngine();
    const { client } = world;
    const early = await client.start(needsEvent, "early", { id: "early" });
    await untilRegistered(world, [{ run: early }]);
    await engine.end();
    await client.publish("down.event", { id: "early" });
    const waiting = await startAll(world, "during");
    const ticks = await client.start(tenEvents, "during", { id: "ticks" });
    for (const n of TICKS) await client.publish("down.tick", { id: "during", n });
    await client.publish("down.event", { id: "during" });
    await untilRegistered(world, [...waiting.slice(0, 2), { run: ticks }]);
    t.is(await world.result(await client.start(alone)), "ab");
    await world.startEngine();
    const all = [
      ...waiting,
      { run: early as RunHandle, output: "early" },
      { run: ticks as RunHandle, output: TICKS },
    ];
    for (const { run, output } of all) {
      t.deepEqual(await world.result(run, 60_000), output, run.runId);
      checkHistory(t, await world.endOf(run));
    }
    for (const { run } of all.slice(0, 4))
      t.is(world.effects.read(run.runId, "woken").length, 1, run.runId);
    for (const n of TICKS) t.is(world.effects.read("ticks", `${n}`).length, 1, `tick ${n}`);
  });

  test(`${title}: two engines wake no run wrongly or twice to effect, also when the leading one is killed`, async (t) => {
    const world = await open(t, { claimTimeoutMs: CLAIM_MS });
    const { client } = world;
    await world.startWorker({ tasksFile });
    const engines = [await world.startEngine(), await world.startEngine()];
    const leads = (index: number): boolean =>
      engines[index]?.lines.filter(({ message }) => /leads\./.test(message)).length === 1;
    await until(() => leads(0) || leads(1), { withinMs: 20_000, what: "one engine leads" });
    t.false(leads(0) && leads(1), "both lead");
    const runs = await Promise.all(
      ["a", "b", "c"].map((id) => client.start(tenEvents, id, { id: `ticks-${id}` })),
    );
    const others = await startAll(world, "two");
    const publish = async (from: number, to: number): Promise<void> => {
      for (const n of TICKS.slice(from, to))
        for (const id of ["a", "b", "c"]) await client.publish("down.tick", { id, n });
    };
    await publish(0, 4);
    const leader = leads(0) ? 0 : 1;
    await until(() => world.effects.read("ticks-a").length >= 2);
    engines[leader]?.kill();
    await publish(4, 10);
    await client.publish("down.event", { id: "two" });
    await until(() => leads(1 - leader), { withinMs: 30_000, what: "the other engine leads" });
    for (const run of runs) {
      t.deepEqual(await world.result(run, 60_000), TICKS, run.runId);
      for (const n of TICKS) t.is(world.effects.read(run.runId, `${n}`).length, 1);
      checkHistory(t, await world.endOf(run));
    }
    for (const { run, output } of others) {
      t.deepEqual(await world.result(run, 60_000), output);
      t.is(world.effects.read(run.runId, "woken").length, 1);
    }
  });

  test(`${title}: an engine that was stopped while it led and goes on beside its successor wakes nobody twice to effect`, async (t) => {
    const world = await open(t, { claimTimeoutMs: CLAIM_MS });
    const { client } = world;
    await world.startWorker({ tasksFile });
    const first = await world.startEngine();
    await until(() => first.hasLogged(/leads\./), { withinMs: 20_000 });
    const runs = await Promise.all(
      ["a", "b"].map((id) => client.start(tenEvents, id, { id: `ticks-${id}` })),
    );
    await untilRegistered(
      world,
      runs.map((run) => ({ run })),
    );
    first.kill("SIGSTOP");
    const second = await world.startEngine();
    await until(() => second.hasLogged(/leads\./), {
      withinMs: 30_000,
      what: "the second one leads",
    });
    for (const n of TICKS.slice(0, 3))
      for (const id of ["a", "b"]) await client.publish("down.tick", { id, n });
    first.kill("SIGCONT");
    for (const n of TICKS.slice(3))
      for (const id of ["a", "b"]) await client.publish("down.tick", { id, n });
    for (const run of runs) {
      t.deepEqual(await world.result(run, 60_000), TICKS, run.runId);
      for (const n of TICKS) t.is(world.effects.read(run.runId, `${n}`).length, 1);
      checkHistory(t, await world.endOf(run));
    }
    await until(() => first.hasLogged(/does not lead any more/), {
      withinMs: 30_000,
      what: "the first one has noticed",
    });
    t.true(first.isRunning && second.isRunning);
  });
});
