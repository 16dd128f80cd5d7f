/** What the tests of the adapters share: connections that end with their test, streams of their own. */
import type { ExecutionContext } from "ava";
import { deleteStream, ensureStream } from "../../../shared/jetstream/admin.ts";
import {
  connectNats,
  type NatsLink,
  type NatsOptions,
} from "../../../shared/jetstream/connection.ts";
import type { HeaderList } from "../../../shared/jetstream/headers.ts";
import { HEADERS } from "../../../shared/subjects.ts";
import type { TestServer, TestTopology } from "../../helpers/nats.ts";
import { until } from "../../helpers/until.ts";

/** A connection that is closed when the test ends. */
export async function openLink(
  t: ExecutionContext,
  topology: TestTopology,
  options: Partial<NatsOptions> = {},
): Promise<NatsLink> {
  const link = await connectNats({ servers: topology.urls, ...options });
  t.teardown(() => link.close());
  return link;
}

let streamCount = 0;

/** A stream like a log's. Its subjects are `<name in lower case>.>`; it is deleted with the test. */
export async function openStream(
  t: ExecutionContext,
  link: NatsLink,
  topology: TestTopology,
): Promise<{ stream: string; prefix: string }> {
  const stream = `LOG${process.pid}x${streamCount++}`;
  const prefix = stream.toLowerCase();
  await ensureStream(link.requests, {
    name: stream,
    subjects: [`${prefix}.>`],
    replicas: topology.replicas,
    allowSchedules: true,
    allowTimeToLive: true,
    allowRollup: true,
  });
  // The servers of a cluster get to know one after the other who listens for the stream. A write
  // that must be refused shows that ours does.
  await until(async () => {
    const probe = await link.publisher.publish(`${prefix}.probe`, bytes(""), guard(999));
    return !probe.ok && probe.kind === "guard";
  });
  // Before the link is closed: teardowns run in reverse order.
  t.teardown(async () => {
    if (link.isConnected) await deleteStream(link.requests, stream).catch(() => {});
  });
  return { stream, prefix };
}

/** Bytes of a text. */
export function bytes(text: string): Uint8Array {
  return Buffer.from(text);
}

/** The text of bytes. */
export function text(data: Uint8Array | undefined): string | undefined {
  return data === undefined ? undefined : Buffer.from(data).toString();
}

/** Guard headers, for writes that are not to be retried. */
export function guard(expect: number, subject?: string): HeaderList {
  const own = [HEADERS.expectSequence, String(expect)] as const;
  return subject === undefined ? [own] : [own, [HEADERS.expectSubject, subject]];
}

/** The server that leads a stream, and the others. */
export async function leaderOf(
  link: NatsLink,
  topology: TestTopology,
  stream: string,
): Promise<{ leader: TestServer; others: TestServer[] }> {
  const name = await until(async () => (await link.reader.streamState(stream))?.leader);
  const leader = topology.servers.find((server) => server.name === name) as TestServer;
  return { leader, others: topology.servers.filter((server) => server !== leader) };
}
