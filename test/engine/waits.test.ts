import test from "ava";
import { EventMessage, RecentEvents } from "../../engine/recent-events.ts";
import { Waits } from "../../engine/waits.ts";
import type { LeafCondition } from "../../shared/entries.ts";
import { UnavailableError } from "../../shared/errors.ts";
import type { StoredMessage } from "../../shared/jetstream/reader.ts";
import { encodeWait, type WatchedLeaf } from "../../shared/messages.ts";
import { STATUS_HEADER } from "../../shared/subjects.ts";
import { FakeServices, settle, storedMessage } from "./fakes.ts";

const parent = { taskName: "t", runId: "r" };

/** A registry whose looks back a test answers by hand. */
class Registry {
  readonly fake = new FakeServices();
  readonly recent = new RecentEvents(100, { events: 10, bytes: 1_000 });
  readonly waits: Waits;
  lookBack: () => Promise<number[]> = async () => [];
  history: StoredMessage | undefined;
  #sequence = 100;

  constructor(logEnd = 0) {
    this.waits = new Waits({
      services: this.fake.services,
      reads: {
        last: async (_stream, subject) => (subject.endsWith(".h") ? this.history : undefined),
      },
      lookBack: { find: () => this.lookBack() },
      recent: this.recent,
      childrenPosition: () => 1,
      logEnd: () => logEnd,
      eventsStream: { created: "2026-01-01", endedAt: Number.MAX_SAFE_INTEGER },
    });
  }

  register(leaves: readonly LeafCondition[], passMs = 1): number {
    const waitSequence = this.#sequence++;
    const data = encodeWait({
      waitSequence,
      startSequence: 1,
      isChild: false,
      leaves: leaves.map(
        (condition, i): WatchedLeaf => ({
          key: `w${i}`,
          leaf: 0,
          condition: condition as WatchedLeaf["condition"],
        }),
      ),
      consumed: [],
      passMs,
    });
    const { prefix } = this.fake.names.run(parent);
    this.waits.register(storedMessage(this.#sequence++, `${prefix}.wait`, { data }));
    return waitSequence;
  }

  publish(name: string): number {
    const sequence = this.recent.lastSequence + 1;
    this.waits.offer(
      new EventMessage({ sequence, name, data: new Uint8Array(0), contentType: "" }),
    );
    return sequence;
  }

  endChild(runId: string): void {
    const { prefix } = this.fake.names.run({ taskName: "kid", runId });
    const headers = [[STATUS_HEADER, "completed"]] as const;
    this.waits.noteChild(storedMessage(this.#sequence++, `${prefix}.c`, { headers }));
  }
}

const event = (name: string, after: number): LeafCondition => ({ kind: "event", name, after });
const child = (i: number): LeafCondition => ({ kind: "child", taskName: "kid", runId: `k${i}` });

test("no token is published before all looks back are done", async (t) => {
  const registry = new Registry();
  let answer: (found: number[]) => void = () => {};
  registry.lookBack = () =>
    new Promise((resolve) => {
      answer = resolve;
    });
  // The first leaf's past is read from the stream, the second's is all in memory.
  const waitSequence = registry.register([event("order.*", 50), event("order.paid", 99)]);
  await settle();
  const sequence = registry.publish("order.paid");
  await settle();
  t.deepEqual(registry.fake.readies, []); // the event belongs to the first leaf, unless it has one
  answer([60]);
  await settle();
  t.deepEqual(registry.fake.readies, [
    {
      answers: waitSequence,
      startSequence: 1,
      isChild: false,
      because: {
        events: [
          ["w0", 0, 60],
          ["w1", 0, sequence],
        ],
      },
    },
  ]);
});

test("a look back that fails is repeated", async (t) => {
  const registry = new Registry();
  let tries = 0;
  registry.lookBack = async () => {
    if (tries++ === 0) throw new UnavailableError("not now");
    return [60];
  };
  registry.register([event("order.paid", 50)]);
  await settle();
  t.deepEqual(registry.fake.readies, []);
  registry.fake.clock.advance(100);
  await settle();
  t.deepEqual(registry.fake.readies[0]?.because, { events: [["w0", 0, 60]] });
});

test("events that come in one go wake the run once", async (t) => {
  const registry = new Registry();
  registry.register([event("a", 99), event("b", 99)]);
  await settle();
  const [a, b] = [registry.publish("a"), registry.publish("b")];
  await settle();
  t.deepEqual(
    registry.fake.readies.map(({ because }) => because.events),
    [
      [
        ["w0", 0, a],
        ["w1", 0, b],
      ],
    ],
  );
});

test("a registration of before the term is dropped when its run has gone on", async (t) => {
  for (const [history, expected] of [
    [storedMessage(100, "h"), 1],
    [storedMessage(110, "h"), 0],
    [undefined, 0],
  ] as const) {
    const registry = new Registry(1_000);
    registry.history = history;
    registry.register([event("a", 99)]);
    await settle();
    t.is(registry.waits.status.pending, expected);
  }
});

test("registrations of runs that have gone on are cleared away", async (t) => {
  const registry = new Registry();
  registry.history = storedMessage(5, "h");
  const { names } = registry.fake;
  for (let i = 0; i < 10_001; i++) {
    const data = encodeWait({
      waitSequence: i % 2 === 0 ? 5 : 4,
      startSequence: 1,
      isChild: false,
      leaves: [{ key: "w", leaf: 0, condition: { kind: "event", name: "never", after: 99 } }],
      consumed: [],
      passMs: 1,
    });
    const { prefix } = names.run({ taskName: "t", runId: `r${i}` });
    registry.waits.register(storedMessage(i + 10, `${prefix}.wait`, { data }));
  }
  await settle();
  t.is(registry.waits.status.pending, 5_001);
});

test("ten thousand children awaited one by one make tens of tokens (hole 33)", async (t) => {
  const registry = new Registry();
  const { clock, readies } = registry.fake;
  t.is(readies.length, 0);
  const count = 10_000;
  const open = new Set(Array.from({ length: count }, (_, i) => i));
  const ended = new Set<number>();
  const passMs = 5;
  let awaited: number[] = [];
  const suspend = (): void => {
    awaited = [...open];
    registry.register(awaited.map(child), passMs);
    for (const i of ended) if (open.has(i)) registry.endChild(`k${i}`); // as the look back would
  };
  suspend();
  await settle();
  let seen = 0;
  let passEndsAt = Number.POSITIVE_INFINITY;
  for (let ms = 0; open.size > 0 && ms < 20_000; ms++) {
    for (let i = 2 * ms; i < Math.min(2 * ms + 2, count); i++) {
      ended.add(i);
      registry.endChild(`k${i}`);
    }
    clock.advance(1);
    await Promise.resolve();
    if (registry.fake.written.length > seen) {
      seen = registry.fake.written.length;
      const { because } = registry.fake.readies[seen - 1] ?? {};
      for (const [key] of because?.children ?? []) open.delete(awaited[Number(key.slice(1))] ?? -1);
      passEndsAt = ms + passMs;
    }
    if (ms === passEndsAt) {
      suspend();
      await settle();
    }
  }
  t.is(open.size, 0);
  t.log(`${seen} tokens for ${count} children that end within 5 s`);
  t.true(seen <= 60, `${seen} tokens`);
});

test("who waits for few children is not kept waiting for them", async (t) => {
  const registry = new Registry();
  for (let i = 0; i < 20; i++) {
    registry.fake.clock.advance(12); // a pass of 10 ms, and the way there and back
    registry.register([child(2 * i), child(2 * i + 1)], 10);
    await settle();
    registry.endChild(`k${2 * i}`);
    await settle();
    registry.fake.clock.advance(1);
    await settle();
    t.is(registry.fake.readies.length, i + 1);
  }
});

test("an event is not held back for the children beside it", async (t) => {
  const registry = new Registry();
  const children = Array.from({ length: 100 }, (_, i) => child(i));
  registry.register(children, 200);
  await settle();
  registry.endChild("k0");
  await settle();
  t.is(registry.fake.readies.length, 1);
  registry.register([...children.slice(1), event("stop", 99)], 200);
  await settle();
  registry.endChild("k1");
  await settle();
  t.is(registry.fake.readies.length, 1); // more children may end before the next token
  const sequence = registry.publish("stop");
  await settle();
  t.deepEqual(registry.fake.readies[1]?.because, {
    events: [["w99", 0, sequence]],
    children: [["w0", 0, [0]]],
  });
});
