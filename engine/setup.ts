/**
 * Creates the streams and buckets of a namespace, or checks those that are there. Safe to repeat and
 * to do from several processes at once.
 *
 * S1. The stream of shard 0 is made last: who finds it finds everything.
 * S2. What exists is never weakened: a field that differs is refused by name, except for the few
 *     that may change, and only when they were asked for.
 */
import { type DurationInput, toDurationMs } from "../shared/durations.ts";
import { IncompatibleSetupError, InvalidInputError, UnavailableError } from "../shared/errors.ts";
import {
  accountInfo,
  type Ensured,
  ensureStream,
  streamConfig,
} from "../shared/jetstream/admin.ts";
import { callApi, errorOf } from "../shared/jetstream/api.ts";
import { pause } from "../shared/jetstream/backoff.ts";
import type { NatsLink } from "../shared/jetstream/connection.ts";
import { CREATED_METADATA } from "../shared/jetstream/reader.ts";
import { bucketConfig, type StreamConfig } from "../shared/jetstream/server-config.ts";
import {
  CLAIM_TIMEOUT_MS,
  DEFAULT_SHARD_COUNT,
  EVENTS_KEEP_MS,
  LONGEST_CLAIM_TIMEOUT_MS,
  SHARD_COUNT,
  SHORTEST_CLAIM_TIMEOUT_MS,
  SHORTEST_KEEP_ENDED_MS,
} from "../shared/limits.ts";
import {
  DEFAULT_NAMESPACE,
  FOREVER,
  LOG_FORMAT,
  type NamespaceSetup,
  parseSetup,
  SETUP_METADATA,
} from "../shared/setup.ts";
import { EVENTS_PREFIX, Names } from "../shared/subjects.ts";

/** How a namespace is to be set up. What is not given stays as it is, or gets its default. */
export interface SetupOptions {
  /** @defaultValue `"contrail"` */
  readonly namespace?: string;
  /**
   * Streams the log is spread over, 1 to 64. Fixed when the namespace is created. Four serve better
   * than one, above all when every write is synced.
   * @defaultValue 4
   */
  readonly shards?: number;
  /**
   * Servers that hold each message: 1, 3 or 5. May be changed later.
   * @defaultValue 1
   */
  readonly replicas?: number;
  /**
   * How long events are kept, in milliseconds. A run that waits for longer can miss what was
   * published before it waited, and says so. May be changed later.
   * @defaultValue 30 days
   */
  readonly eventsKeepMs?: number;
  /**
   * How long a run is kept after its end, an hour or more; then the leading engine purges it, its
   * children with it. Its id is free from then on: another start of it is another run. May be changed
   * later, and holds for runs that have ended by then too.
   * @defaultValue 7 days
   */
  readonly keepEndedFor?: DurationInput | "forever";
  /**
   * How long a run stays idle after its worker died, 1,000 to 600,000 ms. Fixed when the namespace is
   * created.
   * @defaultValue 10,000
   */
  readonly claimTimeoutMs?: number;
}

/** The oldest server that fires schedules and checks guards as Contrail needs it. */
export const OLDEST_SERVER = "2.14.5";
const OLDEST_API_LEVEL = 4;
const SHORTEST_EVENTS_KEEP_MS = 60_000;
const LONGEST_EVENTS_KEEP_MS = 100 * 365 * 86_400_000;
/** Message ids are of no use in the log, where guards do their work; the server insists on some. */
const LOG_DUPLICATE_WINDOW_MS = 100;
/** Watchers of the buckets see for so long that a key's time was over. */
const MARKER_MS = 10_000;
/** Setting up waits at most so long for a server to answer for JetStream. */
const ANSWER_MS = 5_000;
/** Another process may be in the middle of setting up the same namespace. */
const SETTLE_TRIES = 20;
const SETTLE_PAUSE_MS = 100;

/**
 * Creates the namespace, or checks that it is as it has to be.
 * @throws {IncompatibleSetupError} When the server is too old or has no JetStream, or a stream or
 * bucket exists with another value in some field, which the message names.
 * @throws {InvalidInputError} When an option is out of its range.
 * @throws {UnavailableError} When no server answers.
 */
export async function setupNamespace(
  link: NatsLink,
  options: SetupOptions = {},
): Promise<NamespaceSetup> {
  checkOptions(options);
  keepEndedText(options);
  await checkServer(link);
  for (let tries = 0; ; tries++) {
    const wanted = await resolveSetup(link, options);
    try {
      return await ensureAll(link, wanted, options);
    } catch (error) {
      const isOther = error instanceof IncompatibleSetupError && options.shards === undefined;
      if (!isOther || wanted.exists || tries >= SETTLE_TRIES) throw error;
      // Another process sets it up with more or fewer shards, at this moment: find what it decided.
      await pause(link.clock, SETTLE_PAUSE_MS);
    }
  }
}

async function ensureAll(
  link: NatsLink,
  wanted: WantedSetup,
  options: SetupOptions,
): Promise<NamespaceSetup> {
  for (const { config, mayDiffer, isNumbered } of expectedStreams(wanted)) {
    const ensured = await ensureStream(link.requests, config, { mayDiffer });
    const created = isNumbered && (await link.reader.streamState(config.name))?.created;
    await adjust(link, config.name, ensured, { ...options, created: created || undefined });
  }
  const { names } = wanted;
  const { namespace, shardCount, claimTimeoutMs } = wanted;
  return { namespace, shardCount, claimTimeoutMs, names };
}

/** A namespace with what may be changed in it. */
export interface AdjustableSetup extends NamespaceSetup {
  readonly replicas: number;
  readonly eventsKeepMs: number;
}

interface WantedSetup extends AdjustableSetup {
  readonly exists: boolean;
}

/** A stream as it has to be. */
export interface ExpectedStream {
  readonly config: StreamConfig;
  /** Fields, by the server's names, that may have other values than in `config`. */
  readonly mayDiffer: readonly string[];
  /** Whether runs know its messages by their numbers: those must not mean others after a restore. */
  readonly isNumbered: boolean;
}

/** The streams of a namespace, those behind its buckets too, in the order in which they are made. */
export function expectedStreams(setup: AdjustableSetup): ExpectedStream[] {
  const { names, replicas, shardCount } = setup;
  const buckets = bucketsOf(names).map((bucket) =>
    bucketConfig({ ...bucket, replicas, history: 1, deleteMarkerMs: MARKER_MS }),
  );
  const logs = Array.from({ length: shardCount }, (_, shard) => logConfig(setup, shard)).reverse();
  return [
    { config: eventsConfig(setup), mayDiffer: ["num_replicas", "max_age"], isNumbered: true },
    ...[...buckets, payloadsConfig(setup), ...logs].map((config) => ({
      config,
      mayDiffer: ["num_replicas"],
      isNumbered: logs.includes(config),
    })),
  ];
}

/** Takes from the namespace, if it exists, what was not asked for otherwise. */
async function resolveSetup(link: NatsLink, options: SetupOptions): Promise<WantedSetup> {
  const { namespace = DEFAULT_NAMESPACE } = options;
  const stream = new Names(namespace, 1).logStream(0);
  const found = await streamConfig(link.requests, stream);
  const setup = found && parseSetup(namespace, stream, found);
  const shardCount = options.shards ?? setup?.shardCount ?? DEFAULT_SHARD_COUNT;
  const claimTimeoutMs = options.claimTimeoutMs ?? setup?.claimTimeoutMs ?? CLAIM_TIMEOUT_MS;
  for (const [option, asked, made] of [
    ["shards", shardCount, setup?.shardCount],
    ["claimTimeoutMs", claimTimeoutMs, setup?.claimTimeoutMs],
  ] as const)
    if (made !== undefined && asked !== made)
      throw new IncompatibleSetupError(
        `The namespace "${namespace}" was created with ${option} = ${made}, not ${asked}. This is fixed for its life: leave the option out, or use another namespace.`,
        { namespace, option, found: made, expected: asked },
      );
  return {
    namespace,
    shardCount,
    claimTimeoutMs,
    names: new Names(namespace, shardCount),
    replicas: options.replicas ?? Number(found?.num_replicas ?? 1),
    eventsKeepMs: options.eventsKeepMs ?? EVENTS_KEEP_MS,
    exists: setup !== undefined,
  };
}

/** What one shard of the log is: nothing may ever drop entries behind our back. */
function logConfig(wanted: AdjustableSetup, shard: number): StreamConfig {
  const { names, namespace, shardCount, claimTimeoutMs, replicas } = wanted;
  return {
    name: names.logStream(shard),
    description: `Contrail log of namespace ${namespace}, shard ${shard} of ${shardCount}`,
    subjects: [names.logSubjects(shard)],
    replicas,
    discard: "old",
    duplicateWindowMs: LOG_DUPLICATE_WINDOW_MS,
    allowSchedules: true,
    allowTimeToLive: true,
    allowRollup: true,
    denyDelete: true,
    republish: {
      source: names.logSubjects(shard),
      destination: names.liveSubjects,
    },
    metadata: {
      [SETUP_METADATA.format]: String(LOG_FORMAT),
      [SETUP_METADATA.shards]: String(shardCount),
      [SETUP_METADATA.claimTimeoutMs]: String(claimTimeoutMs),
    },
  };
}

/** Anybody may publish events, so the stream accepts nothing that could remove or delay any. */
function eventsConfig({ names, namespace, replicas, eventsKeepMs }: AdjustableSetup): StreamConfig {
  return {
    name: names.eventsStream,
    description: `Contrail events of namespace ${namespace}`,
    subjects: [`${EVENTS_PREFIX}>`],
    replicas,
    maxAgeMs: eventsKeepMs,
    discard: "old",
    allowSchedules: false,
    allowTimeToLive: false,
    allowRollup: false,
    denyDelete: true,
    denyPurge: true,
  };
}

/** The object store of values too large for the log, by the conventions that all NATS clients share. */
function payloadsConfig({ names, namespace, replicas }: AdjustableSetup): StreamConfig {
  return {
    name: names.payloadsStream,
    description: `Contrail payloads of namespace ${namespace}`,
    subjects: names.payloadSubjects,
    replicas,
    discard: "new",
    allowRollup: true,
  };
}

function bucketsOf(names: Names): { readonly bucket: string; readonly description: string }[] {
  return [
    { bucket: names.slotsBucket("regular"), description: "Who holds slots for regular runs" },
    { bucket: names.slotsBucket("durable"), description: "Who holds slots for durable runs" },
    { bucket: names.engineBucket, description: "Which engine leads" },
  ];
}

/** Changes what was asked for and may be changed. */
async function adjust(
  link: NatsLink,
  stream: string,
  { config, differences }: Ensured,
  options: SetupOptions & { readonly created: string | undefined },
): Promise<void> {
  const changes = differences.filter(
    ({ field }) =>
      (field === "num_replicas" && options.replicas !== undefined) ||
      (field === "max_age" && options.eventsKeepMs !== undefined),
  );
  const changed = {
    ...Object.fromEntries(changes.map(({ field, expected }) => [field, expected])),
    ...changedMetadata(config, options),
  };
  if (Object.keys(changed).length === 0) return;
  const request = { ...config, ...changed };
  const answer = await callApi(link.requests, `STREAM.UPDATE.${stream}`, request);
  const error = errorOf(answer);
  if (error !== undefined)
    throw new IncompatibleSetupError(
      `The stream ${stream} could not be changed in ${Object.keys(changed).join(", ")}: ${error.description} (${error.err_code}).`,
      { stream, errorCode: error.err_code },
    );
}

/**
 * The metadata of a stream with the keep time that was asked for, if it is one of the log and has
 * another, and with the time of its creation, if it does not tell that yet.
 */
function changedMetadata(
  config: Readonly<Record<string, unknown>>,
  options: SetupOptions & { readonly created: string | undefined },
): { readonly metadata?: Readonly<Record<string, string>> } {
  const metadata = (config["metadata"] ?? {}) as Readonly<Record<string, string>>;
  const isLog = metadata[SETUP_METADATA.format] !== undefined;
  const keepTime = isLog ? keepEndedText(options) : undefined;
  const wanted = {
    ...(keepTime === undefined ? {} : { [SETUP_METADATA.keepEndedMs]: keepTime }),
    ...(options.created === undefined ? {} : { [CREATED_METADATA]: options.created }),
  };
  if (Object.entries(wanted).every(([key, value]) => metadata[key] === value)) return {};
  return { metadata: { ...metadata, ...wanted } };
}

/** How the keep time is stored; nothing when none was asked for. */
function keepEndedText({ keepEndedFor }: SetupOptions): string | undefined {
  if (keepEndedFor === undefined || keepEndedFor === FOREVER) return keepEndedFor;
  const ms = toDurationMs(keepEndedFor, "option keepEndedFor");
  if (ms >= SHORTEST_KEEP_ENDED_MS) return String(ms);
  throw new InvalidInputError(
    `The option keepEndedFor is ${ms} ms. Expected an hour or more, or "${FOREVER}".`,
    { value: keepEndedFor },
  );
}

/** Refuses a server that cannot do what the log needs. */
async function checkServer(link: NatsLink): Promise<void> {
  const { serverVersion } = link;
  if (isOlder(serverVersion, OLDEST_SERVER))
    throw new IncompatibleSetupError(
      `The server is nats-server ${serverVersion}. Contrail needs ${OLDEST_SERVER} or newer, which fires scheduled messages reliably: update the server.`,
      { found: serverVersion, expected: OLDEST_SERVER },
    );
  const info = await accountInfo(link.requests, { withinMs: ANSWER_MS }).catch(withoutJetStream);
  if (info.apiLevel < OLDEST_API_LEVEL)
    throw new IncompatibleSetupError(
      `JetStream of this server has API level ${info.apiLevel}. Contrail needs level ${OLDEST_API_LEVEL}, which nats-server ${OLDEST_SERVER} has: update all servers of the cluster.`,
      { found: info.apiLevel, expected: OLDEST_API_LEVEL },
    );
}

function withoutJetStream(cause: unknown): never {
  const isSilent = cause instanceof UnavailableError && "answer" in cause;
  if (!isSilent || cause.answer !== "no-responders") throw cause;
  throw new IncompatibleSetupError(
    "The server has no JetStream for this account. Start nats-server with JetStream (`nats-server -js`), and enable it for the account.",
    { cause },
  );
}

/** Whether a version such as "2.14.5" or "2.15.0-beta.1" comes before another. */
export function isOlder(version: string, than: string): boolean {
  const numbers = (text: string): number[] =>
    (/^v?(\d+)\.(\d+)\.(\d+)/.exec(text) ?? []).slice(1).map(Number);
  const [found, expected] = [numbers(version), numbers(than)];
  for (let i = 0; i < expected.length; i++) {
    const difference = (found[i] ?? 0) - (expected[i] as number);
    if (difference !== 0) return difference < 0;
  }
  return false;
}

function checkOptions(options: SetupOptions): void {
  checkWhole("shards", options.shards, 1, SHARD_COUNT);
  checkWhole(
    "claimTimeoutMs",
    options.claimTimeoutMs,
    SHORTEST_CLAIM_TIMEOUT_MS,
    LONGEST_CLAIM_TIMEOUT_MS,
  );
  checkWhole("eventsKeepMs", options.eventsKeepMs, SHORTEST_EVENTS_KEEP_MS, LONGEST_EVENTS_KEEP_MS);
  const { replicas } = options;
  if (replicas !== undefined && ![1, 3, 5].includes(replicas))
    throw new InvalidInputError(`The option replicas is ${replicas}. Expected 1, 3 or 5.`, {
      value: replicas,
    });
}

function checkWhole(option: string, value: number | undefined, from: number, to: number): void {
  if (value === undefined || (Number.isInteger(value) && value >= from && value <= to)) return;
  throw new InvalidInputError(
    `The option ${option} is ${value}. Expected a whole number from ${from} to ${to}.`,
    { value },
  );
}
