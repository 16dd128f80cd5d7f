import test, { type ExecutionContext } from "ava";
import { deleteConsumer, deleteStream, ensureConsumer } from "../../../shared/jetstream/admin.ts";
import { callApi } from "../../../shared/jetstream/api.ts";
import type { NatsLink, NatsOptions } from "../../../shared/jetstream/connection.ts";
import type { DeliveredMessage } from "../../../shared/jetstream/delivery.ts";
import { type PullEnd, Puller, type PullRequest } from "../../../shared/jetstream/puller.ts";
import {
  forEachTopology,
  startTestCluster,
  startTestServer,
  stopTopologies,
  type TestTopology,
} from "../../helpers/nats.ts";
import { standStillWhilePublishing } from "../../helpers/standstill.ts";
import { until } from "../../helpers/until.ts";
import { bytes, leaderOf, openLink, openStream, text } from "./fixtures.ts";

test.after.always(stopTopologies);

/** A request and what came of it so far. */
class Pull {
  readonly messages: DeliveredMessage[] = [];
  readonly ended: Promise<PullEnd>;
  end: PullEnd | undefined;

  constructor(puller: Puller, request: Partial<PullRequest> = {}) {
    this.ended = new Promise((resolve) => {
      puller.request({
        batch: 10,
        expiresMs: 30_000,
        ...request,
        onMessage: (message) => {
          if (this.end !== undefined) throw new Error("a message came after the end");
          this.messages.push(message);
        },
        onEnd: (end) => {
          if (this.end !== undefined) throw new Error("it ended twice");
          this.end = end;
          resolve(end);
        },
      });
    });
  }

  get sequences(): number[] {
    return this.messages.map(({ streamSequence }) => streamSequence);
  }
}

/**
 * How a short request ends. One whose end does not come for a second counts as lost, which a busy
 * machine can make of any: then another one is made.
 */
async function endOf(start: () => Pull): Promise<PullEnd> {
  const end = await start().ended;
  return end.reason === "lost" ? endOf(start) : end;
}

interface Setup {
  link: NatsLink;
  stream: string;
  consumer: string;
  prefix: string;
  puller: Puller;
}

async function setUp(
  t: ExecutionContext,
  servers: TestTopology,
  options: { ackWaitMs?: number; link?: Partial<NatsOptions> } = {},
): Promise<Setup> {
  const link = await openLink(t, servers, options.link);
  const { stream, prefix } = await openStream(t, link, servers);
  const consumer = "task";
  await ensureConsumer(link.requests, stream, {
    name: consumer,
    filterSubjects: [`${prefix}.*.ready`, `${prefix}.*.start`],
    ackWaitMs: options.ackWaitMs ?? 30_000,
  });
  const puller = new Puller(link, { stream, consumer });
  // The servers of a cluster get to know one after the other who answers for a consumer.
  await until(async () => (await new Pull(puller, { noWait: true }).ended).reason === "empty");
  return { link, stream, consumer, prefix, puller };
}

async function publish({ link, prefix }: Setup, count: number): Promise<void> {
  for (let i = 0; i < count; i++)
    await link.publisher.publish(`${prefix}.${i}.start`, bytes(`${i}`), [["Kind", "K"]]);
}

forEachTopology((title, topology) => {
  test(`${title}: a request ends when as many messages came as were asked for, and more are left`, async (t) => {
    const setup = await setUp(t, await topology());
    await publish(setup, 3);
    await setup.link.publisher.publish(`${setup.prefix}.x.other`, bytes(""));
    const pull = new Pull(setup.puller, { batch: 2 });
    t.deepEqual(await pull.ended, { missing: 0, reason: "complete", description: "" });
    t.deepEqual(pull.sequences, [1, 2]);
    const [first, second] = pull.messages;
    t.is(first?.subject, `${setup.prefix}.0.start`);
    t.is(text(second?.data), "1");
    t.is(second?.headers.get("Kind"), "K");
    t.like(second, { stream: setup.stream, consumer: "task", deliveryCount: 1, pending: 1 });
    const stored = await setup.link.reader.get(setup.stream, 2, { leader: true });
    t.true(Math.abs((stored?.timeMs ?? 0) - (second?.timeMs ?? 0)) < 0.01);
    t.true((second?.receivedAt ?? 0) >= (second?.requestedAt ?? Infinity));
    t.is(setup.puller.openCount, 0);
  });

  test(`${title}: a request without messages expires, or ends at once if it is not to wait`, async (t) => {
    const setup = await setUp(t, await topology());
    const started = setup.link.clock.monotonic();
    t.like(await endOf(() => new Pull(setup.puller, { expiresMs: 150 })), {
      missing: 10,
      reason: "expired",
    });
    t.true(setup.link.clock.monotonic() - started >= 100);
    await publish(setup, 2);
    // The consumer's own replica may not have them yet, so "empty" proves nothing on R3.
    const received: number[] = [];
    await until(async () => {
      const some = new Pull(setup.puller, { noWait: true });
      const { missing } = await some.ended;
      t.is(missing, 10 - some.messages.length);
      received.push(...some.sequences);
      return received.length === 2;
    });
    t.deepEqual(received, [1, 2]);
    const none = await new Pull(setup.puller, { noWait: true }).ended;
    t.like(none, { missing: 10, reason: "empty" });
  });

  test(`${title}: messages of several open requests are each given to their own`, async (t) => {
    const setup = await setUp(t, await topology());
    const pulls = Array.from({ length: 5 }, () => new Pull(setup.puller, { batch: 20 }));
    await publish(setup, 100);
    for (const pull of pulls) t.like(await pull.ended, { missing: 0, reason: "complete" });
    const all = pulls.flatMap((pull) => pull.sequences).sort((a, b) => a - b);
    t.deepEqual(
      all,
      Array.from({ length: 100 }, (_, i) => i + 1),
    );
    // Lanes are used again.
    const again = (): Pull => new Pull(setup.puller, { batch: 1, expiresMs: 100 });
    t.like(await endOf(again), { missing: 1, reason: "expired" });
  });

  test(`${title}: what is given back, or not acknowledged in time, is delivered again`, async (t) => {
    const setup = await setUp(t, await topology(), { ackWaitMs: 4_000 });
    await publish(setup, 3);
    const first = new Pull(setup.puller, { batch: 3 });
    await first.ended;
    const [acknowledged, givenBack, kept] = first.messages;
    acknowledged?.ack();
    givenBack?.nak();
    const keep = setInterval(() => kept?.progress(), 200);
    t.teardown(() => clearInterval(keep));
    const second = new Pull(setup.puller, { batch: 1 });
    await second.ended;
    t.deepEqual(second.sequences, [2]);
    t.is(second.messages[0]?.deliveryCount, 2);
    // Not acknowledged: it alone comes a third time after the time that the consumer waits.
    const third = new Pull(setup.puller, { batch: 1 });
    await third.ended;
    t.deepEqual(third.sequences, [2]);
    third.messages[0]?.ack();
    clearInterval(keep);
    const fourth = new Pull(setup.puller, { batch: 1 });
    await fourth.ended;
    t.deepEqual(fourth.sequences, [3]);
    fourth.messages[0]?.nak(2_000);
    const early = await new Pull(setup.puller, { batch: 1, noWait: true }).ended;
    t.is(early.reason, "empty");
    const late = new Pull(setup.puller, { batch: 1 });
    await late.ended;
    t.deepEqual(late.sequences, [3]);
  });

  test(`${title}: a request ends when its consumer is deleted, and the next one finds nobody`, async (t) => {
    const setup = await setUp(t, await topology());
    const { stream, consumer } = setup;
    const pull = new Pull(setup.puller);
    await setup.link.nc.flush();
    await deleteConsumer(setup.link.requests, { stream, consumer });
    t.like(await pull.ended, { missing: 10, reason: "consumer-deleted" });
    t.like(await new Pull(setup.puller).ended, { missing: 10, reason: "no-responders" });
    await deleteStream(setup.link.requests, stream);
    t.like(await new Pull(setup.puller).ended, { missing: 10, reason: "no-responders" });
  });

  test(`${title}: a request that the server does not accept ends as refused, with the reason`, async (t) => {
    const { link, stream } = await setUp(t, await topology());
    const config = { name: "small", durable_name: "small", ack_policy: "explicit", max_batch: 5 };
    const request = { stream_name: stream, config, action: "create" };
    await callApi(link.requests, `CONSUMER.CREATE.${stream}.small`, request);
    const end = await new Pull(new Puller(link, { stream, consumer: "small" })).ended;
    t.like(end, { missing: 10, reason: "refused" });
    t.regex(end.description, /MaxRequestBatch/);
  });

  test(`${title}: requests that end while messages come hand over each of them once`, async (t) => {
    const setup = await setUp(t, await topology());
    const pulls: Pull[] = [];
    let isOver = false;
    const pullAgain = async (): Promise<void> => {
      while (!isOver) {
        const pull = new Pull(setup.puller, { batch: 50, maxBytes: 3_000, expiresMs: 100 });
        pulls.push(pull);
        await pull.ended;
        for (const message of pull.messages) message.ack();
      }
    };
    const loops = [pullAgain(), pullAgain(), pullAgain()];
    await Promise.all(
      Array.from({ length: 600 }, (_, i) =>
        setup.link.publisher.publish(`${setup.prefix}.${i}.start`, new Uint8Array(200)),
      ),
    );
    const count = () => pulls.reduce((sum, pull) => sum + pull.messages.length, 0);
    await until(() => count() >= 600);
    isOver = true;
    await Promise.all(loops);
    // None twice: with an ack_wait of 30 s a lost one would not have come again either.
    t.deepEqual(
      pulls.flatMap((pull) => pull.sequences).sort((a, b) => a - b),
      Array.from({ length: 600 }, (_, i) => i + 1),
    );
    for (const pull of pulls) t.is(pull.end?.missing, 50 - pull.messages.length);
  });

  test(`${title}: a request limited in bytes ends when they are reached`, async (t) => {
    const setup = await setUp(t, await topology());
    for (let i = 0; i < 3; i++)
      await setup.link.publisher.publish(`${setup.prefix}.${i}.start`, new Uint8Array(1_000));
    const pull = new Pull(setup.puller, { maxBytes: 2_500 });
    t.is((await pull.ended).reason, "full");
    t.deepEqual(pull.sequences, [1, 2]);
    const tooSmall = new Pull(setup.puller, { maxBytes: 500 });
    t.like(await tooSmall.ended, { reason: "full", missing: 10 });
  });

  test(`${title}: closing ends all requests and takes nothing that is published later`, async (t) => {
    const setup = await setUp(t, await topology());
    const pulls = [new Pull(setup.puller), new Pull(setup.puller)];
    await publish(setup, 3);
    await until(() => pulls.flatMap((pull) => pull.sequences).length === 3);
    await setup.puller.close();
    for (const pull of pulls) t.is((await pull.ended).reason, "closed");
    t.is((await new Pull(setup.puller).ended).reason, "closed");
    await setup.puller.close();
    await publish(setup, 1);
    const other = new Puller(setup.link, { stream: setup.stream, consumer: setup.consumer });
    const pull = new Pull(other, { batch: 1 });
    await pull.ended;
    t.deepEqual(pull.sequences, [4]); // nobody else took it
  });
});

test("requests end when the connection is back, and their messages are not taken by the dead", async (t) => {
  const server = await startTestServer();
  t.teardown(() => server.stop());
  const setup = await setUp(t, server, { ackWaitMs: 60_000 });
  const before = [new Pull(setup.puller), new Pull(setup.puller)];
  await setup.link.nc.flush();
  await server.kill();
  await until(() => !setup.link.isConnected);
  const during = new Pull(setup.puller);
  t.is(setup.puller.openCount, 3);
  await server.start();
  for (const pull of [...before, during])
    t.deepEqual(await pull.ended, { missing: 10, reason: "reconnected", description: "" });
  await publish(setup, 3);
  const after = new Pull(setup.puller, { batch: 3 });
  await after.ended;
  t.deepEqual(after.sequences, [1, 2, 3]);
  t.is(before[0]?.messages.length, 0);
});

test("R3: a request left at the servers by a reconnect takes no message", async (t) => {
  const cluster = await startTestCluster();
  t.teardown(() => cluster.stop());
  const setup = await setUp(t, cluster, { ackWaitMs: 60_000 });
  const { stream, consumer } = setup;
  const waitingPulls = async (): Promise<unknown> => {
    const subject = `CONSUMER.INFO.${stream}.${consumer}`;
    return (await callApi(setup.link.requests, subject, undefined)).num_waiting;
  };
  for (let round = 1; round <= 5; round++) {
    const before = new Pull(setup.puller);
    await until(async () => (await waitingPulls()) !== 0);
    await setup.link.nc.reconnect();
    t.is((await before.ended).reason, "reconnected");
    await setup.link.publisher.guardedPublish(`${setup.prefix}.${round}.start`, bytes(""), {
      expect: 0,
    });
    const after = new Pull(setup.puller, { batch: 1 });
    t.is((await after.ended).reason, "complete");
    t.deepEqual(after.sequences, [round]);
    after.messages[0]?.ack();
  }
});

test("requests end when the connection is closed", async (t) => {
  const server = await startTestServer();
  t.teardown(() => server.stop());
  const setup = await setUp(t, server);
  const pull = new Pull(setup.puller);
  await setup.link.close();
  t.is((await pull.ended).reason, "closed");
  t.is((await new Pull(setup.puller).ended).reason, "closed");
});

test("a message that came while the process stood still is received, however long that was", async (t) => {
  const server = await startTestServer();
  t.teardown(() => server.stop());
  const setup = await setUp(t, server);
  const pull = new Pull(setup.puller, { heartbeatMs: 200 });
  await setup.link.nc.flush(); // the request is there
  // More than two heartbeats are missed, and the message comes meanwhile.
  const subject = `${setup.prefix}.1.start`;
  await standStillWhilePublishing(t, { port: server.port, subject, forMs: 1_500 });
  await until(() => pull.messages.length === 1);
  t.is(pull.end, undefined);
});

test("a request to a paused server ends as lost when its heartbeats fail to come", async (t) => {
  const server = await startTestServer();
  t.teardown(() => server.stop());
  const setup = await setUp(t, server, { link: { pingIntervalMs: 60_000 } });
  const heartbeats: number[] = [];
  const pull = new Pull(setup.puller, {
    expiresMs: 600_000,
    heartbeatMs: 1_000,
    onHeartbeat: ({ streamSequence }) => heartbeats.push(streamSequence),
  });
  const short = new Pull(setup.puller, { expiresMs: 500 });
  await until(() => heartbeats.length > 0);
  server.pause();
  t.like(await pull.ended, { missing: 10, reason: "lost" });
  t.is((await short.ended).missing, 10);
  server.resume();
  // The lost request still waits at the server. Its messages must not vanish into it.
  await publish(setup, 1);
  const next = new Pull(setup.puller, { batch: 1 });
  await next.ended;
  t.deepEqual(next.sequences, [1]);
});

test("R3: requests end and go on when servers are killed, and every message is delivered", async (t) => {
  const cluster = await startTestCluster();
  t.teardown(() => cluster.stop());
  const setup = await setUp(t, cluster, { ackWaitMs: 2_000 });
  const { leader } = await leaderOf(setup.link, cluster, setup.stream);
  const seen = new Set<number>();
  const reasons = new Set<string>();
  let isOver = false;
  const pullAgain = async (): Promise<void> => {
    while (!isOver) {
      const pull = new Pull(setup.puller, { batch: 5, expiresMs: 3_000, heartbeatMs: 500 });
      const { reason } = await pull.ended;
      reasons.add(reason);
      for (const message of pull.messages) {
        seen.add(message.streamSequence);
        message.ack();
      }
      if (reason === "no-responders") await setup.link.nc.flush().catch(() => {});
    }
  };
  const loops = [pullAgain(), pullAgain()];
  let lastSequence = 0;
  for (let i = 0; i < 60; i++) {
    if (i === 20) await leader.kill();
    if (i === 40) await leader.start();
    const subject = `${setup.prefix}.${i}.start`;
    const outcome = await setup.link.publisher.guardedPublish(subject, bytes(`${i}`), {
      expect: 0,
    });
    t.true(outcome.ok || outcome.uncertain);
    if (outcome.ok) lastSequence = outcome.sequence;
  }
  await until(() => seen.size === 60, { withinMs: 30_000, what: "all 60 messages were delivered" });
  t.true(seen.has(lastSequence));
  isOver = true;
  await setup.puller.close();
  await Promise.all(loops);
});
