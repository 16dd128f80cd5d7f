/** Configurations in our words, and in the server's: there, times are nanoseconds. */
import type * as Server from "@nats-io/jetstream";

/** A stream. What is not given is as the server has it by default. */
export interface StreamConfig {
  readonly name: string;
  readonly description?: string;
  readonly subjects: readonly string[];
  /** 1, 3 or 5. */
  readonly replicas: number;
  /** Default "file". */
  readonly storage?: "file" | "memory";
  /** Messages older than this are removed. Default never. */
  readonly maxAgeMs?: number;
  readonly maxBytes?: number;
  readonly maxMessagesPerSubject?: number;
  /** What to do at a limit. Default "old": remove the oldest messages. */
  readonly discard?: "old" | "new";
  /** How long message ids are remembered. Default as the server's, two minutes. */
  readonly duplicateWindowMs?: number;
  /** Accept messages that are to be sent later. Cannot be taken back. */
  readonly allowSchedules?: boolean;
  /** Accept messages with a time to live of their own. Cannot be taken back. */
  readonly allowTimeToLive?: boolean;
  /** Leave a marker for so long when a key's time to live is over. Needs `allowTimeToLive`. */
  readonly deleteMarkerMs?: number;
  /** Accept messages that replace all earlier ones of their subject. */
  readonly allowRollup?: boolean;
  /** Let every replica answer reads. Default true. */
  readonly allowDirect?: boolean;
  /** Refuse to delete single messages. Cannot be taken back. */
  readonly denyDelete?: boolean;
  /** Refuse to purge messages. Cannot be taken back, nor be had together with rollups. */
  readonly denyPurge?: boolean;
  /** Publish what is stored to plain subscribers too. */
  readonly republish?: {
    readonly source: string;
    readonly destination: string;
    readonly headersOnly?: boolean;
  };
  readonly metadata?: Readonly<Record<string, string>>;
}

/** A durable pull consumer with explicit acknowledgements. */
export interface ConsumerConfig {
  readonly name: string;
  readonly description?: string;
  readonly filterSubjects: readonly string[];
  /** An unacknowledged message is delivered again after this. Not under 1. */
  readonly ackWaitMs: number;
  /** How often a message is delivered at most. Default -1, no limit. */
  readonly maxDeliver?: number;
  /** How many messages may be unacknowledged at once. Default -1, no limit. */
  readonly maxAckPending?: number;
  /** How many pull requests may wait at once. Default as the server's, 512. */
  readonly maxWaiting?: number;
  /** Which messages are delivered first. Default "all". */
  readonly deliver?: "all" | "new";
  /** Default as the stream's. */
  readonly replicas?: number;
  readonly metadata?: Readonly<Record<string, string>>;
}

/** A key-value bucket, as any NATS client reads it. */
export interface BucketConfig {
  readonly bucket: string;
  readonly description?: string;
  readonly replicas: number;
  readonly storage?: "file" | "memory";
  /** Values kept per key, 1 to 64. Default 1. */
  readonly history?: number;
  /** All values live so long at most. Default for ever. */
  readonly timeToLiveMs?: number;
  /** Accept values with a time to live of their own; watchers see a marker for this long. */
  readonly deleteMarkerMs?: number;
}

/** The stream in the server's words; only what is given. */
export function toServerStream(config: StreamConfig): Partial<Server.StreamConfig> {
  const { republish } = config;
  return compact<Server.StreamConfig>({
    name: config.name,
    description: config.description,
    subjects: [...config.subjects],
    retention: "limits",
    storage: config.storage ?? "file",
    num_replicas: config.replicas,
    max_age: nanoseconds(config.maxAgeMs ?? 0),
    max_bytes: config.maxBytes ?? -1,
    max_msgs: -1,
    max_msgs_per_subject: config.maxMessagesPerSubject ?? -1,
    discard: config.discard ?? "old",
    duplicate_window: optionalNanoseconds(config.duplicateWindowMs),
    allow_msg_schedules: config.allowSchedules,
    allow_msg_ttl: config.allowTimeToLive,
    subject_delete_marker_ttl: optionalNanoseconds(config.deleteMarkerMs),
    allow_rollup_hdrs: config.allowRollup,
    allow_direct: config.allowDirect ?? true,
    deny_delete: config.denyDelete,
    deny_purge: config.denyPurge,
    republish: republish && {
      src: republish.source,
      dest: republish.destination,
      headers_only: republish.headersOnly ?? false,
    },
    metadata: config.metadata,
  });
}

/** The consumer in the server's words; only what is given. */
export function toServerConsumer(config: ConsumerConfig): Partial<Server.ConsumerConfig> {
  const { filterSubjects } = config;
  return compact<Server.ConsumerConfig>({
    name: config.name,
    durable_name: config.name,
    description: config.description,
    // The server returns a list of one as it was given; other clients expect the single field.
    ...(filterSubjects.length === 1
      ? { filter_subject: filterSubjects[0] }
      : { filter_subjects: [...filterSubjects] }),
    ack_policy: "explicit",
    ack_wait: nanoseconds(config.ackWaitMs),
    deliver_policy: config.deliver ?? "all",
    replay_policy: "instant",
    max_deliver: config.maxDeliver ?? -1,
    max_ack_pending: config.maxAckPending ?? -1,
    max_waiting: config.maxWaiting,
    num_replicas: config.replicas,
    metadata: config.metadata,
  });
}

/** The stream behind a bucket, by the conventions that all NATS clients share. */
export function bucketConfig(config: BucketConfig): StreamConfig {
  const { bucket, deleteMarkerMs, timeToLiveMs } = config;
  return {
    name: `KV_${bucket}`,
    ...(config.description === undefined ? {} : { description: config.description }),
    subjects: [`$KV.${bucket}.>`],
    replicas: config.replicas,
    storage: config.storage ?? "file",
    maxMessagesPerSubject: config.history ?? 1,
    discard: "new",
    ...(timeToLiveMs === undefined ? {} : { maxAgeMs: timeToLiveMs }),
    ...(deleteMarkerMs === undefined ? {} : { allowTimeToLive: true, deleteMarkerMs }),
    allowRollup: true,
    allowDirect: true,
    denyDelete: true,
  };
}

function nanoseconds(ms: number): number {
  return Math.round(ms * 1e6);
}

function optionalNanoseconds(ms: number | undefined): number | undefined {
  return ms === undefined ? undefined : nanoseconds(ms);
}

function compact<Fields>(
  config: {
    readonly [Field in keyof Fields]?: Fields[Field] | undefined;
  },
): Partial<Fields> {
  const given = Object.entries(config).filter(([, value]) => value !== undefined);
  return Object.fromEntries(given) as Partial<Fields>;
}
