import test from "ava";
import { childId, childIdPrefix } from "../../shared/child-ids.ts";
import type { LeafCondition } from "../../shared/entries.ts";
import { encodeWait } from "../../shared/messages.ts";
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

const TASK = "pack item";

/** A parent, and children under its derived ids. */
class Family {
  readonly parent: FakeRun;
  readonly #at: Namespace;

  constructor(at: Namespace, parent: FakeRun) {
    this.#at = at;
    this.parent = parent;
  }

  static async start(at: Namespace): Promise<Family> {
    return new Family(at, await new FakeRun(at.link, at.names).start());
  }

  child(ordinal: number): FakeRun {
    const { address, startSequence } = this.parent;
    const runId = childId(childIdPrefix({ ...address, startSequence }), ordinal);
    return new FakeRun(this.#at.link, this.#at.names, { taskName: TASK, runId, isChild: true });
  }

  async endChild(ordinal: number): Promise<void> {
    const child = await this.child(ordinal).start();
    await child.end();
  }

  single(ordinal: number): LeafCondition {
    return { kind: "child", taskName: TASK, runId: this.child(ordinal).address.runId };
  }
}

const group = (first: number, count: number): LeafCondition => ({
  kind: "children",
  taskName: TASK,
  first,
  count,
});
const range = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

forEachTopology((title, start) => {
  let topology: TestTopology;

  test.before(async () => {
    topology = await start();
  });
  test.after.always(() => topology?.stop());

  test.serial(`${title}: a child that ends before, during or after wakes its parent`, async (t) => {
    const at = await namespaceOf(t, topology);
    const barrier = new Barrier("engine-before-look-back");
    const { term } = await beginTerm(t, at, barrier);
    const before = await Family.start(at);
    await before.endChild(0);
    await before.parent.waitFor([before.single(0)]);
    t.deepEqual((await before.parent.ready()).because, { children: [["w0 x", 0, [0]]] });

    const during = await Family.start(at);
    barrier.arm();
    await during.parent.waitFor([during.single(0)]);
    await barrier.reached;
    await during.endChild(0);
    barrier.open();
    t.deepEqual((await during.parent.ready()).because, { children: [["w0 x", 0, [0]]] });

    const after = await Family.start(at);
    const running = await after.child(0).start();
    await running.claim();
    await after.parent.waitFor([after.single(0)]);
    await until(() => term.status.waits.pending === 1 && term.status.waits.lookingBack === 0);
    await running.suspend();
    await running.claim();
    t.is(term.status.waits.pending, 1);
    await running.end();
    t.deepEqual((await after.parent.ready()).because, { children: [["w0 x", 0, [0]]] });
    t.is((await after.parent.readies()).length, 1);
  });

  test.serial(`${title}: an end that came before the term is found (hole 7)`, async (t) => {
    const at = await namespaceOf(t, topology);
    const family = await Family.start(at);
    // Its registration and all ends are older than the term: nothing will be followed.
    await family.parent.suspend();
    for (const ordinal of range(8)) await family.endChild(ordinal);
    await family.parent.register(range(8).map((ordinal) => family.single(ordinal)));
    await beginTerm(t, at);
    const { because } = await family.parent.ready();
    t.deepEqual(
      because.children,
      range(8).map((i) => [`w${i} x`, 0, [0]]),
    );
  });

  test.serial(
    `${title}: a group of children wakes its parent once, when none is missing`,
    async (t) => {
      const at = await namespaceOf(t, topology);
      const { term } = await beginTerm(t, at);
      const family = await Family.start(at);
      await family.endChild(3);
      await family.parent.waitFor([group(2, 5)]);
      await until(() => term.status.waits.pending === 1 && term.status.waits.lookingBack === 0);
      for (const ordinal of [1, 7, 2, 4, 6]) await family.endChild(ordinal);
      await until(() => term.status.waits.pending === 1);
      t.deepEqual(await family.parent.readies(), []);
      await family.endChild(5);
      t.deepEqual((await family.parent.ready()).because, {
        children: [["w0 x", 0, [0, 1, 2, 3, 4]]],
      });
      t.is((await family.parent.readies()).length, 1);
    },
  );

  test.serial(
    `${title}: recorded children of a group are neither read nor named again`,
    async (t) => {
      const at = await namespaceOf(t, topology);
      await beginTerm(t, at);
      const family = await Family.start(at);
      await family.parent.suspend();
      const { startSequence, tail: waitSequence } = family.parent;
      const condition = group(0, 6) as Extract<LeafCondition, { kind: "children" }>;
      const body = encodeWait({
        waitSequence,
        startSequence,
        isChild: false,
        leaves: [
          {
            key: "w0 x",
            leaf: 0,
            condition,
            recorded: [
              [0, 1],
              [4, 4],
            ],
          },
        ],
        consumed: [],
        passMs: 1,
      });
      await at.link.publisher.publish(`${family.parent.prefix}.wait`, body);
      for (const ordinal of [2, 3, 5]) await family.endChild(ordinal);
      t.deepEqual((await family.parent.ready()).because, { children: [["w0 x", 0, [2, 3, 5]]] });
    },
  );

  test.serial(`${title}: an event does not wait for the group beside it`, async (t) => {
    const at = await namespaceOf(t, topology);
    await beginTerm(t, at);
    const family = await Family.start(at);
    await family.endChild(0);
    const name = `stop.${family.parent.startSequence}.${title}`;
    await family.parent.waitFor([group(0, 2), { kind: "event", name, after: 0 }]);
    const sequence = await publishEvent(at, name);
    t.deepEqual((await family.parent.ready()).because, { events: [["w1 x", 0, sequence]] });
    await family.parent.claim();
    await family.parent.waitFor([group(0, 2)]);
    await family.endChild(1);
    t.deepEqual((await family.parent.ready()).because, { children: [["w0 x", 0, [0, 1]]] });
  });

  test.serial(`${title}: a thousand children awaited one by one make tens of tokens`, async (t) => {
    const at = await namespaceOf(t, topology);
    await beginTerm(t, at);
    const family = await Family.start(at);
    const count = 1_000;
    const open = new Set(range(count));
    const ending = (async () => {
      for (let i = 0; i < count; i += 50)
        await Promise.all(range(50).map((j) => family.endChild(i + j)));
    })();
    let wakeUps = 0;
    while (open.size > 0) {
      const awaited = [...open];
      await family.parent.waitFor(
        awaited.map((ordinal) => family.single(ordinal)),
        { passMs: 5 },
      );
      const { because } = await family.parent.ready();
      wakeUps++;
      for (const [key] of because.children ?? [])
        open.delete(awaited[Number(key.slice(1, -2))] as number);
      await family.parent.claim();
    }
    await ending;
    t.log(`${wakeUps} wake-ups for ${count} children`);
    t.true(wakeUps <= 40, `${wakeUps} wake-ups`);
  });

  test.serial(
    `${title}: a group of 100,000 children is registered in one message (hole 15)`,
    async (t) => {
      const at = await namespaceOf(t, topology);
      const { term } = await beginTerm(t, at);
      const family = await Family.start(at);
      const outcome = await family.parent
        .suspend()
        .then(() => family.parent.register([group(0, 100_000)]));
      t.true(outcome.ok);
      await until(() => term.status.waits.pending === 1);
      await until(() => term.status.waits.lookingBack === 0, { withinMs: 30_000 });
      await family.parent.claim();
      await family.parent.waitFor([group(0, 1)]);
      await family.endChild(0);
      await family.parent.ready();
    },
  );

  test.serial(`${title}: tokens are kept side by side, none is rolled up (hole 12)`, async (t) => {
    const at = await namespaceOf(t, topology);
    await beginTerm(t, at);
    const family = await Family.start(at);
    for (const ordinal of range(3)) {
      await family.parent.waitFor([family.single(ordinal)]);
      await family.endChild(ordinal);
      await family.parent.ready();
      await family.parent.claim();
    }
    t.is((await family.parent.readies()).length, 3);
  });
});
