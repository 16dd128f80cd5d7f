import type { Msg, MsgCallback } from "@nats-io/transport-node";
import test, { type ExecutionContext } from "ava";
import { IncompatibleSetupError, UnavailableError } from "../../../shared/errors.ts";
import { newId } from "../../../shared/ids.ts";
import { deleteConsumer, deleteStream, ensureStream } from "../../../shared/jetstream/admin.ts";
import { callApi } from "../../../shared/jetstream/api.ts";
import type { NatsLink } from "../../../shared/jetstream/connection.ts";
import { parseDelivery } from "../../../shared/jetstream/delivery.ts";
import { type Follower, type FollowerOptions, follow } from "../../../shared/jetstream/follower.ts";
import {
  forEachTopology,
  startTestCluster,
  startTestServer,
  stopTopologies,
} from "../../helpers/nats.ts";
import { until } from "../../helpers/until.ts";
import { bytes, leaderOf, openLink, openStream, text } from "./fixtures.ts";

test.after.always(stopTopologies);

interface Followed {
  readonly follower: Follower;
  readonly sequences: number[];
  readonly interruptions: string[];
}

function start(
  t: ExecutionContext,
  link: NatsLink,
  options: Partial<FollowerOptions> & { stream: string; subjects: string[] },
): Followed {
  const sequences: number[] = [];
  const interruptions: string[] = [];
  const follower = follow(link, {
    onMessage: ({ sequence }) => void sequences.push(sequence),
    onInterruption: (reason) => void interruptions.push(reason),
    ...options,
  });
  t.teardown(() => follower.close());
  return { follower, sequences, interruptions };
}

/** The same connection, but each of these sequences is lost on its way, once. */
function losing(link: NatsLink, sequences: number[]): NatsLink {
  const left = new Set(sequences);
  const nc = bound(link.nc, {
    subscribe: (subject: string, options: { callback: MsgCallback<Msg> }) =>
      link.nc.subscribe(subject, {
        callback: (error, message) => {
          const delivery = parseDelivery(message.reply ?? "");
          if (delivery && left.delete(delivery.streamSequence)) return;
          void options.callback(error, message);
        },
      }),
  });
  return bound(link, { nc });
}

/** An object that is another one but for some members. */
function bound<T extends object>(target: T, members: Record<string, unknown>): T {
  return new Proxy(target, {
    get: (_, key) => {
      if (typeof key === "string" && key in members) return members[key];
      const value: unknown = Reflect.get(target, key, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

const range = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, i) => from + i);

async function consumersOf(link: NatsLink, stream: string): Promise<string[]> {
  const answer = await callApi(link.requests, `CONSUMER.NAMES.${stream}`, undefined);
  return (answer.consumers ?? []) as string[];
}

forEachTopology((title, topology) => {
  const open = async (t: ExecutionContext) => {
    const servers = await topology();
    const link = await openLink(t, servers);
    const { stream, prefix } = await openStream(t, link, servers);
    const publish = async (name: string, count: number, size = 1): Promise<void> => {
      const write = () =>
        link.publisher.guardedPublish(`${prefix}.${name}`, new Uint8Array(size), {
          expect: 0,
          expectSubject: `${prefix}.nothing`,
          headers: [["Nats-Msg-Id", newId()]], // a write that is retried is stored once
        });
      for (let i = 0; i < count; i += 10)
        await Promise.all(Array.from({ length: Math.min(10, count - i) }, write));
    };
    return { link, stream, prefix, publish };
  };

  test(`${title}: a follower hands over what is stored, then what comes, in order`, async (t) => {
    const { link, stream, prefix } = await open(t);
    const write = (name: string, i: number) =>
      link.publisher.publish(`${prefix}.${name}`, bytes(`${i}`), [["Kind", `${i}`]]);
    for (let i = 1; i <= 5; i++) await write(i % 2 ? "a" : "b", i);
    const seen: unknown[] = [];
    const { follower } = start(t, link, {
      stream,
      subjects: [`${prefix}.a`, `${prefix}.c`],
      onMessage: ({ subject, sequence, headers, data, timeMs }) =>
        void seen.push([subject.slice(-1), sequence, headers.get("Kind"), text(data), timeMs > 0]),
    });
    await follower.caughtUp;
    const expected = (name: string, i: number) => [name, i, `${i}`, `${i}`, true];
    t.deepEqual(seen, [expected("a", 1), expected("a", 3), expected("a", 5)]);
    t.true(follower.position >= 5);
    await write("b", 6);
    await write("c", 7);
    await until(() => seen.length === 4);
    t.deepEqual(seen[3], expected("c", 7));
    t.is(follower.position, 7);
  });

  test(`${title}: a follower begins at the sequence it is given and leaves payloads out if told to`, async (t) => {
    const { link, stream, prefix, publish } = await open(t);
    await publish("a", 10, 100);
    const sizes: number[] = [];
    const { follower, sequences } = start(t, link, {
      stream,
      subjects: [`${prefix}.>`],
      from: 7,
      headersOnly: true,
      onMessage: ({ sequence, data, headers }) => {
        sequences.push(sequence);
        sizes.push(data.length);
        t.is(headers.get("Nats-Msg-Size"), "100");
      },
    });
    t.is(follower.position, 6);
    await follower.caughtUp;
    t.deepEqual(sequences, [7, 8, 9, 10]);
    t.deepEqual(new Set(sizes), new Set([0]));
  });

  test(`${title}: a follower of no subject in particular follows all of the stream`, async (t) => {
    const { link, stream, prefix } = await open(t);
    const write = (name: string): Promise<unknown> =>
      link.publisher.publish(`${prefix}.${name}`, bytes(""));
    await write("a");
    const { follower, sequences } = start(t, link, { stream, subjects: [] });
    await follower.caughtUp;
    t.deepEqual(sequences, [1]);
    await write("b.c");
    await write("a");
    await until(() => sequences.length === 3);
    t.deepEqual(sequences, [1, 2, 3]);
  });

  test(`${title}: a follower can begin with the last message of each subject`, async (t) => {
    const { link, stream, prefix } = await open(t);
    for (const name of ["a", "b", "a", "c", "b"])
      await link.publisher.publish(`${prefix}.${name}`, bytes(""));
    const { follower, sequences } = start(t, link, {
      stream,
      subjects: [`${prefix}.>`],
      from: "last-per-subject",
    });
    await follower.caughtUp;
    t.deepEqual(sequences, [3, 4, 5]);
    for (const name of ["a", "a"]) await link.publisher.publish(`${prefix}.${name}`, bytes(""));
    await until(() => sequences.length === 5);
    t.deepEqual(sequences, [3, 4, 5, 6, 7]);
  });

  test(`${title}: a follower of nothing has caught up, and its position follows the stream`, async (t) => {
    const { link, stream, prefix, publish } = await open(t);
    const empty = start(t, link, { stream, subjects: [`${prefix}.none`] });
    await empty.follower.caughtUp;
    await publish("a", 20);
    await until(() => empty.follower.position === 20);
    const late = start(t, link, { stream, subjects: [`${prefix}.none`] });
    await late.follower.caughtUp;
    await until(() => late.follower.position === 20);
    await link.publisher.publish(`${prefix}.none`, bytes(""));
    await until(() => empty.sequences.length === 1 && late.sequences.length === 1);
    t.is(late.follower.position, 21);
  });

  test(`${title}: the position counts what is done, not what is handed over`, async (t) => {
    const { link, stream, prefix, publish } = await open(t);
    await publish("a", 3);
    const held: (() => void)[] = [];
    const { follower } = start(t, link, {
      stream,
      subjects: [`${prefix}.a`],
      onMessage: () => new Promise((resolve) => held.push(resolve)),
    });
    for (let i = 0; i < 3; i++) {
      await until(() => held.length === i + 1);
      t.is(follower.position, i);
      held[i]?.();
    }
    await follower.caughtUp;
    t.is(follower.position, 3);
  });

  test(`${title}: a follower catches up although the last message it waits for is purged`, async (t) => {
    const { link, stream, prefix, publish } = await open(t);
    await publish("a", 20, 1_000_000); // more than is fetched at once
    let release: () => void = () => {};
    const { follower, sequences } = start(t, link, {
      stream,
      subjects: [`${prefix}.a`],
      onMessage: ({ sequence }) => {
        sequences.push(sequence);
        if (sequence > 1) return;
        return new Promise((resolve) => {
          release = resolve;
        });
      },
    });
    await until(() => sequences.length === 1);
    await callApi(link.requests, `STREAM.PURGE.${stream}`, { filter: `${prefix}.a` });
    release();
    await follower.caughtUp;
    t.true(sequences.length < 20);
    t.deepEqual(sequences, range(1, sequences.length));
  });

  test(`${title}: a follower sees that a delivery was lost on the way, and gets it again`, async (t) => {
    const { link, stream, prefix, publish } = await open(t);
    await publish("a", 10);
    // The fourth is lost before others, the last one with nothing behind it.
    const lossy = losing(link, [4, 10]);
    const { follower, sequences, interruptions } = start(t, lossy, {
      stream,
      subjects: [`${prefix}.>`],
    });
    await follower.caughtUp;
    t.deepEqual(sequences, range(1, 10));
    // A new consumer of a cluster may be without a leader for a moment: another interruption.
    const losses = interruptions.filter((reason) => reason !== "no-responders");
    t.deepEqual(losses, ["a delivery was lost", "a delivery was lost"]);
  });

  test(`${title}: a slow receiver is given one message after the other, and not more is fetched than bounded`, async (t) => {
    const { link, stream, prefix, publish } = await open(t);
    await publish("a", 40, 1_000_000);
    const { inBytes: before } = link.nc.stats();
    let release: () => void = () => {};
    let active = 0;
    const { follower, sequences } = start(t, link, {
      stream,
      subjects: [`${prefix}.a`],
      onMessage: async ({ sequence }) => {
        t.is(++active, 1);
        sequences.push(sequence);
        if (sequence === 1)
          await new Promise<void>((resolve) => {
            release = resolve;
          });
        active--;
      },
    });
    await until(() => sequences.length === 1);
    // Heartbeats and answers come by the same way, so what was on its way is here after these.
    for (let i = 0; i < 20; i++) await link.reader.streamState(stream);
    t.true(link.nc.stats().inBytes - before < 12_000_000);
    release();
    await follower.caughtUp;
    t.deepEqual(sequences, range(1, 40));
  });

  test(`${title}: a follower that is in no hurry rests behind each full request, and misses nothing`, async (t) => {
    const { link, stream, prefix, publish } = await open(t);
    const restMs = 7_654_321;
    const rests: (() => void)[] = [];
    const after = (ms: number, fire: () => void) =>
      ms === restMs ? rests.push(fire) && (() => {}) : link.clock.after(ms, fire);
    const calm = bound(link, { clock: bound(link.clock, { after }) });
    const options = { stream, subjects: [`${prefix}.a`], headersOnly: true, restMs };
    const { follower, sequences } = start(t, calm, options);
    await follower.caughtUp;
    await publish("a", 1_300);
    for (const count of [512, 1_024]) {
      await until(() => rests.length === 1 && sequences.length === count);
      // What was on its way is here after these.
      for (let i = 0; i < 5; i++) await link.reader.streamState(stream);
      t.is(sequences.length, count);
      rests.pop()?.();
    }
    await until(() => sequences.length === 1_300);
    t.deepEqual(sequences, range(1, 1_300));
    t.deepEqual(rests, []);
  });

  test(`${title}: a follower whose consumer is deleted goes on where it was`, async (t) => {
    const { link, stream, prefix, publish } = await open(t);
    const { follower, sequences, interruptions } = start(t, link, {
      stream,
      subjects: [`${prefix}.>`],
    });
    await publish("a", 10);
    await until(() => sequences.length === 10);
    const [consumer] = await until(async () => {
      const names = await consumersOf(link, stream);
      return names.length > 0 && names;
    });
    await deleteConsumer(link.requests, { stream, consumer: consumer as string });
    await publish("a", 10);
    await until(() => sequences.length === 20);
    t.deepEqual(sequences, range(1, 20));
    t.true(interruptions.length > 0);
    await follower.close();
    await until(async () => (await consumersOf(link, stream)).length === 0);
  });

  test(`${title}: a follower waits for a stream that is not there, and ends when it is replaced`, async (t) => {
    const { link, stream, prefix, publish } = await open(t);
    await deleteStream(link.requests, stream);
    const { follower, sequences, interruptions } = start(t, link, {
      stream,
      subjects: [`${prefix}.>`],
    });
    await until(() => interruptions.length > 1);
    const { replicas } = await topology();
    const create = () =>
      ensureStream(link.requests, { name: stream, subjects: [`${prefix}.>`], replicas });
    await create();
    await publish("a", 3);
    await until(() => sequences.length === 3);
    await deleteStream(link.requests, stream);
    await create();
    await publish("a", 5);
    const error = await t.throwsAsync(follower.done, { instanceOf: IncompatibleSetupError });
    t.regex(error?.message ?? "", new RegExp(`${stream} was created again`));
    t.deepEqual(sequences, [1, 2, 3]);
  });

  test(`${title}: a receiver that throws ends its follower, and nobody else`, async (t) => {
    const { link, stream, prefix, publish } = await open(t);
    await publish("a", 3);
    for (const fail of [
      () => {
        throw new Error("no");
      },
      () => Promise.reject(new Error("no")),
    ]) {
      const { follower } = start(t, link, { stream, subjects: [`${prefix}.>`], onMessage: fail });
      await t.throwsAsync(follower.done, { message: "no" });
      await t.throwsAsync(follower.caughtUp, { instanceOf: UnavailableError });
      t.is(follower.position, 0);
    }
    const { follower, sequences } = start(t, link, { stream, subjects: [`${prefix}.>`] });
    await follower.caughtUp;
    t.is(sequences.length, 3);
    await follower.close();
    await follower.close();
    await follower.done;
    await publish("a", 1);
    t.is(sequences.length, 3);
  });
});

test("a follower hands over each message once across three kill -9 of its server", async (t) => {
  const server = await startTestServer();
  t.teardown(() => server.stop());
  const link = await openLink(t, server);
  const { stream, prefix } = await openStream(t, link, server);
  const { sequences, interruptions } = start(t, link, { stream, subjects: [`${prefix}.a`] });
  let isOver = false;
  let stored = 0;
  const writer = (async () => {
    while (!isOver) {
      const outcome = await link.publisher.publish(
        `${prefix}.${stored % 3 ? "a" : "b"}`,
        bytes(""),
      );
      if (outcome.ok) stored++;
      else await new Promise((resolve) => setImmediate(resolve));
    }
  })();
  for (let kill = 1; kill <= 3; kill++) {
    const before = sequences.length;
    await until(() => sequences.length > before + 200);
    await server.kill();
    await server.start();
  }
  const before = sequences.length;
  await until(() => sequences.length > before + 200);
  isOver = true;
  await writer;
  const expected = (await link.reader.readSubject(stream, `${prefix}.a`)).map((m) => m.sequence);
  await until(() => sequences.length >= expected.length);
  t.deepEqual(sequences, expected);
  t.true(interruptions.length >= 3);
});

test("a follower goes on after its server was silent for a while", async (t) => {
  const server = await startTestServer();
  t.teardown(() => server.stop());
  const link = await openLink(t, server, { pingIntervalMs: 300, dialTimeoutMs: 500 });
  const { stream, prefix } = await openStream(t, link, server);
  const { sequences } = start(t, link, { stream, subjects: [`${prefix}.a`] });
  await link.publisher.publish(`${prefix}.a`, bytes(""));
  await until(() => sequences.length === 1);
  server.pause();
  await until(() => !link.isConnected);
  server.resume();
  const outcome = await link.publisher.guardedPublish(`${prefix}.a`, bytes(""), { expect: 1 });
  t.true(outcome.ok);
  await until(() => sequences.length === 2);
  t.deepEqual(sequences, [1, 2]);
});

test("R3: followers hand over each message once while the servers are killed one after the other", async (t) => {
  const cluster = await startTestCluster();
  t.teardown(() => cluster.stop());
  const link = await openLink(t, cluster);
  const { stream, prefix } = await openStream(t, link, cluster);
  // Several, so that some of their consumers live on the server that is killed.
  const followed = range(1, 4).map(() => start(t, link, { stream, subjects: [`${prefix}.a`] }));
  let isOver = false;
  t.teardown(() => {
    isOver = true;
  });
  let acknowledged = 0;
  const writer = (async () => {
    for (let i = 0; !isOver; i++) {
      const outcome = await link.publisher.publish(`${prefix}.${i % 3 ? "a" : "b"}`, bytes(""));
      if (outcome.ok) acknowledged++;
      else await new Promise((resolve) => setImmediate(resolve));
    }
  })();
  const { leader } = await leaderOf(link, cluster, stream);
  const servers = [leader, ...cluster.servers.filter((server) => server !== leader)];
  for (const server of servers) {
    const before = acknowledged;
    await until(() => acknowledged > before + 200, { withinMs: 30_000 });
    await server.kill();
    const after = acknowledged;
    await until(() => acknowledged > after + 50, { withinMs: 30_000 });
    await server.start();
  }
  isOver = true;
  await writer;
  const last = await until(() => link.reader.lastFor(stream, `${prefix}.a`, { leader: true }));
  for (const { sequences } of followed)
    await until(() => sequences.at(-1) === last.sequence, { withinMs: 30_000 });
  const expected = await until(async () => {
    const stored = (await link.reader.readSubject(stream, `${prefix}.a`)).map((m) => m.sequence);
    return stored.at(-1) === last.sequence && stored;
  });
  t.true(expected.length > 400);
  for (const { sequences } of followed) t.deepEqual(sequences, expected);
});
