/** The streams and consumers of the ceilings: what ours have, without what a ceiling does not need. */
import {
  AckPolicy,
  type JetStreamManager,
  jetstreamManager,
  StorageType,
} from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/transport-node";

/** How the streams are made. */
export interface RawSetup {
  readonly shards: number;
  readonly replicas: number;
}

/** What a run of a ceiling begins with, each kind with consumers of its own. */
export type RawKind = "start" | "nap" | "ready";

/** Subjects of one run are `bench-raw.<shard>.<run>.<kind>`. */
export const RAW_PREFIX = "bench-raw";
/** Histories are republished under this, followed by the run. */
export const RAW_LIVE = "bench-raw-live";
/** Events are published under this, followed by shard and run. */
export const RAW_EVENTS = "bench-raw-events";
const STREAM = "BENCH_RAW";
/** The stream of the events. */
export const RAW_EVENTS_STREAM = "BENCH_RAW_EVENTS";

const KINDS: readonly RawKind[] = ["start", "nap", "ready"];

/** The stream of one shard. */
export function rawStream(shard: number): string {
  return `${STREAM}_${shard}`;
}

/** Makes them anew. */
export async function makeRawStreams(nc: NatsConnection, setup: RawSetup): Promise<void> {
  const manager = await jetstreamManager(nc);
  await removeRawStreams(nc);
  await Promise.all(Array.from({ length: setup.shards }, (_, i) => makeShard(manager, i, setup)));
  await manager.streams.add({
    name: RAW_EVENTS_STREAM,
    subjects: [`${RAW_EVENTS}.>`],
    storage: StorageType.File,
    num_replicas: setup.replicas,
  });
  await addConsumer(manager, RAW_EVENTS_STREAM, "matcher", `${RAW_EVENTS}.>`);
}

/** Removes them with everything in them. */
export async function removeRawStreams(nc: NatsConnection): Promise<void> {
  const manager = await jetstreamManager(nc);
  for await (const { config } of manager.streams.list())
    if (config.name.startsWith(STREAM)) await manager.streams.delete(config.name);
}

/** Removes every stream and bucket of a namespace; only for one that the suite made. */
export async function removeNamespace(nc: NatsConnection, namespace: string): Promise<void> {
  const manager = await jetstreamManager(nc);
  for await (const { config } of manager.streams.list())
    if (config.name.startsWith(`${namespace}_`) || config.name.startsWith(`KV_${namespace}_`))
      await manager.streams.delete(config.name);
}

async function makeShard(
  manager: JetStreamManager,
  shard: number,
  { replicas }: RawSetup,
): Promise<void> {
  await manager.streams.add({
    name: rawStream(shard),
    subjects: [`${RAW_PREFIX}.${shard}.>`],
    storage: StorageType.File,
    num_replicas: replicas,
    allow_direct: true,
    allow_msg_schedules: true,
    republish: { src: `${RAW_PREFIX}.${shard}.*.h`, dest: `${RAW_LIVE}.{{wildcard(1)}}` },
  });
  for (const kind of KINDS)
    await addConsumer(manager, rawStream(shard), kind, `${RAW_PREFIX}.${shard}.*.${kind}`);
}

async function addConsumer(
  manager: JetStreamManager,
  stream: string,
  name: string,
  subject: string,
): Promise<void> {
  await manager.consumers.add(stream, {
    durable_name: name,
    filter_subject: subject,
    ack_policy: AckPolicy.Explicit,
    max_ack_pending: -1,
  });
}
