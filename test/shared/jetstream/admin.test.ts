import { writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import { IncompatibleSetupError } from "../../../shared/errors.ts";
import {
  accountInfo,
  deleteConsumer,
  deleteStream,
  ensureBucket,
  ensureConsumer,
  ensureStream,
  streamConfig,
} from "../../../shared/jetstream/admin.ts";
import type { NatsLink } from "../../../shared/jetstream/connection.ts";
import type { StreamConfig } from "../../../shared/jetstream/server-config.ts";
import { forEachTopology, startTestServer, stopTopologies } from "../../helpers/nats.ts";
import { openLink } from "./fixtures.ts";

test.after.always(stopTopologies);

const log = (name: string, replicas: number): StreamConfig => ({
  name,
  description: "a log",
  subjects: [`${name}.log.>`, `${name}.more`],
  replicas,
  duplicateWindowMs: 60_000,
  allowSchedules: true,
  allowTimeToLive: true,
  allowRollup: true,
  republish: { source: `${name}.log.>`, destination: `${name}.live.>` },
  metadata: { shards: "4" },
});

forEachTopology((title, topology) => {
  test(`${title}: a stream is created once and found to fit afterwards`, async (t) => {
    const servers = await topology();
    const { replicas } = servers;
    const link = await openLink(t, servers);
    t.teardown(() => deleteStream(link.requests, "FITS"));
    const config = log("FITS", replicas);
    const first = await ensureStream(link.requests, config);
    t.true(first.wasCreated);
    t.deepEqual(first.differences, []);
    const second = await ensureStream(link.requests, {
      ...config,
      subjects: [...config.subjects].reverse(),
    });
    t.false(second.wasCreated);
    t.like(await streamConfig(link.requests, "FITS"), {
      retention: "limits",
      duplicate_window: 60e9,
      allow_direct: true,
      num_replicas: replicas,
    });
    t.true(await deleteStream(link.requests, "FITS"));
    t.false(await deleteStream(link.requests, "FITS"));
    t.is(await streamConfig(link.requests, "FITS"), undefined);
  });

  test(`${title}: a stream that differs is refused, with the fields, unless they may differ`, async (t) => {
    const servers = await topology();
    const { replicas } = servers;
    const link = await openLink(t, servers);
    t.teardown(() => deleteStream(link.requests, "DIFFERS"));
    const config = log("DIFFERS", replicas);
    await ensureStream(link.requests, { ...config, allowTimeToLive: false, maxAgeMs: 3_600_000 });
    const error = await t.throwsAsync(ensureStream(link.requests, config), {
      instanceOf: IncompatibleSetupError,
    });
    t.regex(error?.message ?? "", /stream DIFFERS .*max_age is 3600000000000, expected 0/);
    t.regex(error?.message ?? "", /allow_msg_ttl is .*, expected true/);
    const mayDiffer = ["max_age", "allow_msg_ttl"];
    const { differences, wasCreated } = await ensureStream(link.requests, config, { mayDiffer });
    t.false(wasCreated);
    t.deepEqual(differences.map(({ field }) => field).sort(), ["allow_msg_ttl", "max_age"]);
  });

  test(`${title}: what the server does not accept is refused with its reason`, async (t) => {
    const servers = await topology();
    const { replicas } = servers;
    const link = await openLink(t, servers);
    t.teardown(() => deleteStream(link.requests, "ONE"));
    await ensureStream(link.requests, { name: "ONE", subjects: ["one.>"], replicas });
    await t.throwsAsync(
      ensureStream(link.requests, { name: "TWO", subjects: ["one.a"], replicas }),
      { instanceOf: IncompatibleSetupError, message: /TWO.*overlap/ },
    );
    await t.throwsAsync(
      ensureConsumer(link.requests, "NONE", { name: "c", filterSubjects: ["a"], ackWaitMs: 1_000 }),
      { instanceOf: IncompatibleSetupError, message: /consumer c of the stream NONE.*not found/ },
    );
  });

  test(`${title}: a consumer is created once, and refused when it differs`, async (t) => {
    const servers = await topology();
    const { replicas } = servers;
    const link = await openLink(t, servers);
    t.teardown(() => deleteStream(link.requests, "CONSUMED"));
    await ensureStream(link.requests, { name: "CONSUMED", subjects: ["consumed.>"], replicas });
    for (const filterSubjects of [["consumed.a"], ["consumed.a.b", "consumed.a.c"]]) {
      const config = { name: `task-${filterSubjects.length}`, filterSubjects, ackWaitMs: 10_000 };
      t.true((await ensureConsumer(link.requests, "CONSUMED", config)).wasCreated);
      const again = await ensureConsumer(link.requests, "CONSUMED", config);
      t.false(again.wasCreated);
      t.like(again.config, { max_ack_pending: -1, max_deliver: -1, deliver_policy: "all" });
      await t.throwsAsync(
        ensureConsumer(link.requests, "CONSUMED", { ...config, ackWaitMs: 20_000 }),
        {
          instanceOf: IncompatibleSetupError,
          message: /ack_wait is 10000000000, expected 20000000000/,
        },
      );
      const names = { stream: "CONSUMED", consumer: config.name };
      t.true(await deleteConsumer(link.requests, names));
      t.false(await deleteConsumer(link.requests, names));
    }
  });

  test(`${title}: many processes set up the same at once`, async (t) => {
    const servers = await topology();
    const { replicas } = servers;
    const links = await Promise.all([1, 2, 3, 4].map(() => openLink(t, servers)));
    const [{ requests }] = links as [NatsLink];
    for (let round = 0; round < 5; round++) {
      const name = `ATONCE${round}`;
      const setUp = async (link: NatsLink): Promise<boolean> => {
        const { wasCreated } = await ensureStream(link.requests, log(name, replicas));
        await ensureConsumer(link.requests, name, {
          name: "task",
          filterSubjects: [`${name}.log.a`],
          ackWaitMs: 10_000,
        });
        await ensureBucket(link.requests, { bucket: name, replicas, deleteMarkerMs: 10_000 });
        return wasCreated;
      };
      const created = await Promise.all(links.flatMap((link) => [setUp(link), setUp(link)]));
      t.true(created.includes(true));
      await deleteStream(requests, name);
      await deleteStream(requests, `KV_${name}`);
    }
  });

  test(`${title}: of two processes that want different streams at once, one is told the field`, async (t) => {
    const servers = await topology();
    const { requests } = await openLink(t, servers);
    for (let round = 0; round < 5; round++) {
      const config = log(`RACE${round}`, servers.replicas);
      const results = await Promise.allSettled([
        ensureStream(requests, config),
        ensureStream(requests, { ...config, maxAgeMs: 3_600_000 }),
      ]);
      const [refusal] = results.flatMap((each) =>
        each.status === "rejected" ? [each.reason] : [],
      );
      t.true(refusal instanceof IncompatibleSetupError);
      t.regex(String(refusal), /RACE\d exists but does not fit: max_age is/);
      await deleteStream(requests, config.name);
    }
  });

  test(`${title}: the account tells what it may use`, async (t) => {
    const link = await openLink(t, await topology());
    const info = await accountInfo(link.requests);
    t.true(info.apiLevel >= 4);
    t.is(info.limits.streams, -1);
    t.is(info.domain, undefined);
  });
});

test("a server without JetStream is told apart", async (t) => {
  const plain = await startTestServer();
  t.teardown(() => plain.stop());
  const config = join(plain.storeDir, "account.conf");
  writeFileSync(config, `accounts { A { users [ { user: "a", password: "b" } ] } }`);
  const server = await startTestServer(config);
  t.teardown(() => server.stop());
  const link = await openLink(t, server, { user: "a", pass: "b" });
  await t.throwsAsync(accountInfo(link.requests), {
    instanceOf: IncompatibleSetupError,
    message: /JetStream is not enabled/,
  });
});
