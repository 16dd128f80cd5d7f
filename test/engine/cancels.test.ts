import test from "ava";
import type { NatsLink } from "../../shared/jetstream/connection.ts";
import { silentLog } from "../../shared/logger.ts";
import { encodeCancel } from "../../shared/messages.ts";
import { beginTerm, namespaceOf, publishEvent } from "../helpers/engine.ts";
import { FakeRun } from "../helpers/fake-run.ts";
import { forEachTopology, type TestTopology } from "../helpers/nats.ts";
import { until } from "../helpers/until.ts";

async function cancel(link: NatsLink, run: FakeRun): Promise<number> {
  const { startSequence, prefix } = run;
  const body = encodeCancel({ startSequence, by: "test", reason: "", isTermination: false });
  const outcome = await link.publisher.guardedPublish(`${prefix}.cancel`, body, {
    expect: startSequence,
    expectSubject: `${prefix}.token.start`,
  });
  if (!outcome.ok) throw new Error(`The cancel was not stored: ${outcome.kind}`);
  return outcome.sequence;
}

forEachTopology((title, start) => {
  let topology: TestTopology;

  test.before(async () => {
    topology = await start();
  });
  test.after.always(() => topology?.stop());

  for (const isChild of [false, true])
    test.serial(
      `${title}: a ${isChild ? "child" : "run"} that only sleeps is told of its cancel (hole 9)`,
      async (t) => {
        const at = await namespaceOf(t, topology);
        const { term } = await beginTerm(t, at);
        const run = await new FakeRun(at.link, at.names, { isChild }).start();
        const answers = await run.suspend(); // a sleep registers nothing with the engine
        const sequence = await cancel(at.link, run);
        t.deepEqual(await run.ready(), {
          answers,
          startSequence: run.startSequence,
          isChild,
          because: { cancel: sequence },
        });
        await run.end();
        await until(() => term.status.cancels.open === 0);
        t.is((await run.readies()).length, 1);
      },
    );

  test.serial(
    `${title}: a run that is active is told when it waits, once for each wait`,
    async (t) => {
      const at = await namespaceOf(t, topology);
      const { term } = await beginTerm(t, at);
      const run = await new FakeRun(at.link, at.names).start();
      await cancel(at.link, run); // queued
      await until(() => term.status.cancels.open === 1);
      await run.claim(); // active
      await run.waitFor([{ kind: "event", name: `none.${run.tail}`, after: 0 }]);
      t.truthy((await run.ready()).because.cancel);
      await run.claim();
      await run.suspend(); // it did not look at the token's reason
      t.truthy((await run.ready()).because.cancel);
      t.is((await run.readies()).length, 2);
      await run.claim();
      await run.end();
      await until(() => term.status.cancels.open === 0);
    },
  );

  test.serial(`${title}: a new term finds the cancels that are open, and no others`, async (t) => {
    const at = await namespaceOf(t, topology);
    const [ended, sleeping] = [
      await new FakeRun(at.link, at.names).start(),
      await new FakeRun(at.link, at.names).start(),
    ];
    await cancel(at.link, ended);
    await ended.end();
    await sleeping.suspend();
    const sequence = await cancel(at.link, sleeping);
    const { term } = await beginTerm(t, at);
    t.deepEqual((await sleeping.ready()).because, { cancel: sequence });
    await sleeping.end();
    await until(() => term.status.cancels.open === 0);
    t.deepEqual(await ended.readies(), []);
  });

  test.serial(`${title}: a paused run is told of a cancel that it has not met`, async (t) => {
    const at = await namespaceOf(t, topology);
    const { term } = await beginTerm(t, at);
    const [fresh, met] = [
      await new FakeRun(at.link, at.names).start(),
      await new FakeRun(at.link, at.names).start(),
    ];
    await fresh.commit([{ kind: "paused", reason: "test", details: null }], "paused");
    await cancel(at.link, fresh);
    t.truthy((await fresh.ready()).because.cancel);
    await fresh.end();
    await met.commit([{ kind: "cancel-requested", by: "test", reason: "" }], "running");
    await met.commit([{ kind: "paused", reason: "test", details: null }], "paused");
    await cancel(at.link, met);
    await until(() => term.status.cancels.open === 0);
    t.deepEqual(await met.readies(), []);
  });

  test.serial(`${title}: the request goes with the run when that is purged`, async (t) => {
    const at = await namespaceOf(t, topology);
    const { term } = await beginTerm(t, at);
    const run = await new FakeRun(at.link, at.names).start();
    await cancel(at.link, run);
    await until(() => term.status.cancels.open === 1);
    const { stream, prefix } = run;
    await at.link.requests.ask({
      subject: `$JS.API.STREAM.PURGE.${stream}`,
      payload: JSON.stringify({ filter: `${prefix}.>` }),
      what: "a purge",
      receive: () => "done",
    });
    const again = await new FakeRun(at.link, at.names, run.address).start();
    await again.suspend();
    await until(() => term.status.cancels.open === 0);
    t.deepEqual(await again.readies(), []);
  });

  test.serial(`${title}: unreadable cancels harm nobody`, async (t) => {
    const at = await namespaceOf(t, topology);
    const errors: string[] = [];
    const error = (text: string) => void errors.push(text);
    await beginTerm(t, at, { log: { ...silentLog, error } });
    const broken = await new FakeRun(at.link, at.names).start();
    await at.link.publisher.publish(`${broken.prefix}.cancel`, Uint8Array.from([1, 0xff]));
    await until(() => errors.length === 1);
    const run = await new FakeRun(at.link, at.names).start();
    const name = `after.${run.startSequence}.${title}`;
    await run.waitFor([{ kind: "event", name, after: 0 }]);
    await publishEvent(at, name);
    await run.ready();
    t.pass();
  });
});
