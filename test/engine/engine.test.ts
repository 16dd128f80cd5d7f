import test from "ava";
import { startEngine } from "../../engine/index.ts";
import type { LeafCondition } from "../../shared/entries.ts";
import { LEAD_TTL_MS } from "../../shared/limits.ts";
import { beginTerm, type Namespace, namespaceOf, publishEvent } from "../helpers/engine.ts";
import { FakeRun } from "../helpers/fake-run.ts";
import { forEachTopology, type TestTopology } from "../helpers/nats.ts";
import { until } from "../helpers/until.ts";
import { startEngineProcess } from "./engine-process.ts";

let eventCount = 0;
const newName = (): string => `thing.e${eventCount++}`;
const event = (name: string): LeafCondition => ({ kind: "event", name, after: 0 });
const TAKEOVER_MS = 3 * LEAD_TTL_MS;

async function waitingRun(at: Namespace, name: string): Promise<FakeRun> {
  const run = await new FakeRun(at.link, at.names).start();
  await run.waitFor([event(name)]);
  return run;
}

forEachTopology((title, start, inTurn) => {
  let topology: TestTopology;

  test.before(async () => {
    topology = await start();
  });
  test.after.always(() => topology?.stop());

  test(
    `${title}: when the leading engine is killed another one takes over`,
    inTurn(async (t) => {
      const at = await namespaceOf(t, topology);
      const { urls: servers, replicas } = topology;
      const first = startEngineProcess(t, { servers, replicas });
      await until(first.isCaughtUp, { withinMs: TAKEOVER_MS });
      const second = startEngineProcess(t, { servers, replicas });
      await until(() => second.lines.length > 0);
      t.false(second.isLeading());
      const name = newName();
      const run = await waitingRun(at, name);
      first.kill();
      await until(first.isGone);
      const sequence = await publishEvent(at, name);
      const late = await waitingRun(at, name);
      await until(second.isCaughtUp, { withinMs: TAKEOVER_MS });
      for (const each of [run, late]) {
        t.deepEqual((await each.ready()).because, { events: [["w0 x", 0, sequence]] });
        await each.claim();
        await each.end();
      }
      second.kill("SIGTERM");
      await until(second.isGone);
      t.is(second.child.exitCode, 0);
    }),
  );

  for (const place of ["engine-before-look-back", "engine-before-ready", "engine-after-ready"])
    test(
      `${title}: a token is not lost when the engine dies at ${place}`,
      inTurn(async (t) => {
        const at = await namespaceOf(t, topology);
        const { urls: servers, replicas } = topology;
        const name = newName();
        const dying = startEngineProcess(t, { servers, replicas, failpoints: `${place}=kill` });
        // Tokens of earlier tests are all answered, so this run is the first to come there.
        await until(dying.isCaughtUp, { withinMs: TAKEOVER_MS });
        const run = await waitingRun(at, name);
        const sequence = await publishEvent(at, name);
        await until(dying.isGone);
        t.is(dying.child.signalCode, "SIGKILL");
        const next = startEngineProcess(t, { servers, replicas });
        await until(next.isCaughtUp, { withinMs: TAKEOVER_MS });
        t.deepEqual((await run.ready()).because, { events: [["w0 x", 0, sequence]] });
        await until(
          async () => (await run.readies()).length >= (place === "engine-after-ready" ? 2 : 1),
        );
        for (const { answers, because } of await run.readies())
          t.deepEqual([answers, because], [run.tail, { events: [["w0 x", 0, sequence]] }]);
        next.kill("SIGTERM");
        await until(next.isGone);
        await run.claim();
        await run.end();
      }),
    );

  test(
    `${title}: two engines that lead at once by accident wake nobody wrongly`,
    inTurn(async (t) => {
      const at = await namespaceOf(t, topology);
      const terms = [await beginTerm(t, at), await beginTerm(t, at)];
      const name = newName();
      const runs: FakeRun[] = [];
      for (let i = 0; i < 10; i++) runs.push(await waitingRun(at, name));
      await until(() => terms.every(({ term }) => term.status.waits.pending >= 10));
      const sequence = await publishEvent(at, name);
      for (const run of runs) await run.ready();
      await until(() =>
        terms.every(({ term: { status } }) => status.waits.pending + status.waits.publishing === 0),
      );
      for (const run of runs) {
        const readies = await run.readies();
        t.true(readies.length <= 2);
        for (const { answers, because } of readies)
          t.deepEqual([answers, because], [run.tail, { events: [["w0 x", 0, sequence]] }]);
        await run.claim();
        await run.end();
      }
    }),
  );

  test(
    `${title}: an engine goes on after its servers were restarted`,
    inTurn(async (t) => {
      const at = await namespaceOf(t, topology);
      const engine = await startEngine({ servers: topology.urls, name: "survivor" });
      t.teardown(() => engine.close());
      await until(() => engine.status().term?.isCaughtUp, { withinMs: TAKEOVER_MS });
      const name = newName();
      const run = await waitingRun(at, name);
      await until(() => engine.status().term?.waits.pending === 1);
      for (const server of topology.servers) await server.kill();
      await Promise.all(topology.servers.map((server) => server.start()));
      const sequence = await until(
        async () => {
          const outcome = await at.link.publisher.publish(`events.${name}`, new Uint8Array(0));
          return outcome.ok && outcome.sequence;
        },
        { withinMs: 30_000 },
      );
      const { because } = await until(async () => (await run.readies())[0], { withinMs: 30_000 });
      t.is(because.events?.[0]?.[2], sequence);
      await until(() => engine.status().isLeading, { withinMs: TAKEOVER_MS });
      await run.claim();
      await run.end();
    }),
  );
});
