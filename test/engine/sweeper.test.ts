import test from "ava";
import fc from "fast-check";
import { DueTimers } from "../../engine/due-timers.ts";
import { Sweeper } from "../../engine/sweeper.ts";
import type { HeaderList } from "../../shared/jetstream/headers.ts";
import { encodeReady, type Ready } from "../../shared/messages.ts";
import { HEADERS } from "../../shared/subjects.ts";
import { Barrier, beginTerm, type Namespace, namespaceOf } from "../helpers/engine.ts";
import { FakeRun } from "../helpers/fake-run.ts";
import { forEachTopology, type TestTopology } from "../helpers/nats.ts";
import { until } from "../helpers/until.ts";
import { FakeServices, settle, storedMessage } from "./fakes.ts";

/** Registers a sleep that is due at some time. */
async function sleepUntil(
  { link }: Namespace,
  run: FakeRun,
  dueAt: number,
  more: HeaderList = [],
): Promise<Ready> {
  await run.suspend();
  const ready: Ready = {
    answers: run.tail,
    startSequence: run.startSequence,
    isChild: false,
    because: { timer: dueAt },
  };
  const outcome = await link.publisher.guardedPublish(`${run.prefix}.timer`, encodeReady(ready), {
    expect: run.tail,
    expectSubject: run.history,
    headers: [
      [HEADERS.schedule, `@at ${new Date(dueAt).toISOString()}`],
      [HEADERS.scheduleTarget, `${run.prefix}.token.ready`],
      ...more,
    ],
  });
  if (!outcome.ok) throw new Error(`The timer was not stored: ${outcome.kind}`);
  return ready;
}

/** Lets the log refuse messages as large as a firing that carries such a header. */
const LARGE: HeaderList = [["Test-Padding", "x".repeat(3_000)]];

async function setLargest(at: Namespace, stream: string, bytes: number): Promise<void> {
  const state = await at.link.reader.streamState(stream);
  await at.link.requests.ask({
    subject: `$JS.API.STREAM.UPDATE.${stream}`,
    payload: JSON.stringify({ ...state?.config, max_msg_size: bytes }),
    what: "an update",
    receive: () => "done",
  });
}

forEachTopology((title, start, inTurn) => {
  let topology: TestTopology;

  test.before(async () => {
    topology = await start();
  });
  test.after.always(() => topology?.stop());

  test(
    `${title}: a timer that the server refused to fire is mended`,
    inTurn(async (t) => {
      const at = await namespaceOf(t, topology);
      const { term } = await beginTerm(t, at);
      const [stuck, gone, fine] = [
        await new FakeRun(at.link, at.names, { runId: `stuck-${title}` }).start(),
        await new FakeRun(at.link, at.names, { runId: `gone-${title}` }).start(),
        await new FakeRun(at.link, at.names, { runId: `fine-${title}` }).start(),
      ];
      const dueAt = Date.now() + 1_000;
      const ready = await sleepUntil(at, stuck, dueAt, LARGE);
      await sleepUntil(at, gone, dueAt, LARGE);
      await sleepUntil(at, fine, dueAt);
      for (const { stream } of [stuck, gone]) await setLargest(at, stream, 2_000);
      await until(() => term.status.timers.timers >= 3);
      await gone.claim(); // it went on for another reason; its timer is stuck all the same
      await until(async () => (await fine.readies()).length === 1);
      t.deepEqual(await stuck.readies(), []);
      await until(() => term.status.timers.mended === 1, { withinMs: 20_000 });
      t.deepEqual(await stuck.ready(), ready);
      for (const { stream, prefix } of [stuck, gone])
        await until(
          async () => (await at.link.reader.lastFor(stream, `${prefix}.timer`)) === undefined,
        );
      t.deepEqual(await gone.readies(), []);
      t.is((await fine.readies()).length, 1);
      t.is(term.status.timers.timers, 0);
      for (const { stream } of [stuck, gone]) await setLargest(at, stream, -1);
    }),
  );

  test(
    `${title}: a newer timer is not removed with the stuck one`,
    inTurn(async (t) => {
      const at = await namespaceOf(t, topology);
      const barrier = new Barrier("engine-before-ready");
      const { term } = await beginTerm(t, at, barrier);
      const run = await new FakeRun(at.link, at.names, { runId: `renewed-${title}` }).start();
      await sleepUntil(at, run, Date.now() + 500, LARGE);
      await setLargest(at, run.stream, 2_000);
      barrier.arm();
      await barrier.reached; // it is about to be mended
      await setLargest(at, run.stream, -1);
      await run.claim();
      const later = Date.now() + 3_600_000;
      await sleepUntil(at, run, later);
      barrier.open();
      const purges = async (): Promise<boolean> => term.status.timers.cleared === 1;
      await until(purges);
      const stored = await at.link.reader.lastFor(run.stream, `${run.prefix}.timer`);
      t.is(stored?.headers.last(HEADERS.schedule), `@at ${new Date(later).toISOString()}`);
      t.deepEqual(await run.readies(), []);
      t.is(term.status.timers.mended, 0);
    }),
  );
});

test("a timer that was replaced since is left alone", async (t) => {
  const fake = new FakeServices();
  const { clock, names } = fake;
  const { prefix } = names.run({ taskName: "t", runId: "r" });
  const subject = `${prefix}.timer`;
  const at = (dueAt: number): HeaderList => [
    [HEADERS.schedule, `@at ${new Date(dueAt).toISOString()}`],
  ];
  const data = encodeReady({
    answers: 4,
    startSequence: 1,
    isChild: false,
    because: { timer: 1 },
  });
  let last = 5;
  const sweeper = new Sweeper(fake.services, {
    last: async () => storedMessage(last, subject, { data }),
  });
  sweeper.note(0, storedMessage(5, subject, { headers: at(clock.now()) }));
  last = 9; // the follower is not there yet
  sweeper.start();
  const pass = async (ms: number): Promise<void> => {
    for (let i = 0; i < ms; i += 500) {
      clock.advance(500);
      await settle();
    }
  };
  await pass(10_000);
  t.is(sweeper.status.timers, 0);
  t.deepEqual(fake.readies, []);
  sweeper.note(0, storedMessage(9, subject, { headers: at(clock.now()) }));
  await pass(4_500);
  t.deepEqual(fake.readies, []);
  await pass(1_500);
  t.is(fake.readies.length, 1);
  t.is(fake.readies[0]?.answers, 4);
  sweeper.close();
});

test("due timers come out in order, newer ones replace older ones", (t) => {
  const step = fc.oneof(
    fc.record({ subject: fc.nat(8), dueAt: fc.nat(50) }),
    fc.record({ now: fc.nat(60), limit: fc.integer({ min: 1, max: 5 }) }),
    fc.record({ remove: fc.nat(8) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const timers = new DueTimers(0);
      const model = new Map<string, { sequence: number; dueAt: number }>();
      let sequence = 0;
      for (const each of steps) {
        if ("subject" in each) {
          const subject = `s${each.subject}`;
          const dueAt = each.dueAt * 100;
          sequence++;
          timers.set({ subject, shard: 0, sequence, dueAt });
          timers.set({ subject, shard: 0, sequence: sequence - 1, dueAt: 0 }); // told of again
          model.set(subject, { sequence, dueAt });
        } else if ("remove" in each) {
          const found = [...timers.values()].find(({ subject }) => subject === `s${each.remove}`);
          if (found) timers.delete(found);
          model.delete(`s${each.remove}`);
        } else {
          const now = each.now * 100;
          const due = timers.takeDue(now, each.limit);
          const expected = [...model.values()].map(({ dueAt }) => dueAt).filter((at) => at <= now);
          t.deepEqual(
            due.map(({ dueTick }) => dueTick * 100),
            expected.sort((a, b) => a - b).slice(0, each.limit),
          );
          for (const timer of due) {
            t.is(model.get(timer.subject)?.sequence, timer.sequence);
            model.delete(timer.subject);
          }
        }
        t.is(timers.size, model.size);
        const next = Math.min(...[...model.values()].map(({ dueAt }) => dueAt));
        t.is(timers.nextDueAt, model.size === 0 ? undefined : next);
      }
    }),
  );
});

test("a timer that is replaced over and over takes no more memory", (t) => {
  const timers = new DueTimers(0);
  for (let i = 1; i <= 200_000; i++)
    timers.set({ subject: `s${i % 10}`, shard: 0, sequence: i, dueAt: 1e9 + i });
  t.is(timers.size, 10);
  t.true(timers.slots < 5_000);
});
