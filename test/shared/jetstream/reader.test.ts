import test, { type ExecutionContext } from "ava";
import { UnavailableError } from "../../../shared/errors.ts";
import type { NatsLink } from "../../../shared/jetstream/connection.ts";
import { decodeHeaders } from "../../../shared/jetstream/headers.ts";
import { Reader } from "../../../shared/jetstream/reader.ts";
import type { RequestOptions, Requests } from "../../../shared/jetstream/requests.ts";
import { parseTime, type StoredMessage } from "../../../shared/jetstream/stored-message.ts";
import {
  forEachTopology,
  startTestCluster,
  startTestServer,
  stopTopologies,
} from "../../helpers/nats.ts";
import { until } from "../../helpers/until.ts";
import { bytes, leaderOf, openLink, openStream, text } from "./fixtures.ts";

test.after.always(stopTopologies);

const show = (message: StoredMessage | undefined) =>
  message && { subject: message.subject, sequence: message.sequence, text: text(message.data) };

/** Waits until every replica has what was written: a direct read may be answered by any. */
async function untilEverywhere(link: NatsLink, stream: string, sequence: number): Promise<void> {
  let inARow = 0;
  await until(async () => {
    const found = await link.reader.get(stream, sequence);
    inARow = found === undefined ? 0 : inARow + 1;
    return inARow >= 20;
  });
}

test("a time of the server is read with its fraction", (t) => {
  t.is(parseTime("1970-01-01T00:00:01Z"), 1_000);
  t.is(parseTime("1970-01-01T00:00:01.5Z"), 1_500);
  t.is(parseTime("1970-01-01T00:00:01.000250Z"), 1_000.25);
  t.is(parseTime("1970-01-01T01:00:01.000000500+01:00"), 1_000.0005);
});

forEachTopology((title, topology) => {
  const open = async (t: ExecutionContext) => {
    const servers = await topology();
    const link = await openLink(t, servers);
    return { link, ...(await openStream(t, link, servers)) };
  };

  test(`${title}: a stream's state says by the leader's clock when it was, with the fraction`, async (t) => {
    const { link, stream } = await open(t);
    const times: number[] = [];
    for (let i = 0; i < 20; i++)
      times.push((await link.reader.streamState(stream))?.answeredAtMs ?? 0);
    t.true(times.some((time) => time % 1 !== 0));
    t.deepEqual(
      times,
      times.toSorted((one, other) => one - other),
    );
  });

  test(`${title}: a message is read by its sequence or as the last of its subject, from any replica or the leader`, async (t) => {
    const { link, stream, prefix } = await open(t);
    const before = Date.now();
    for (const name of ["a", "b", "a"])
      await link.publisher.publish(`${prefix}.${name}`, bytes(name), [["Kind", "K"]]);
    await untilEverywhere(link, stream, 3);
    for (const options of [{}, { leader: true }]) {
      const second = await link.reader.get(stream, 2, options);
      t.deepEqual(show(second), { subject: `${prefix}.b`, sequence: 2, text: "b" });
      t.is(second?.headers.get("Kind"), "K");
      t.true(Math.abs((second?.timeMs ?? 0) - before) < 60_000);
      const last = await link.reader.lastFor(stream, `${prefix}.a`, options);
      t.deepEqual(show(last), { subject: `${prefix}.a`, sequence: 3, text: "a" });
      t.is(await link.reader.get(stream, 4, options), undefined);
      t.is(await link.reader.lastFor(stream, `${prefix}.c`, options), undefined);
    }
    const times = await Promise.all(
      [false, true].map((leader) => link.reader.get(stream, 2, { leader })),
    );
    t.is(times[0]?.timeMs, times[1]?.timeMs);
  });

  test(`${title}: a publisher cannot forge what the server says about its message`, async (t) => {
    const { link, stream, prefix } = await open(t);
    await link.publisher.publish(`${prefix}.a`, bytes("x"), [
      ["Nats-Subject", "forged"],
      ["Nats-Sequence", "99"],
      ["Nats-Time-Stamp", "1970-01-01T00:00:00Z"],
      ["Nats-Last-Sequence", "99"],
      ["Nats-Num-Pending", "99"],
    ]);
    await untilEverywhere(link, stream, 1);
    const expected = { subject: `${prefix}.a`, sequence: 1, text: "x" };
    const single = await link.reader.get(stream, 1);
    t.deepEqual(show(single), expected);
    t.true((single?.timeMs ?? 0) > 0);
    t.deepEqual((await link.reader.readSubject(stream, `${prefix}.a`)).map(show), [expected]);
    const { messages } = await link.reader.multiLast(stream, [`${prefix}.a`]);
    t.deepEqual(messages.map(show), [expected]);
  });

  test(`${title}: all messages of a subject are read, over several pages, from a sequence on`, async (t) => {
    const { link, stream, prefix } = await open(t);
    const count = 1_203;
    await Promise.all(
      Array.from({ length: count }, (_, i) =>
        link.publisher.publish(`${prefix}.${i % 2 ? "a" : "b"}`, bytes(`${i}`)),
      ),
    );
    await untilEverywhere(link, stream, count);
    const all = await link.reader.readSubject(stream, `${prefix}.>`);
    t.deepEqual(
      all.map(({ sequence }) => sequence),
      Array.from({ length: count }, (_, i) => i + 1),
    );
    const ofA = all.filter(({ subject }) => subject === `${prefix}.a`);
    t.deepEqual((await link.reader.readSubject(stream, `${prefix}.a`)).map(show), ofA.map(show));
    const from = ofA[300]?.sequence ?? Number.NaN;
    const rest = await link.reader.readSubject(stream, `${prefix}.a`, from);
    t.deepEqual(rest.map(show), ofA.slice(300).map(show));
    t.deepEqual(await link.reader.readSubject(stream, `${prefix}.a`, count + 1), []);
    t.deepEqual(await link.reader.readSubject(stream, `${prefix}.none`), []);
  });

  test(`${title}: messages that fill more than one page's bytes are all read`, async (t) => {
    const { link, stream, prefix } = await open(t);
    for (let i = 0; i < 6; i++) await link.publisher.publish(`${prefix}.a`, new Uint8Array(1e6));
    await untilEverywhere(link, stream, 6);
    t.is((await link.reader.readSubject(stream, `${prefix}.a`)).length, 6);
  });

  test(`${title}: the last messages of many subjects come with how far the replica knew the stream`, async (t) => {
    const { link, stream, prefix } = await open(t);
    const count = 1_500;
    const subjects = Array.from({ length: count }, (_, i) => `${prefix}.${i}`);
    for (const value of ["old", "new"])
      await Promise.all(subjects.map((subject) => link.publisher.publish(subject, bytes(value))));
    await link.publisher.publish(`${prefix}.other`, bytes(""));
    await untilEverywhere(link, stream, 2 * count + 1);
    const { messages, upToSequence } = await link.reader.multiLast(stream, [
      ...subjects,
      `${prefix}.none`,
    ]);
    t.is(upToSequence, 2 * count + 1);
    t.deepEqual(new Set(messages.map(({ subject }) => subject)), new Set(subjects));
    t.true(messages.every(({ data }) => text(data) === "new"));
    const earlier = await link.reader.multiLast(stream, subjects.slice(0, 2), {
      upToSequence: count,
    });
    t.deepEqual(
      earlier.messages.map(({ data }) => text(data)),
      ["old", "old"],
    );
    t.is(earlier.upToSequence, count);
    const none = await link.reader.multiLast(stream, [`${prefix}.none`]);
    t.deepEqual(none, { messages: [], upToSequence: 0 });
    t.deepEqual(await link.reader.multiLast(stream, []), { messages: [], upToSequence: 0 });
  });

  test(`${title}: what multiLast says to know it does know`, async (t) => {
    const { link, stream, prefix } = await open(t);
    for (let i = 0; i < 300; i++) {
      const outcome = await link.publisher.publish(`${prefix}.${i}`, bytes(""));
      const { messages, upToSequence } = await link.reader.multiLast(stream, [
        `${prefix}.0`,
        `${prefix}.${i}`,
      ]);
      const sequence = outcome.ok ? outcome.sequence : Number.NaN;
      if (upToSequence >= sequence)
        t.true(messages.some((message) => message.sequence === sequence));
    }
    t.pass();
  });

  test(`${title}: the state of a stream tells where it begins and ends`, async (t) => {
    const { link, stream, prefix } = await open(t);
    for (let i = 0; i < 3; i++) await link.publisher.publish(`${prefix}.a`, bytes(""));
    const state = await link.reader.streamState(stream);
    t.like(state, { firstSequence: 1, lastSequence: 3, messageCount: 3 });
    t.is(state?.config.name, stream);
    t.is(await link.reader.streamState(`${stream}none`), undefined);
    t.is(await link.reader.get(`${stream}none`, 1, { leader: true }), undefined);
  });
});

/** Answers requests by hand: one list of replies for each try. */
function answering(...tries: string[][]): { requests: Requests; asked: unknown[] } {
  const asked: unknown[] = [];
  const requests = {
    async ask({ payload, begin, receive }: RequestOptions) {
      asked.push(JSON.parse(String(payload)));
      begin?.();
      for (const head of tries.shift() ?? [])
        receive({ headers: decodeHeaders(bytes(`NATS/1.0${head}\r\n\r\n`)), data: bytes("") });
    },
  };
  return { requests: requests as Requests, asked };
}

test("a page cut short by a replica that is behind is read again", async (t) => {
  const message = (sequence: number, before: number) =>
    `\r\nNats-Subject: a\r\nNats-Sequence: ${sequence}\r\nNats-Last-Sequence: ${before}`;
  const end = (last: number, pending: number) =>
    ` 204 EOB\r\nNats-Num-Pending: ${pending}\r\nNats-Last-Sequence: ${last}`;
  const none = [" 404 Message Not Found"];
  const { requests, asked } = answering([message(1, 0), message(2, 1), end(2, 1)], none, none, [
    message(5, 0),
    end(5, 0),
  ]);
  const messages = await new Reader(requests).readSubject("LOG", "a");
  t.deepEqual(
    messages.map(({ sequence }) => sequence),
    [1, 2, 5],
  );
  t.like(asked, [{ seq: 1 }, { seq: 3 }, { seq: 3 }, { seq: 3 }]);
  // Purged meanwhile: believed after some tries.
  const purged = answering([message(1, 0), end(1, 1)], none, none, none, none, none, none);
  t.is((await new Reader(purged.requests).readSubject("LOG", "a")).length, 1);
});

test("what replicas that answer for parts know together is what the last of them knows", async (t) => {
  const end = (upTo: number) => [
    ` 204 EOB\r\nNats-Last-Sequence: 0\r\nNats-UpTo-Sequence: ${upTo}`,
  ];
  const { requests } = answering(end(7), end(5));
  const subjects = Array.from({ length: 1_500 }, (_, i) => `a.${i}`);
  t.is((await new Reader(requests).multiLast("LOG", subjects)).upToSequence, 5);
});

test("a request under way when its connection is lost is repeated as soon as it is back", async (t) => {
  t.timeout(120_000);
  const server = await startTestServer();
  t.teardown(() => server.stop());
  const link = await openLink(t, server, { pingIntervalMs: 60_000 });
  server.pause();
  const answer = new Promise<string>((resolve, reject) => {
    link.requests
      .ask({
        subject: "$JS.API.INFO",
        payload: "",
        what: "the account",
        withinMs: 600_000,
        silenceMs: 600_000,
        receive: ({ data }) => {
          resolve(text(data) ?? "");
          return "done";
        },
      })
      .catch(reject);
  });
  await server.kill();
  await server.start();
  t.regex(await answer, /limits/);
});

test("a read that nobody answers ends as unavailable, or when its signal is aborted", async (t) => {
  const server = await startTestServer();
  t.teardown(() => server.stop());
  const link = await openLink(t, server, { pingIntervalMs: 60_000 });
  const { stream } = await openStream(t, link, server);
  const abort = new AbortController();
  server.pause();
  const reads = [
    link.reader.get(stream, 1, { signal: abort.signal }),
    link.reader.readSubject(stream, "x", 1, { signal: abort.signal }),
    link.reader.multiLast(stream, ["x"], { signal: abort.signal }),
    link.reader.streamState(stream, { signal: abort.signal }),
  ];
  abort.abort();
  for (const read of reads) await t.throwsAsync(read, { instanceOf: UnavailableError });
  server.resume();
});

test("reads outlive the death and return of their server", async (t) => {
  const server = await startTestServer();
  t.teardown(() => server.stop());
  const link = await openLink(t, server);
  const { stream, prefix } = await openStream(t, link, server);
  await link.publisher.publish(`${prefix}.a`, bytes("x"));
  server.pause();
  const reads = [
    link.reader.get(stream, 1),
    link.reader.get(stream, 1, { leader: true }),
    link.reader.readSubject(stream, `${prefix}.a`).then(([first]) => first),
    link.reader.multiLast(stream, [`${prefix}.a`]).then(({ messages }) => messages[0]),
  ];
  await server.kill();
  await server.start();
  for (const read of reads) t.is(text((await read)?.data), "x");
});

test("R3: reads ride out the loss of the stream's leader", async (t) => {
  const cluster = await startTestCluster();
  t.teardown(() => cluster.stop());
  const link = await openLink(t, cluster);
  const { stream, prefix } = await openStream(t, link, cluster);
  for (let i = 0; i < 10; i++) await link.publisher.publish(`${prefix}.a`, bytes(`${i}`));
  await untilEverywhere(link, stream, 10);
  const { leader } = await leaderOf(link, cluster, stream);
  await leader.kill();
  const [direct, byLeader, all, lasts] = await Promise.all([
    link.reader.lastFor(stream, `${prefix}.a`),
    link.reader.lastFor(stream, `${prefix}.a`, { leader: true }),
    link.reader.readSubject(stream, `${prefix}.a`),
    link.reader.multiLast(stream, [`${prefix}.a`]),
  ]);
  t.is(direct?.sequence, 10);
  t.is(byLeader?.sequence, 10);
  t.is(all.length, 10);
  t.is(lasts.messages[0]?.sequence, 10);
});
