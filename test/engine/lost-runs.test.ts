import test from "ava";
import type { HeaderList } from "../../shared/jetstream/headers.ts";
import { encodeReady, WAKE_LOST } from "../../shared/messages.ts";
import { HEADERS } from "../../shared/subjects.ts";
import { beginTerm, type Namespace, namespaceOf } from "../helpers/engine.ts";
import { FakeRun } from "../helpers/fake-run.ts";
import { forEachTopology, type TestTopology } from "../helpers/nats.ts";
import { until } from "../helpers/until.ts";

/** Registers a sleep of an hour for the last commit. */
async function setTimer({ link }: Namespace, run: FakeRun): Promise<void> {
  const dueAt = Date.now() + 3_600_000;
  const { prefix, history, tail, startSequence, isChild } = run;
  const body = encodeReady({ answers: tail, startSequence, isChild, because: { timer: dueAt } });
  const headers: HeaderList = [
    [HEADERS.schedule, `@at ${new Date(dueAt).toISOString()}`],
    [HEADERS.scheduleTarget, `${prefix}.token.ready`],
  ];
  const guard = { expect: tail, expectSubject: history, headers };
  const outcome = await link.publisher.guardedPublish(`${prefix}.timer`, body, guard);
  if (!outcome.ok) throw new Error(`The timer was not stored: ${outcome.kind}`);
}

async function purge({ link }: Namespace, { stream }: FakeRun, subject: string): Promise<void> {
  await link.requests.ask({
    subject: `$JS.API.STREAM.PURGE.${stream}`,
    payload: JSON.stringify({ filter: subject }),
    what: "a purge",
    receive: () => "done",
  });
}

const EVENT = { kind: "event", name: "order.paid", after: 0 } as const;

forEachTopology((title, start, inTurn) => {
  let topology: TestTopology;

  test.before(async () => {
    topology = await start();
  });
  test.after.always(() => topology?.stop());

  test(
    `${title}: runs that wait for what is not registered are woken, and others are left alone`,
    inTurn(async (t) => {
      const at = await namespaceOf(t, topology);
      const newRun = (name: string): Promise<FakeRun> =>
        new FakeRun(at.link, at.names, { runId: `${name}-${title}` }).start();
      const [bare, noTimer, noWait, child, asleep, heard, paused] = await Promise.all([
        newRun("bare"),
        newRun("no-timer"),
        newRun("no-wait"),
        new FakeRun(at.link, at.names, {
          runId: `child-${title}`,
          parent: await newRun("p"),
        }).start(),
        newRun("asleep"),
        newRun("heard"),
        newRun("paused"),
      ]);
      await Promise.all([bare, child].map((run) => run.suspend("timer")));
      await Promise.all([noTimer, noWait, heard].map((run) => run.suspend("timer wait")));
      await asleep.suspend("timer");
      for (const run of [noWait, asleep, heard]) await setTimer(at, run);
      for (const run of [noTimer, heard]) await run.register([EVENT]);
      await paused.commit([{ kind: "paused", reason: "why", details: null }], "paused");
      const { term } = await beginTerm(t, at);
      const lost = [bare, child, noTimer, noWait];
      for (const run of lost)
        t.deepEqual(await run.ready(), {
          answers: run.tail,
          startSequence: run.startSequence,
          isChild: run.isChild,
          because: { poke: WAKE_LOST },
        });
      const { mended } = term.status.lost;
      t.is(mended["no-registration"] + mended["no-timer"] + mended["no-wait"], lost.length);
      t.is(mended["no-wait"], 1);
      for (const run of [asleep, heard, paused]) t.deepEqual(await run.readies(), []);
    }),
  );

  test(
    `${title}: a run whose start is gone is told of and left alone`,
    inTurn(async (t) => {
      const at = await namespaceOf(t, topology);
      const told: string[] = [];
      const log = { debug() {}, info() {}, warn() {}, error: (text: string) => told.push(text) };
      await beginTerm(t, at, { log });
      const run = await new FakeRun(at.link, at.names, { runId: `input-${title}` }).start();
      await run.suspend("timer");
      await purge(at, run, `${run.prefix}.token.start`);
      await until(() => told.length > 0, { withinMs: 30_000 });
      t.regex(told.join(), /The start of a run is gone/);
      t.deepEqual(await run.readies(), []);
    }),
  );
});
