import test from "ava";
import type { LeafCondition } from "../../shared/entries.ts";
import { silentLog } from "../../shared/logger.ts";
import {
  Barrier,
  beginTerm,
  type Namespace,
  namespaceOf,
  publishEvent,
} from "../helpers/engine.ts";
import { FakeRun } from "../helpers/fake-run.ts";
import { forEachTopology, type TestTopology } from "../helpers/nats.ts";
import { until } from "../helpers/until.ts";

let eventCount = 0;
const newName = (): string => `order.e${eventCount++}`;
const event = (name: string, after = 0, where?: unknown): LeafCondition => ({
  kind: "event",
  name,
  after,
  ...(where === undefined ? {} : { where }),
});

async function startRun(at: Namespace): Promise<FakeRun> {
  return new FakeRun(at.link, at.names).start();
}

forEachTopology((title, start) => {
  let topology: TestTopology;

  test.before(async () => {
    topology = await start();
  });
  test.after.always(() => topology?.stop());

  test.serial(`${title}: an event after the registration wakes the run once`, async (t) => {
    const at = await namespaceOf(t, topology);
    const { term } = await beginTerm(t, at);
    const name = newName();
    const run = await startRun(at);
    const waitSequence = await run.waitFor([event(name)]);
    await until(() => term.status.waits.pending === 1);
    const sequence = await publishEvent(at, name, { id: 1 });
    t.deepEqual(await run.ready(), {
      answers: waitSequence,
      startSequence: run.startSequence,
      isChild: false,
      because: { events: [["w0 x", 0, sequence]] },
    });
    await publishEvent(at, name, { id: 2 });
    await until(() => term.status.positions.events > sequence);
    t.is((await run.readies()).length, 1);
    t.is(term.status.waits.pending, 0);
  });

  test.serial(`${title}: an event before the registration wakes the run`, async (t) => {
    const at = await namespaceOf(t, topology);
    const name = newName();
    const earlier = await publishEvent(at, name);
    const before = await publishEvent(at, name);
    await beginTerm(t, at); // these two are read from the stream
    const run = await startRun(at);
    await run.waitFor([event(name, earlier)]);
    t.deepEqual((await run.ready()).because, { events: [["w0 x", 0, before]] });
    await run.claim();
    const recent = await publishEvent(at, name); // this one is found in memory
    await run.waitFor([event(name, before)]);
    t.deepEqual((await run.ready()).because, { events: [["w0 x", 0, recent]] });
  });

  test.serial(
    `${title}: of events before and during the look-back the lower one wins (hole 24)`,
    async (t) => {
      const at = await namespaceOf(t, topology);
      const name = newName();
      const before = await publishEvent(at, name);
      const barrier = new Barrier("engine-before-look-back");
      const { term } = await beginTerm(t, at, barrier);
      const run = await startRun(at);
      barrier.arm();
      await run.waitFor([event(name)]);
      await barrier.reached;
      const during = await publishEvent(at, name);
      await until(() => term.status.positions.events >= during);
      t.deepEqual(await run.readies(), []); // a token now would name the later event
      barrier.open();
      t.deepEqual((await run.ready()).because, { events: [["w0 x", 0, before]] });
    },
  );

  test.serial(`${title}: an event during the look-back is not missed`, async (t) => {
    const at = await namespaceOf(t, topology);
    const name = newName();
    const barrier = new Barrier("engine-before-look-back");
    await beginTerm(t, at, barrier);
    const run = await startRun(at);
    barrier.arm();
    await run.waitFor([event(name)]);
    await barrier.reached;
    const during = await publishEvent(at, name);
    barrier.open();
    t.deepEqual((await run.ready()).because, { events: [["w0 x", 0, during]] });
  });

  test.serial(`${title}: filters and wildcards choose the events that count`, async (t) => {
    const at = await namespaceOf(t, topology);
    const { term } = await beginTerm(t, at);
    const name = newName();
    const [filtered, one, rest] = [await startRun(at), await startRun(at), await startRun(at)];
    await filtered.waitFor([event(`${name}.paid`, 0, { id: "b", total: { $gte: 10 } })]);
    await one.waitFor([event(`${name}.*`, 0, { id: "b" })]);
    await rest.waitFor([event(`${name}.>`)]);
    await until(() => term.status.waits.pending === 3);
    await publishEvent(at, name, { id: "b", total: 99 });
    const deep = await publishEvent(at, `${name}.paid.twice`, { id: "b", total: 99 });
    await publishEvent(at, `${name}.paid`, { id: "a", total: 99 });
    const first = await publishEvent(at, `${name}.paid`, { id: "b", total: 9 });
    const second = await publishEvent(at, `${name}.paid`, { id: "b", total: 10 });
    t.deepEqual((await filtered.ready()).because, { events: [["w0 x", 0, second]] });
    t.deepEqual((await one.ready()).because, { events: [["w0 x", 0, first]] });
    t.deepEqual((await rest.ready()).because, { events: [["w0 x", 0, deep]] });
  });

  test.serial(`${title}: two runs that wait for the same event both get it`, async (t) => {
    const at = await namespaceOf(t, topology);
    const { term } = await beginTerm(t, at);
    const name = newName();
    const runs = [await startRun(at), await startRun(at)];
    for (const run of runs) await run.waitFor([event(name)]);
    await until(() => term.status.waits.pending === 2);
    const sequence = await publishEvent(at, name);
    for (const run of runs)
      t.deepEqual((await run.ready()).because, { events: [["w0 x", 0, sequence]] });
  });

  test.serial(
    `${title}: what a run has consumed is not offered to it again (hole 23)`,
    async (t) => {
      const at = await namespaceOf(t, topology);
      const name = newName();
      const seven = await publishEvent(at, `${name}.paid`, { id: 2 });
      const ten = await publishEvent(at, `${name}.paid`, { id: 1 });
      await beginTerm(t, at);
      const run = await startRun(at);
      await run.waitFor([event(`${name}.paid`, 0, { id: 1 })]);
      t.deepEqual((await run.ready()).because, { events: [["w0 x", 0, ten]] });
      await run.claim();
      // A cursor at ten would pass over seven; none at all would deliver ten again.
      const other = event(`${name}.paid`, 0, { id: 2 });
      await run.waitFor([other, event(`${name}.*`)], { consumed: [ten] });
      t.deepEqual((await run.ready()).because, { events: [["w0 x", 0, seven]] });
      await run.claim();
      await run.waitFor([event(`${name}.*`)], { consumed: [seven, ten] });
      const next = await publishEvent(at, `${name}.sent`);
      t.deepEqual((await run.ready()).because, { events: [["w0 x", 0, next]] });
    },
  );

  test.serial(`${title}: leaves of one run get events in the order of the leaves`, async (t) => {
    const at = await namespaceOf(t, topology);
    const { term } = await beginTerm(t, at);
    const name = newName();
    const run = await startRun(at);
    const [a, b] = [await publishEvent(at, name, 1), await publishEvent(at, name, 2)];
    await run.waitFor([event(name), event(`${name}.>`), event(name), event(name)]);
    t.deepEqual((await run.ready()).because, {
      events: [
        ["w0 x", 0, a],
        ["w2 x", 0, b],
      ],
    });
    await run.claim();
    await run.waitFor([event(`${name}.>`), event(name)], { consumed: [a, b] });
    await until(() => term.status.waits.pending === 1);
    const c = await publishEvent(at, name, 3);
    t.deepEqual((await run.ready()).because, { events: [["w1 x", 0, c]] });
  });

  test.serial(`${title}: ten waits on one name get ten successive events`, async (t) => {
    const at = await namespaceOf(t, topology);
    await beginTerm(t, at);
    const name = newName();
    const run = await startRun(at);
    const published: number[] = [];
    for (let i = 0; i < 10; i++) published.push(await publishEvent(at, name, i));
    const consumed: number[] = [];
    for (let i = 0; i < 10; i++) {
      await run.waitFor([event(name)], { consumed: [...consumed] });
      const { because } = await run.ready();
      consumed.push(because.events?.[0]?.[2] ?? 0);
      await run.claim();
    }
    t.deepEqual(consumed, published);
  });

  test.serial(
    `${title}: a new term knows all registrations and what came meanwhile (hole 8)`,
    async (t) => {
      const at = await namespaceOf(t, topology);
      const first = await beginTerm(t, at);
      const name = newName();
      const [early, late] = [await startRun(at), await startRun(at)];
      await early.waitFor([event(name)]);
      await late.waitFor([event(`${name}.late`)]);
      await until(() => first.term.status.waits.pending === 2);
      await first.end();
      const sequence = await publishEvent(at, name);
      const second = await beginTerm(t, at);
      t.deepEqual((await early.ready()).because, { events: [["w0 x", 0, sequence]] });
      await until(() => second.term.status.waits.pending === 1);
      const later = await publishEvent(at, `${name}.late`);
      t.deepEqual((await late.ready()).because, { events: [["w0 x", 0, later]] });
    },
  );

  test.serial(`${title}: a registration of an older wait is refused (hole 6)`, async (t) => {
    const at = await namespaceOf(t, topology);
    const { term } = await beginTerm(t, at);
    const name = newName();
    const run = await startRun(at);
    const first = await run.waitFor([event(`${name}.first`)]);
    await until(() => term.status.waits.pending === 1);
    await run.claim();
    await run.waitFor([event(`${name}.second`)]);
    const late = await run.registerAt(first, [event(`${name}.first`)]);
    t.is(late.ok || late.kind, "guard");
    const sequence = await publishEvent(at, `${name}.second`);
    t.deepEqual((await run.ready()).because, { events: [["w0 x", 0, sequence]] });
  });

  test.serial(`${title}: a run that has gone on gets no token`, async (t) => {
    const at = await namespaceOf(t, topology);
    const { term } = await beginTerm(t, at);
    const name = newName();
    const run = await startRun(at);
    await run.waitFor([event(name)]);
    await until(() => term.status.waits.pending === 1);
    await run.claim();
    await publishEvent(at, name);
    await until(() => term.status.waits.refused === 1);
    t.deepEqual(await run.readies(), []);
  });

  test.serial(`${title}: an unreadable registration harms no other run`, async (t) => {
    const at = await namespaceOf(t, topology);
    const errors: string[] = [];
    const error = (text: string) => void errors.push(text);
    await beginTerm(t, at, { log: { ...silentLog, error } });
    const name = newName();
    const broken = await startRun(at);
    for (const body of [[1, 0xff], [7], [1, 0x80], []])
      t.true((await at.link.publisher.publish(`${broken.prefix}.wait`, Uint8Array.from(body))).ok);
    const strange = at.names
      .everyRun(broken.address.runId.length % 4, "wait")
      .replaceAll("*", "_zz");
    await at.link.publisher.publish(strange, Uint8Array.from([1, 0x80]));
    const invalid = await startRun(at);
    await invalid.waitFor([event(name, 0, { id: { $nonsense: 1 } })]);
    const run = await startRun(at);
    await run.waitFor([event(name)]);
    const sequence = await publishEvent(at, name);
    t.deepEqual((await run.ready()).because, { events: [["w0 x", 0, sequence]] });
    t.true(errors.length >= 1);
    t.deepEqual(await invalid.readies(), []);
  });
});
