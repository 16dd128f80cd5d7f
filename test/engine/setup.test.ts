import { writeFileSync } from "node:fs";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { isOlder, setupNamespace } from "../../engine/setup.ts";
import { IncompatibleSetupError, InvalidInputError } from "../../shared/errors.ts";
import { callApi } from "../../shared/jetstream/api.ts";
import { connectNats, type NatsLink } from "../../shared/jetstream/connection.ts";
import { KvBucket } from "../../shared/jetstream/kv.ts";
import { Puller } from "../../shared/jetstream/puller.ts";
import { ensureTaskConsumer } from "../../shared/jetstream/task-consumer.ts";
import { encodeReady } from "../../shared/messages.ts";
import { readSetup } from "../../shared/setup.ts";
import { Names } from "../../shared/subjects.ts";
import { forEachTopology, startTestServer, type TestTopology } from "../helpers/nats.ts";
import { until } from "../helpers/until.ts";

async function linkTo(t: ExecutionContext, topology: TestTopology): Promise<NatsLink> {
  const link = await connectNats({ servers: topology.urls });
  t.teardown(() => link.close());
  return link;
}

forEachTopology((title, start) => {
  let topology: TestTopology;

  test.before(async () => {
    topology = await start();
  });
  test.after.always(() => topology?.stop());

  test.serial(`${title}: an unknown namespace is named, with what to do`, async (t) => {
    const link = await linkTo(t, topology);
    const error = await t.throwsAsync(readSetup(link, "nowhere"), {
      instanceOf: IncompatibleSetupError,
    });
    t.regex(error.message, /no namespace "nowhere".*nowhere_LOG_0.*contrail setup/);
  });

  test.serial(`${title}: two processes set one namespace up at once and agree`, async (t) => {
    const [one, two] = [await linkTo(t, topology), await linkTo(t, topology)];
    const { replicas } = topology;
    const setups = await Promise.all([
      setupNamespace(one, { shards: 3, replicas }),
      setupNamespace(two, { shards: 3, replicas }),
      setupNamespace(two, { replicas }).catch((error: unknown) => error),
    ]);
    t.deepEqual(setups[0], setups[1]);
    const read = await readSetup(one);
    t.is(read.shardCount, 3);
    t.is(read.claimTimeoutMs, 10_000);
    t.deepEqual(await setupNamespace(one), read);
    for (const name of [
      "contrail_LOG_0",
      "contrail_LOG_2",
      "contrail_EVENTS",
      "KV_contrail_engine",
    ])
      t.is((await one.reader.streamState(name))?.config.num_replicas, replicas);
  });

  test.serial(`${title}: the log is republished to live subjects without its shard`, async (t) => {
    const link = await linkTo(t, topology);
    const { names } = await readSetup(link);
    const run = { taskName: "pack item", runId: "a_1" };
    const seen: string[] = [];
    link.nc.subscribe(names.liveSubjects, {
      callback: (_error, message) => void seen.push(message.subject),
    });
    await link.nc.flush();
    const { prefix } = names.run(run);
    t.true((await link.publisher.publish(`${prefix}.token.start`, new Uint8Array(1))).ok);
    await until(() => seen.length === 1);
    t.deepEqual(seen, [names.liveSubject(run, "token.start")]);
  });

  test.serial(`${title}: a publisher of events can remove or delay none`, async (t) => {
    const link = await linkTo(t, topology);
    const payload = Buffer.from("1");
    t.true((await link.publisher.publish("events.a", payload)).ok);
    const refused = await Promise.all([
      link.publisher.publish("events.a", payload, [["Nats-Rollup", "all"]]),
      link.publisher.publish("events.a", payload, [["Nats-TTL", "1s"]]),
      link.publisher.publish("events.a", payload, [
        ["Nats-Schedule", "@every 1s"],
        ["Nats-Schedule-Target", "events.b"],
      ]),
    ]);
    t.deepEqual(
      refused.map((outcome) => !outcome.ok && outcome.kind),
      ["refused", "refused", "refused"],
    );
    const { eventsStream } = new Names("contrail", 3);
    for (const subject of [`STREAM.PURGE.${eventsStream}`, `STREAM.MSG.DELETE.${eventsStream}`])
      await t.throwsAsync(callApi(link.requests, subject, { seq: 1 }, { withinMs: 100 }), {
        message: /not permitted/,
      });
    t.is((await link.reader.streamState(eventsStream))?.messageCount, 1);
  });

  test.serial(
    `${title}: a lease in a bucket disappears by itself and a schedule fires`,
    async (t) => {
      const link = await linkTo(t, topology);
      const { names } = await readSetup(link);
      const bucket = new KvBucket(link, names.slotsBucket("durable"));
      t.true((await bucket.put("w1", Buffer.from("{}"), { expect: 0, timeToLiveMs: 1_000 })).ok);
      const { prefix, stream } = names.run({ taskName: "a", runId: "timed" });
      const body = encodeReady({
        answers: 7,
        startSequence: 1,
        isChild: false,
        because: { timer: 1 },
      });
      const outcome = await link.publisher.publish(`${prefix}.timer`, body, [
        ["Nats-Schedule", "@at 2020-01-01T00:00:00Z"],
        ["Nats-Schedule-Target", `${prefix}.token.ready`],
      ]);
      t.true(outcome.ok);
      await until(() => link.reader.lastFor(stream, `${prefix}.token.ready`));
      await until(async () => (await bucket.get("w1")) === undefined);
    },
  );

  test.serial(`${title}: a field that differs is refused by its name`, async (t) => {
    const link = await linkTo(t, topology);
    const fixed = await t.throwsAsync(setupNamespace(link, { shards: 5 }), {
      instanceOf: IncompatibleSetupError,
    });
    t.regex(fixed.message, /shards = 3, not 5/);
    const claims = setupNamespace(link, { claimTimeoutMs: 2_000 });
    t.regex((await t.throwsAsync(claims))?.message ?? "", /claimTimeoutMs = 10000, not 2000/);
    const state = await link.reader.streamState("contrail_LOG_1");
    const config = { ...state?.config, max_age: 3_600_000_000_000 };
    await callApi(link.requests, "STREAM.UPDATE.contrail_LOG_1", config);
    const limited = await t.throwsAsync(setupNamespace(link), {
      instanceOf: IncompatibleSetupError,
    });
    t.regex(limited.message, /contrail_LOG_1.*max_age is 3600000000000, expected 0/);
    await callApi(link.requests, "STREAM.UPDATE.contrail_LOG_1", { ...config, max_age: 0 });
    await t.notThrowsAsync(setupNamespace(link));
  });

  test.serial(
    `${title}: events are kept longer when that is asked for, and only then`,
    async (t) => {
      const link = await linkTo(t, topology);
      const keepMs = async (): Promise<unknown> =>
        (await link.reader.streamState("contrail_EVENTS"))?.config.max_age;
      await setupNamespace(link, { eventsKeepMs: 90 * 86_400_000 });
      t.is(await keepMs(), 90 * 86_400_000 * 1e6);
      await setupNamespace(link, {});
      t.is(await keepMs(), 90 * 86_400_000 * 1e6);
    },
  );

  test.serial(
    `${title}: workers share the consumer of a task, which is made again when lost`,
    async (t) => {
      const link = await linkTo(t, topology);
      const { names, claimTimeoutMs } = await readSetup(link);
      const taskName = "send mail";
      const run = names.run({ taskName, runId: "1" });
      const consumer = { names, taskName, shard: run.shard, claimTimeoutMs };
      const made = await Promise.all([
        ensureTaskConsumer(link.requests, consumer),
        ensureTaskConsumer(link.requests, consumer),
      ]);
      t.true(made.includes(true));
      t.false(await ensureTaskConsumer(link.requests, consumer));
      for (const kind of ["token.start", "token.ready", "h", "timer"] as const)
        t.true((await link.publisher.publish(`${run.prefix}.${kind}`, new Uint8Array(1))).ok);
      const name = names.taskConsumer(taskName);
      await callApi(link.requests, `CONSUMER.DELETE.${run.stream}.${name}`, undefined);
      t.true(await ensureTaskConsumer(link.requests, consumer));
      const puller = new Puller(link, { stream: run.stream, consumer: name });
      const seen: string[] = [];
      // A consumer that was just made may have no leader to hear a request.
      const ask = (): void =>
        puller.request({
          batch: 10,
          expiresMs: 2_000,
          onMessage: (message) => {
            seen.push(message.subject.slice(run.prefix.length));
            message.ack();
          },
          onEnd: () => {
            if (seen.length < 2) ask();
          },
        });
      ask();
      await until(() => seen.length >= 2);
      t.deepEqual(seen, [".token.start", ".token.ready"]);
      puller.discard();
    },
  );
});

test("options out of range are refused by name", async (t) => {
  const link = {} as NatsLink;
  for (const [options, expected] of [
    [{ shards: 0 }, /shards is 0.*from 1 to 64/],
    [{ shards: 2.5 }, /shards is 2.5/],
    [{ replicas: 2 }, /replicas is 2.*1, 3 or 5/],
    [{ claimTimeoutMs: 10 }, /claimTimeoutMs is 10.*1000 to 600000/],
    [{ eventsKeepMs: 1 }, /eventsKeepMs is 1/],
  ] as const) {
    const error = await t.throwsAsync(setupNamespace(link, options), {
      instanceOf: InvalidInputError,
    });
    t.regex(error.message, expected);
  }
});

test("an engine refuses a server that is too old, naming both versions", async (t) => {
  for (const [version, old] of [
    ["2.14.4", true],
    ["2.14.5", false],
    ["2.15.0-beta.1", false],
    ["v2.9.25", true],
    ["3.0.0", false],
  ] as const)
    t.is(isOlder(version, "2.14.5"), old, version);
  const link = { serverVersion: "2.12.3" } as NatsLink;
  const error = await t.throwsAsync(setupNamespace(link), { instanceOf: IncompatibleSetupError });
  t.regex(error.message, /2\.12\.3.*2\.14\.5/);
});

test("an engine refuses an account without JetStream", async (t) => {
  const probe = await startTestServer();
  t.teardown(() => probe.stop());
  const file = join(probe.storeDir, "plain.conf");
  writeFileSync(file, 'accounts { PLAIN: { users: [{ user: "u", password: "p" }] } }\n');
  const server = await startTestServer(file);
  t.teardown(() => server.stop());
  const link = await connectNats({ servers: server.url, user: "u", pass: "p" });
  t.teardown(() => link.close());
  const error = await t.throwsAsync(setupNamespace(link), { instanceOf: IncompatibleSetupError });
  t.regex(error.message, /JetStream/);
});
