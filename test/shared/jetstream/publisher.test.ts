import test from "ava";
import { InvalidInputError, LimitExceededError } from "../../../shared/errors.ts";
import {
  forEachTopology,
  startTestCluster,
  startTestServer,
  stopTopologies,
} from "../../helpers/nats.ts";
import { until } from "../../helpers/until.ts";
import { bytes, guard, leaderOf, openLink, openStream, text } from "./fixtures.ts";

test.after.always(stopTopologies);

forEachTopology((title, topology) => {
  test(`${title}: a stored write is acknowledged with its stream and sequence`, async (t) => {
    const servers = await topology();
    const link = await openLink(t, servers);
    const { stream, prefix } = await openStream(t, link, servers);
    const first = await link.publisher.publish(`${prefix}.a`, bytes("one"));
    const second = await link.publisher.publish(`${prefix}.a`, bytes("two"), [["Kind", "ü b"]]);
    t.deepEqual(first, { ok: true, stream, sequence: 1, duplicate: false });
    t.deepEqual(second, { ok: true, stream, sequence: 2, duplicate: false });
    const stored = await link.reader.get(stream, 2, { leader: true });
    t.is(text(stored?.data), "two");
    t.is(stored?.headers.get("Kind"), "ü b");
  });

  test(`${title}: a message id stores one message and tells the other that it is a duplicate`, async (t) => {
    const servers = await topology();
    const link = await openLink(t, servers);
    const { stream, prefix } = await openStream(t, link, servers);
    const write = () => link.publisher.publish(`${prefix}.a`, bytes("x"), [["Nats-Msg-Id", "1"]]);
    t.deepEqual(await write(), { ok: true, stream, sequence: 1, duplicate: false });
    t.deepEqual(await write(), { ok: true, stream, sequence: 1, duplicate: true });
  });

  test(`${title}: many writes in flight are told apart`, async (t) => {
    const servers = await topology();
    const link = await openLink(t, servers);
    const { stream, prefix } = await openStream(t, link, servers);
    const count = 2_000;
    const outcomes = await Promise.all(
      Array.from({ length: count }, (_, i) =>
        link.publisher.publish(`${prefix}.${i}`, bytes(`${i}`)),
      ),
    );
    t.is(link.publisher.pendingCount, 0);
    const stored = await link.reader.readSubject(stream, `${prefix}.>`);
    const bySequence = new Map(stored.map((message) => [message.sequence, text(message.data)]));
    t.is(bySequence.size, count);
    outcomes.forEach((outcome, i) => {
      if (!outcome.ok) t.fail(JSON.stringify(outcome));
      else if (bySequence.get(outcome.sequence) !== `${i}`)
        t.fail(`write ${i} got a foreign answer`);
    });
  });

  test(`${title}: a write whose guard no longer holds is refused and told where the subject ends`, async (t) => {
    const servers = await topology();
    const link = await openLink(t, servers);
    const { prefix } = await openStream(t, link, servers);
    const write = (expect: number) =>
      link.publisher.guardedPublish(`${prefix}.h`, bytes("x"), { expect });
    const first = await write(0);
    t.true(first.ok);
    t.deepEqual(await write(0), { ok: false, kind: "guard", lastSequence: 1, uncertain: false });
    t.like(await write(1), { ok: true, sequence: 2, uncertain: false });
    t.deepEqual(await write(7), { ok: false, kind: "guard", lastSequence: 2, uncertain: false });
  });

  test(`${title}: of 50 writers with one guard exactly one wins, in every round`, async (t) => {
    const servers = await topology();
    const links = await Promise.all([openLink(t, servers), openLink(t, servers)]);
    const { stream, prefix } = await openStream(t, links[0], servers);
    let last = 0;
    for (let round = 0; round < 10; round++) {
      const outcomes = await Promise.all(
        Array.from({ length: 50 }, (_, i) =>
          (links[i % 2] ?? links[0]).publisher.guardedPublish(`${prefix}.h`, bytes(`${i}`), {
            expect: last,
          }),
        ),
      );
      const winners = outcomes.filter((outcome) => outcome.ok);
      t.is(winners.length, 1);
      for (const outcome of outcomes)
        t.true(outcome.ok || (outcome.kind === "guard" && !outcome.uncertain));
      last = winners[0]?.ok ? winners[0].sequence : Number.NaN;
    }
    t.is((await links[0].reader.readSubject(stream, `${prefix}.h`)).length, 10);
  });

  test(`${title}: a write nobody stores is unknown, and surely not stored`, async (t) => {
    const link = await openLink(t, await topology());
    t.deepEqual(await link.publisher.publish("nobody.stores.this", bytes("x")), {
      ok: false,
      kind: "unknown",
      reason: "no-responders",
      maybeStored: false,
    });
    const outcome = await link.publisher.guardedPublish("nobody.stores.this", bytes("x"), {
      expect: 0,
      deadlineMs: 100,
    });
    t.like(outcome, { kind: "unknown", reason: "no-responders", uncertain: false });
  });

  test(`${title}: another refusal of the server is an outcome with its code`, async (t) => {
    const servers = await topology();
    const link = await openLink(t, servers);
    const { prefix } = await openStream(t, link, servers);
    const outcome = await link.publisher.publish(`${prefix}.a`, bytes("x"), [
      ["Nats-Expected-Stream", "ANOTHER"],
    ]);
    t.like(outcome, { ok: false, kind: "refused", code: 10060, isTransient: false });
  });

  test(`${title}: a write that is too large, or cannot be sent, is refused before it is sent`, async (t) => {
    const servers = await topology();
    const link = await openLink(t, servers);
    const { stream, prefix } = await openStream(t, link, servers);
    const write = (size: number) => link.publisher.publish(`${prefix}.a`, new Uint8Array(size));
    const error = await t.throwsAsync(write(link.maxPayload + 1), {
      instanceOf: LimitExceededError,
    });
    t.like(error, { limit: link.maxPayload, actual: link.maxPayload + 1 });
    t.like(await write(link.maxPayload), { ok: true, sequence: 1 });
    await t.throwsAsync(
      link.publisher.guardedPublish(`${prefix}.a`, new Uint8Array(link.maxPayload), { expect: 0 }),
      { instanceOf: LimitExceededError },
    );
    await t.throwsAsync(link.publisher.publish(`${prefix}.${"x".repeat(5_000)}`, bytes("x")), {
      instanceOf: LimitExceededError,
    });
    await t.throwsAsync(link.publisher.publish(`${prefix}.a b`, bytes("x")), {
      instanceOf: InvalidInputError,
    });
    await t.throwsAsync(
      link.publisher.publish(`${prefix}.a`, bytes("x"), [["A", "b\r\nNats-Rollup: all"]]),
      { instanceOf: InvalidInputError },
    );
    t.is((await link.reader.streamState(stream))?.lastSequence, 1);
    t.is(link.publisher.pendingCount, 0);
  });

  test(`${title}: two writes in flight with one guard both end up stored`, async (t) => {
    const servers = await topology();
    const link = await openLink(t, servers);
    const { prefix } = await openStream(t, link, servers);
    const once = (subject: string) =>
      link.publisher.publish(subject, bytes("x"), guard(0, `${prefix}.h`));
    const outcomes = await Promise.all([once(`${prefix}.timer`), once(`${prefix}.wait`)]);
    t.deepEqual(
      outcomes.map((outcome) => (outcome.ok ? "stored" : outcome.kind)),
      // A replicated stream refuses the second one while the first is being replicated.
      ["stored", title === "R3" ? "conflict" : "stored"],
    );
    const settled = await link.publisher.guardedPublish(`${prefix}.wait`, bytes("x"), {
      expect: 0,
      expectSubject: `${prefix}.h`,
    });
    t.true(settled.ok);
  });
});

test("a write to a paused server is unknown and may be stored after all", async (t) => {
  const server = await startTestServer();
  t.teardown(() => server.stop());
  const link = await openLink(t, server, { ackTimeoutMs: 200, pingIntervalMs: 60_000 });
  const { stream, prefix } = await openStream(t, link, server);
  server.pause();
  const outcome = await link.publisher.publish(`${prefix}.a`, bytes("x"));
  t.deepEqual(outcome, { ok: false, kind: "unknown", reason: "timeout", maybeStored: true });
  server.resume();
  await until(async () => (await link.reader.streamState(stream))?.lastSequence === 1);
});

test("a guarded write that was stored behind a lost answer is refused as uncertain", async (t) => {
  const server = await startTestServer();
  t.teardown(() => server.stop());
  const link = await openLink(t, server, { ackTimeoutMs: 200, pingIntervalMs: 60_000 });
  const { stream, prefix } = await openStream(t, link, server);
  server.pause();
  const write = link.publisher.guardedPublish(`${prefix}.h`, bytes("mine"), { expect: 0 });
  await until(() => link.publisher.pendingCount === 0); // the first try has timed out
  await until(() => link.publisher.pendingCount === 1); // the second one is out
  server.resume();
  const outcome = await write;
  // Either try may be answered first; what counts is that one message is stored.
  if (outcome.ok) t.is(outcome.sequence, 1);
  else t.like(outcome, { kind: "guard", lastSequence: 1, uncertain: true });
  t.true(outcome.uncertain);
  t.deepEqual(
    (await link.reader.readSubject(stream, `${prefix}.h`)).map((m) => text(m.data)),
    ["mine"],
  );
});

test("writes on their way when the server is killed are unknown at once", async (t) => {
  const server = await startTestServer();
  t.teardown(() => server.stop());
  const link = await openLink(t, server, { ackTimeoutMs: 60_000, pingIntervalMs: 60_000 });
  const { prefix } = await openStream(t, link, server);
  server.pause();
  const outcomes = Array.from({ length: 10 }, () =>
    link.publisher.publish(`${prefix}.a`, bytes("x")),
  );
  await server.kill();
  for (const outcome of await Promise.all(outcomes))
    t.deepEqual(outcome, { ok: false, kind: "unknown", reason: "disconnected", maybeStored: true });
  t.like(await link.publisher.publish(`${prefix}.a`, bytes("x")), {
    reason: "not-connected",
    maybeStored: false,
  });
});

test("a guarded write outlives the death and return of its server", async (t) => {
  const server = await startTestServer();
  t.teardown(() => server.stop());
  const link = await openLink(t, server);
  const { stream, prefix } = await openStream(t, link, server);
  await link.publisher.publish(`${prefix}.h`, bytes("before"));
  await server.kill();
  await until(() => !link.isConnected);
  const write = link.publisher.guardedPublish(`${prefix}.h`, bytes("after"), { expect: 1 });
  await server.start();
  t.deepEqual(await write, { ok: true, stream, sequence: 2, duplicate: false, uncertain: false });
});

test("a guarded write gives up at its deadline, and when its signal is aborted", async (t) => {
  const server = await startTestServer();
  t.teardown(() => server.stop());
  const link = await openLink(t, server);
  const { prefix } = await openStream(t, link, server);
  await server.kill();
  await until(() => !link.isConnected);
  const write = (options: { deadlineMs?: number; signal?: AbortSignal }) =>
    link.publisher.guardedPublish(`${prefix}.h`, bytes("x"), { expect: 0, ...options });
  t.like(await write({ deadlineMs: 50 }), { kind: "unknown", reason: "not-connected" });
  const abort = new AbortController();
  const aborted = write({ signal: abort.signal });
  abort.abort();
  t.like(await aborted, { kind: "unknown", reason: "not-connected", uncertain: false });
  const closed = write({});
  await link.close();
  t.like(await closed, { kind: "unknown", maybeStored: false, uncertain: false });
  t.like(await write({}), { kind: "unknown", reason: "closed" });
});

test("R3: guarded writes outlive the loss of the stream's leader, each stored once", async (t) => {
  const cluster = await startTestCluster();
  t.teardown(() => cluster.stop());
  const link = await openLink(t, cluster, { ackTimeoutMs: 1_000 });
  const { stream, prefix } = await openStream(t, link, cluster);
  const { leader } = await leaderOf(link, cluster, stream);
  const chain = async (name: string): Promise<number> => {
    let last = 0;
    for (let i = 0; i < 20; i++) {
      const subject = `${prefix}.${name}`;
      if (i === 5) await leader.kill();
      const outcome = await link.publisher.guardedPublish(subject, bytes(`${i}`), { expect: last });
      if (outcome.ok) last = outcome.sequence;
      else if (outcome.kind === "guard" && outcome.uncertain) {
        const mine = await link.reader.lastFor(stream, subject, { leader: true });
        t.is(text(mine?.data), `${i}`);
        last = mine?.sequence ?? Number.NaN;
      } else t.fail(JSON.stringify(outcome));
    }
    return last;
  };
  await Promise.all(["a", "b", "c", "d"].map(chain));
  for (const name of ["a", "b", "c", "d"]) {
    const stored = await until(async () => {
      const messages = await link.reader.readSubject(stream, `${prefix}.${name}`);
      return messages.length >= 20 && messages;
    });
    t.deepEqual(
      stored.map((message) => text(message.data)),
      Array.from({ length: 20 }, (_, i) => `${i}`),
    );
  }
});
