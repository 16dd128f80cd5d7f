/**
 * Copies that keep what is erased: a mirror of each stream whose loss would lose runs, without rollups
 * and without the right to purge or delete. And the way back, when a stream was erased.
 *
 * M1. Nothing is removed before it is certain that the mirror has all that it had, and a mirror is not
 *     removed before its stream is complete again. So a restore that was cut off is simply repeated.
 * M2. Sequences stay as they were: guards, tokens and waits are made of them. A mirror of the mirror
 *     keeps them, and becomes the stream when it is complete.
 * M3. The mirror's metadata hold the configuration of its stream, in case that is gone too.
 */
import type * as Server from "@nats-io/jetstream";
import { IncompatibleSetupError } from "../shared/errors.ts";
import { deleteStream } from "../shared/jetstream/admin.ts";
import { type ApiAnswer, callApi, errorOf, isMissing } from "../shared/jetstream/api.ts";
import { pause } from "../shared/jetstream/backoff.ts";
import { connectNats, type NatsLink, type NatsOptions } from "../shared/jetstream/connection.ts";
import { CREATED_METADATA } from "../shared/jetstream/reader.ts";
import { DEFAULT_NAMESPACE, readSetup, SETUP_METADATA } from "../shared/setup.ts";
import { Names } from "../shared/subjects.ts";

/** A stream and its mirror. */
export interface Mirrored {
  readonly stream: string;
  readonly mirror: string;
  /** Messages that the mirror holds, those that its stream has purged since included. */
  readonly messages: number;
}

/** Key of a mirror's metadata: the configuration of its stream, as JSON. */
const ORIGIN_METADATA = "contrail.origin";
const POLL_MS = 100;

type Config = Partial<Server.StreamConfig>;

/** What the server tells of a stream, as far as it matters here. */
interface Found {
  readonly config: Config;
  readonly created: string;
  readonly messages: number;
  readonly lastSequence: number;
}

/** The name of a stream's mirror. */
export function mirrorName(stream: string): string {
  return `${stream}_mirror`;
}

/** The streams of a namespace that hold what cannot be made again, shard 0 of the log last. */
export function mirroredStreams(names: Names): string[] {
  const logs = Array.from({ length: names.shardCount }, (_, shard) => names.logStream(shard));
  return [names.payloadsStream, names.eventsStream, ...logs.reverse()];
}

/**
 * Makes a mirror of each stream that has none. Each copies all that is stored, and then follows.
 * @throws {IncompatibleSetupError} When there is no such namespace, or the server refuses.
 */
export async function makeMirrors(
  options: NatsOptions & { readonly namespace?: string },
): Promise<Mirrored[]> {
  return withLink(options, async (link) => {
    const { names } = await readSetup(link, options.namespace);
    const made: Mirrored[] = [];
    for (const stream of mirroredStreams(names)) made.push(await makeMirror(link, stream));
    return made;
  });
}

/**
 * Makes the streams of a namespace again what their mirrors are, whatever was erased from them or
 * whether they are there at all. Engines, workers and clients have to be stopped. Safe to repeat.
 * @throws {IncompatibleSetupError} When a mirror is missing, or has less than its stream; nothing of
 * that stream is touched then.
 */
export async function restoreFromMirrors(
  options: NatsOptions & { readonly namespace?: string },
): Promise<Mirrored[]> {
  return withLink(options, async (link) => {
    const streams = mirroredStreams(await namesByMirror(link, options.namespace));
    for (const stream of streams) await checkMirror(link, stream);
    const restored: Mirrored[] = [];
    for (const stream of streams) {
      await restore(link, stream);
      restored.push(await makeMirror(link, stream));
    }
    return restored;
  });
}

async function makeMirror(link: NatsLink, stream: string): Promise<Mirrored> {
  const mirror = mirrorName(stream);
  const origin = await find(link, stream);
  if (!origin) throw refusal(stream, "is missing");
  const found = await find(link, mirror);
  if (found) return { stream, mirror, messages: found.messages };
  const { config, created } = origin;
  const kept = { ...config, metadata: { ...ownMetadata(config), [CREATED_METADATA]: created } };
  const made = await demand<{ state?: { messages?: number } }>(link, `STREAM.CREATE.${mirror}`, {
    ...copying(mirror, stream, config),
    description: `Contrail mirror of ${stream}: keeps what is erased there`,
    deny_delete: true,
    deny_purge: true,
    metadata: { [ORIGIN_METADATA]: JSON.stringify(kept) },
  });
  return { stream, mirror, messages: made.state?.messages ?? 0 };
}

/**
 * A stream that is filled from another one, and accepts nothing else. It is given no right or
 * prohibition: what its stream has of them is set when it is complete, and some cannot be taken back.
 */
function copying(name: string, from: string, { num_replicas, duplicate_window }: Config): Config {
  return {
    ...{ name, mirror: { name: from }, storage: "file", retention: "limits", allow_direct: true },
    ...{ num_replicas, duplicate_window },
  } as Config;
}

/** The namespace as its mirrors tell it: its own streams may be gone. */
async function namesByMirror(link: NatsLink, namespace = DEFAULT_NAMESPACE): Promise<Names> {
  const stream = new Names(namespace, 1).logStream(0);
  const mirror = await find(link, mirrorName(stream));
  if (!mirror) throw refusal(stream, "has no mirror, so there is nothing to restore it from");
  const shards = originOf(mirror, stream).metadata?.[SETUP_METADATA.shards];
  return new Names(namespace, Number(shards));
}

async function checkMirror(link: NatsLink, stream: string): Promise<void> {
  const [origin, mirror] = [await find(link, stream), await find(link, mirrorName(stream))];
  if (!mirror) {
    if (origin && !origin.config.mirror) return; // restored before, its mirror is made anew
    throw refusal(stream, "has no mirror, so there is nothing to restore it from");
  }
  originOf(mirror, stream);
  if (origin && mirror.config.mirror && origin.lastSequence > mirror.lastSequence)
    throw refusal(
      stream,
      `ends at ${origin.lastSequence} and its mirror at ${mirror.lastSequence}: stop what writes to it, and wait until the mirror has all of it`,
    );
}

async function restore(link: NatsLink, stream: string): Promise<void> {
  const mirrorStream = mirrorName(stream);
  const mirror = await find(link, mirrorStream);
  if (!mirror) return;
  const origin = await find(link, stream);
  const isCopying = origin?.config.mirror !== undefined;
  const isRestored = origin !== undefined && !isCopying && mirror.config.mirror === undefined;
  if (!isRestored) {
    const wanted = originOf(mirror, stream);
    if (!isCopying) {
      await deleteStream(link.requests, stream);
      await release(link, mirrorStream, mirror);
      const copy = copying(stream, mirrorStream, wanted);
      await demand(link, `STREAM.CREATE.${stream}`, copy);
    }
    await untilCopied(link, stream, mirror.lastSequence);
    await demand(link, `STREAM.UPDATE.${stream}`, wanted);
  }
  await deleteStream(link.requests, mirrorStream);
}

/** A mirror that follows its stream cannot be mirrored by it: the server finds a circle. */
async function release(link: NatsLink, name: string, { config }: Found): Promise<void> {
  if (!config.mirror) return;
  const { mirror: _, ...rest } = config;
  await demand(link, `STREAM.UPDATE.${name}`, { ...rest, subjects: [name] });
}

async function untilCopied(link: NatsLink, stream: string, sequence: number): Promise<void> {
  for (;;) {
    const found = await find(link, stream);
    if (found && found.lastSequence >= sequence) return;
    await pause(link.clock, POLL_MS);
  }
}

function originOf({ config }: Found, stream: string): Config {
  const text = config.metadata?.[ORIGIN_METADATA];
  if (text === undefined)
    throw refusal(
      stream,
      `has a mirror that "contrail mirror" did not make, so how it was is unknown`,
    );
  return JSON.parse(text) as Config;
}

/** What the server adds by itself is its own business, and differs with its version. */
function ownMetadata({ metadata = {} }: Config): Record<string, string> {
  return Object.fromEntries(Object.entries(metadata).filter(([key]) => !key.startsWith("_nats.")));
}

async function find(link: NatsLink, stream: string): Promise<Found | undefined> {
  const state = await link.reader.streamState(stream);
  if (!state) return undefined;
  const { created, messageCount: messages, lastSequence } = state;
  return { config: state.config as Config, created, messages, lastSequence };
}

async function demand<Answer extends object>(
  link: NatsLink,
  path: string,
  config: object,
): Promise<ApiAnswer<Answer>> {
  const answer = await callApi<Answer>(link.requests, path, config);
  const error = errorOf(answer);
  if (error === undefined && !isMissing(answer)) return answer;
  throw new IncompatibleSetupError(
    `The server refused ${path} with "${error?.description}" (${error?.err_code}).`,
    { path, errorCode: error?.err_code },
  );
}

function refusal(stream: string, what: string): IncompatibleSetupError {
  return new IncompatibleSetupError(`The stream ${stream} ${what}.`, { stream });
}

async function withLink<T>(options: NatsOptions, use: (link: NatsLink) => Promise<T>): Promise<T> {
  const link = await connectNats({ name: "contrail mirror", ...options });
  try {
    return await use(link);
  } finally {
    await link.close();
  }
}
