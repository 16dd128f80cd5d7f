import { writeFileSync } from "node:fs";
import { type AddressInfo, connect, createServer, Socket } from "node:net";
import { join } from "node:path";
import type { NatsConnectionImpl } from "@nats-io/transport-node";
import test from "ava";
import { InvalidInputError, UnavailableError } from "../../../shared/errors.ts";
import { connectNats } from "../../../shared/jetstream/connection.ts";
import { temporaryFolder } from "../../helpers/folders.ts";
import { startTestCluster, startTestServer } from "../../helpers/nats.ts";
import { until } from "../../helpers/until.ts";
import { bytes, openLink, openStream } from "./fixtures.ts";

test("a connection to nobody fails at once, names the servers and says what to do", async (t) => {
  const servers = ["nats://me:secret@127.0.0.1:1", "127.0.0.1:2"];
  const error = await t.throwsAsync(connectNats({ servers }), { instanceOf: UnavailableError });
  t.regex(error?.message ?? "", /nats:\/\/127\.0\.0\.1:1, 127\.0\.0\.1:2/);
  t.regex(error?.message ?? "", /nats-server -js.*NATS_URL/);
  t.notRegex(error?.message ?? "", /secret/);
});

test("no servers, or credentials that cannot be read, are refused", async (t) => {
  await t.throwsAsync(connectNats({ servers: " , " }), { instanceOf: InvalidInputError });
  await t.throwsAsync(connectNats({ servers: "127.0.0.1:1", credsFile: "/nowhere/x.creds" }), {
    instanceOf: InvalidInputError,
    message: /nowhere/,
  });
});

test("what is no address, or no key, is refused by name before anybody is asked", async (t) => {
  const bad: readonly (readonly [servers: unknown, message: RegExp])[] = [
    [undefined, /^No servers were given/],
    [[], /^No servers were given/],
    [4222, /^4222 is no address of a server\. Expected host:port, nats:/],
    [[undefined], /^undefined is no address/],
    ["http://127.0.0.1:1", /^"http:.*is no address/],
    ["nats://a b:1", /^"nats:\/\/a b:1" is no address/],
    ["127.0.0.1:99999", /is no address/],
    ["nats://me:sec%ret@127.0.0.1:1", /in the address nats:\/\/127\.0\.0\.1:1 has a "%"/],
    ["nats://me:secret@127.0.0.1:1/path", /^"nats:\/\/127\.0\.0\.1:1\/path" is no address/],
  ];
  for (const [servers, message] of bad) {
    const refused = connectNats({ servers: servers as string });
    await t.throwsAsync(refused, { instanceOf: InvalidInputError, message }, String(servers));
  }
  const file = join(temporaryFolder(t), "no.creds");
  writeFileSync(file, "no credentials");
  for (const secret of [{ credsFile: file }, { nkey: "SUNOKEY" }, { nkey: file }])
    await t.throwsAsync(connectNats({ servers: "127.0.0.1:1", ...secret }), {
      instanceOf: InvalidInputError,
      message: /cannot be used: /,
    });
});

test("addresses are taken in every usual form, and tls:// never without TLS", async (t) => {
  const server = await startTestServer();
  t.teardown(() => server.stop());
  const place = `127.0.0.1:${server.port}`;
  for (const servers of [place, `nats://${place}/`, ` ${place} , nats://[::1]:1`]) {
    const link = await connectNats({ servers });
    t.true(link.isConnected);
    await link.close();
  }
  await t.throwsAsync(connectNats({ servers: `tls://${place}` }), {
    instanceOf: UnavailableError,
    message: /tls/,
  });
});

test("credentials are passed on, and wrong ones are told apart from an absent server", async (t) => {
  const plain = await startTestServer();
  t.teardown(() => plain.stop());
  const config = join(plain.storeDir, "users.conf");
  writeFileSync(
    config,
    `authorization { users [ { user: "a", password: "b", permissions: { publish: ">", subscribe: "mine.>" } } ] }`,
  );
  const server = await startTestServer(config);
  t.teardown(() => server.stop());
  const error = await t.throwsAsync(
    connectNats({ servers: server.url, user: "a", pass: "wrong" }),
    { instanceOf: UnavailableError },
  );
  t.regex(error?.message ?? "", /password/);
  const link = await connectNats({
    servers: [server.url],
    user: "a",
    pass: "b",
    inboxPrefix: "mine",
  });
  t.is((await link.publisher.publish("x", bytes("x"))).ok, false);
  t.true(link.inboxPrefix.startsWith("mine."));
  await link.close();
});

test("user and password, or a token, may stand in the address", async (t) => {
  const folder = temporaryFolder(t);
  const users = join(folder, "users.conf");
  writeFileSync(users, `authorization { users [ { user: "a b", password: "p@:/%" } ] }`);
  const token = join(folder, "token.conf");
  writeFileSync(token, `authorization { token: "t0/ken" }`);
  for (const [config, credentials, wrong] of [
    [users, ["a b", "p@:/%"], "nobody:nothing"],
    [token, ["t0/ken"], "another"],
  ] as const) {
    const server = await startTestServer(config);
    t.teardown(() => server.stop());
    const address = `127.0.0.1:${server.port}`;
    const given = credentials.map(encodeURIComponent).join(":");
    for (const servers of [`nats://${given}@${address}`, `${given}@${address}`]) {
      const link = await connectNats({ servers });
      await link.close();
    }
    for (const servers of [`nats://${wrong}@${address}`, `${wrong}@${address}`]) {
      const error = await t.throwsAsync(connectNats({ servers }), { instanceOf: UnavailableError });
      t.notRegex(error?.message ?? "", /nobody|nothing|another/);
    }
  }
});

test("a cluster that accepts no user says so at once, and one that does is known as a whole", async (t) => {
  const config = join(temporaryFolder(t), "users.conf");
  const user = { user: "a", pass: "b" };
  writeFileSync(
    config,
    `accounts { A: { jetstream: enabled, users: [ { user: "a", password: "b" } ] } }`,
  );
  const cluster = await startTestCluster(config, user);
  t.teardown(() => cluster.stop());
  const wrong = { user: "a", pass: "wrong" };
  const first = cluster.urls[0] as string;
  for (const servers of [cluster.urls, [first]]) {
    const refused = await t.throwsAsync(connectNats({ servers, ...wrong }));
    t.regex(refused.message, /password/);
  }
  const link = await connectNats({ servers: first, ...user });
  t.teardown(() => link.close());
  let isBack = false;
  link.onReconnect(() => {
    isBack = true;
  });
  await cluster.servers[0]?.kill();
  await until(() => isBack, { what: "it found another server by itself" });
  t.true(link.isConnected);
});

test("a connection tells of its server, of its loss and of its return", async (t) => {
  const server = await startTestServer();
  t.teardown(() => server.stop());
  const link = await openLink(t, server);
  t.is(link.maxPayload, 1_048_576);
  t.regex(link.serverVersion, /^\d+\.\d+\.\d+/);
  const seen: string[] = [];
  link.onDisconnect(() => seen.push(`lost, connected: ${link.isConnected}`));
  link.onReconnect(() => seen.push(`back, connected: ${link.isConnected}`));
  link.onClose(() => seen.push("closed"));
  const stop = link.onReconnect(() => seen.push("nobody listens any more"));
  stop();
  await server.restart();
  await until(() => seen.length === 2);
  await link.close();
  await link.close();
  t.deepEqual(seen, ["lost, connected: false", "back, connected: true", "closed"]);
  t.false(link.isConnected);
});

test("a connection outlives any number of failed dials", async (t) => {
  const server = await startTestServer();
  t.teardown(() => server.stop());
  const link = await openLink(t, server);
  let dials = 0;
  void (async () => {
    for await (const { type } of link.nc.status()) if (type === "reconnecting") dials++;
  })();
  await server.kill();
  await until(() => dials > 12); // the client's default gives up after ten
  await server.start();
  await until(() => link.isConnected);
  const { prefix } = await openStream(t, link, server);
  t.true((await link.publisher.publish(`${prefix}.a`, bytes("x"))).ok);
});

test("a silent server is left for another one, also with much unsent", async (t) => {
  const silent = await startTestServer();
  t.teardown(() => silent.stop());
  const other = await startTestServer();
  t.teardown(() => other.stop());
  const link = await openLink(t, silent, { pingIntervalMs: 300, dialTimeoutMs: 500 });
  link.nc.setServers([silent.url, other.url]);
  silent.pause();
  // More than the buffers of the operating system hold.
  const writes = Array.from({ length: 300 }, () =>
    link.publisher.publish("a", new Uint8Array(1e5)),
  );
  await until(() => link.isConnected && link.nc.getServer() === other.url.slice("nats://".length), {
    withinMs: 20_000,
  });
  t.like((await Promise.all(writes)).at(-1), { kind: "unknown", reason: "disconnected" });
  silent.resume();
});

test("draining waits for the answers to writes under way", async (t) => {
  const server = await startTestServer();
  t.teardown(() => server.stop());
  const link = await connectNats({ servers: server.url });
  const { stream, prefix } = await openStream(t, link, server);
  const writes = Array.from({ length: 500 }, () =>
    link.publisher.publish(`${prefix}.a`, bytes("x")),
  );
  await link.drain();
  const outcomes = await Promise.all(writes);
  t.is(outcomes.filter(({ ok }) => ok).length, 500);
  t.like(await link.publisher.publish(`${prefix}.a`, bytes("x")), { reason: "closed" });
  const another = await openLink(t, server);
  t.is((await another.reader.streamState(stream))?.lastSequence, 500);
});

test("draining and closing end without a server, and writes and reads end with them", async (t) => {
  const server = await startTestServer();
  t.teardown(() => server.stop());
  const drained = await connectNats({ servers: server.url });
  const closed = await connectNats({ servers: server.url });
  const read = closed.reader.get("LOG", 1);
  await server.kill();
  await until(() => !drained.isConnected && !closed.isConnected);
  const write = closed.publisher.guardedPublish("a", bytes("x"), { expect: 0 });
  await Promise.all([drained.drain(), closed.close()]);
  t.false((await write).ok);
  await t.throwsAsync(read, { instanceOf: UnavailableError });
  t.true(drained.nc.isClosed());
});

test("what a link writes in answer to one piece that it read goes out in one piece, also after a reconnect", async (t) => {
  const server = await startTestServer();
  t.teardown(() => server.stop());
  const link = await openLink(t, server);
  const asking = await openLink(t, server);
  const heard: string[] = [];
  const held: number[] = [];
  asking.nc.subscribe("answer.*", { callback: (_, { subject }) => void heard.push(subject) });
  const answer = async (): Promise<void> => {
    for (const name of ["answer.1", "answer.2"]) {
      link.nc.publish(name);
      for (let i = 0; i < 10; i++) await Promise.resolve(); // the client has written it by now
      held.push(socketOf(link.nc as NatsConnectionImpl).writableLength);
    }
  };
  link.nc.subscribe("question", { callback: () => void answer() });
  const ask = async (answers: number): Promise<void> => {
    await Promise.all([link.nc.flush(), asking.nc.flush()]);
    asking.nc.publish("question");
    await until(() => heard.length === answers);
  };
  await ask(2);
  await server.restart();
  await until(() => link.isConnected && asking.isConnected);
  await ask(4);
  const one = "PUB answer.1 0\r\n\r\n".length;
  t.deepEqual(held, [one, 2 * one, one, 2 * one]);
});

function socketOf({ protocol }: NatsConnectionImpl): Socket {
  const { transport } = protocol;
  if ("socket" in transport && transport.socket instanceof Socket) return transport.socket;
  throw new Error("The transport has no socket.");
}

test("a subject that may not be published to is refused by its name", async (t) => {
  const plain = await startTestServer();
  t.teardown(() => plain.stop());
  const config = join(plain.storeDir, "users.conf");
  writeFileSync(
    config,
    `authorization { users [ { user: "a", password: "b", permissions: { publish: { deny: "secret.>" } } } ] }`,
  );
  const server = await startTestServer(config);
  t.teardown(() => server.stop());
  const link = await openLink(t, server, { user: "a", pass: "b" });
  const outcome = await link.publisher.publish("secret.a", bytes("x"));
  t.like(outcome, { kind: "refused", code: 0, isTransient: false });
  t.regex("description" in outcome ? outcome.description : "", /secret\.a/);
});

test("a server that did not hear in time who connects is tried again, a few times", async (t) => {
  const server = await startTestServer();
  t.teardown(() => server.stop());
  let late = 0;
  let tries = 0;
  const info = JSON.stringify({
    server_id: "s",
    version: "2.15.1",
    max_payload: 1e6,
    headers: true,
  });
  const refuse = (peer: Socket): void => {
    peer.write(`INFO ${info}\r\n`);
    peer.once("data", () => peer.end("-ERR 'Authentication Timeout'\r\n"));
  };
  const listener = createServer((peer) => {
    peer.on("error", () => {}); // it may be gone
    if (++tries <= late) return refuse(peer);
    const upstream = connect(server.port, "127.0.0.1").on("error", () => {});
    peer.pipe(upstream).pipe(peer);
  });
  await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
  t.teardown(() => listener.close());
  const servers = `127.0.0.1:${(listener.address() as AddressInfo).port}`;
  late = 2;
  const link = await connectNats({ servers });
  t.is(tries, 3);
  await link.close();
  late = 100;
  tries = 0;
  const expected = { instanceOf: UnavailableError, message: /Authentication Timeout/ };
  await t.throwsAsync(connectNats({ servers }), expected);
  t.is(tries, 5);
});
