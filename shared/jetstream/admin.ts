/**
 * Creates streams, consumers and buckets, or checks that what exists fits. Safe to repeat and to do
 * from several processes at once: whoever comes second finds what the first one made.
 */
import type { JetStreamAccountStats, PurgeOpts, PurgeResponse } from "@nats-io/jetstream";
import { IncompatibleSetupError, UnavailableError } from "../errors.ts";
import {
  type ApiAnswer,
  type ApiError,
  type ApiOptions,
  callApi,
  errorOf,
  isMissing,
  NOT_ENABLED,
} from "./api.ts";
import { Backoff, pause } from "./backoff.ts";
import {
  type Config,
  type Difference,
  differencesOf,
  differenceText,
} from "./config-differences.ts";
import type { Requests } from "./requests.ts";
import {
  type BucketConfig,
  bucketConfig,
  type ConsumerConfig,
  type StreamConfig,
  toServerConsumer,
  toServerStream,
} from "./server-config.ts";

export { type Difference, differencesOf, differenceText } from "./config-differences.ts";

/** What ensuring came to. */
export interface Ensured {
  /** Whether this call created it, as far as it knows: a repeated request finds its own work. */
  readonly wasCreated: boolean;
  /** Fields that differ and may. */
  readonly differences: readonly Difference[];
  /** The configuration as the server tells it. */
  readonly config: Config;
}

/** How exact to be. */
export interface EnsureOptions extends ApiOptions {
  /** Fields, by the server's names, that may differ from what is wanted. Default none. */
  readonly mayDiffer?: readonly string[];
}

/** What a server says about itself and what its account may use. */
export interface AccountInfo {
  /** The API level of JetStream; 0 for servers before 2.11. */
  readonly apiLevel: number;
  readonly streamCount: number;
  readonly consumerCount: number;
  readonly memoryBytes: number;
  readonly storageBytes: number;
  /** -1 means no limit. */
  readonly limits: {
    readonly memoryBytes: number;
    readonly storageBytes: number;
    readonly streams: number;
    readonly consumers: number;
    readonly maxAckPending: number;
  };
  readonly domain: string | undefined;
}

/** A stream or consumer of this name exists, but is another one. */
const EXISTS: readonly number[] = [10058, 10148, 10013];
const LOOKS = 10;
const RETRY_PAUSES = { shortestMs: 50, longestMs: 500 };

/**
 * Creates the stream, or compares the one that exists.
 * @throws {IncompatibleSetupError} When a field differs that may not; the message names all of them.
 * @throws {UnavailableError} When no server answers.
 */
export async function ensureStream(
  requests: Requests,
  config: StreamConfig,
  options: EnsureOptions = {},
): Promise<Ensured> {
  const { name } = config;
  return ensure(requests, {
    ...options,
    what: `The stream ${name}`,
    wanted: toServerStream(config),
    info: `STREAM.INFO.${name}`,
    create: `STREAM.CREATE.${name}`,
    request: toServerStream(config),
  });
}

/**
 * Creates the durable consumer, or compares the one that exists.
 * @throws {IncompatibleSetupError} When a field differs that may not, or the stream is missing.
 * @throws {UnavailableError} When no server answers.
 */
export async function ensureConsumer(
  requests: Requests,
  stream: string,
  config: ConsumerConfig,
  options: EnsureOptions = {},
): Promise<Ensured> {
  const { name } = config;
  const wanted = toServerConsumer(config);
  return ensure(requests, {
    ...options,
    what: `The consumer ${name} of the stream ${stream}`,
    wanted,
    info: `CONSUMER.INFO.${stream}.${name}`,
    create: `CONSUMER.CREATE.${stream}.${name}`,
    request: { stream_name: stream, config: wanted, action: "create" },
  });
}

/** Creates the key-value bucket, or compares the one that exists. Errors as for streams. */
export async function ensureBucket(
  requests: Requests,
  config: BucketConfig,
  options: EnsureOptions = {},
): Promise<Ensured> {
  return ensureStream(requests, bucketConfig(config), options);
}

/** The stream's configuration as the server tells it; nothing when there is no such stream. */
export async function streamConfig(
  requests: Requests,
  stream: string,
  options: ApiOptions = {},
): Promise<Config | undefined> {
  return findConfig(requests, `STREAM.INFO.${stream}`, options);
}

/** Deletes a stream with all it holds. False when there was none. */
export async function deleteStream(
  requests: Requests,
  stream: string,
  options: ApiOptions = {},
): Promise<boolean> {
  return remove(requests, `STREAM.DELETE.${stream}`, `The stream ${stream}`, options);
}

/** Deletes a consumer. False when there was none. */
export async function deleteConsumer(
  requests: Requests,
  { stream, consumer }: { readonly stream: string; readonly consumer: string },
  options: ApiOptions = {},
): Promise<boolean> {
  const what = `The consumer ${consumer} of the stream ${stream}`;
  return remove(requests, `CONSUMER.DELETE.${stream}.${consumer}`, what, options);
}

/** Which messages to purge. */
export interface Purge {
  readonly stream: string;
  /** Wildcards are allowed. */
  readonly subject: string;
  /** Only messages before this sequence; the same in every repetition, so that no newer one goes. */
  readonly before: number;
}

/** Removes the messages of a subject before a sequence and says how many this call removed. */
export async function purgeSubject(
  requests: Requests,
  { stream, subject, before }: Purge,
  options: ApiOptions = {},
): Promise<number> {
  const request: PurgeOpts = { filter: subject, seq: before };
  const path = `STREAM.PURGE.${stream}`;
  const answer = await callApi<PurgeResponse>(requests, path, request, options);
  const error = errorOf(answer);
  if (error !== undefined) throw refused(`Purging ${subject} from ${stream}`, error);
  return answer.purged ?? 0;
}

/**
 * What the account may use.
 * @throws {IncompatibleSetupError} When JetStream is off.
 */
export async function accountInfo(
  requests: Requests,
  options: ApiOptions = {},
): Promise<AccountInfo> {
  const answer = await callApi<JetStreamAccountStats>(requests, "INFO", undefined, options);
  const error = errorOf(answer);
  if (error !== undefined && NOT_ENABLED.includes(error.err_code))
    throw new IncompatibleSetupError(
      "JetStream is not enabled for this account. Start the server with `-js` or a `jetstream` block in its configuration.",
      { ...error },
    );
  if (error !== undefined) throw refused("Asking for the account's limits", error);
  const { limits, api, domain } = answer;
  return {
    apiLevel: api?.level ?? 0,
    streamCount: answer.streams ?? 0,
    consumerCount: answer.consumers ?? 0,
    memoryBytes: answer.memory ?? 0,
    storageBytes: answer.storage ?? 0,
    limits: {
      memoryBytes: limits?.max_memory ?? -1,
      storageBytes: limits?.max_storage ?? -1,
      streams: limits?.max_streams ?? -1,
      consumers: limits?.max_consumers ?? -1,
      maxAckPending: limits?.max_ack_pending ?? -1,
    },
    domain,
  };
}

interface Ensuring extends EnsureOptions {
  readonly what: string;
  readonly wanted: Config;
  readonly info: string;
  readonly create: string;
  readonly request: object;
}

/**
 * Looks, creates when there is nothing, and looks again when somebody else was quicker: what exists
 * by one answer may not be found yet by the next one.
 */
async function ensure(requests: Requests, ensuring: Ensuring): Promise<Ensured> {
  const { what, wanted, info, create, request, ...options } = ensuring;
  const backoff = new Backoff(RETRY_PAUSES);
  for (let tries = 1; ; tries++) {
    const found = await findConfig(requests, info, options);
    if (found !== undefined) return compare(what, wanted, found, options);
    const answer = await callApi(requests, create, request, options);
    const error = errorOf(answer);
    if (error === undefined) return created(what, wanted, answer, options);
    if (!EXISTS.includes(error.err_code) || tries === LOOKS) throw refused(what, error);
    await pause(requests.clock, backoff.next(), options.signal);
  }
}

async function findConfig(
  requests: Requests,
  subject: string,
  options: ApiOptions,
): Promise<Config | undefined> {
  const answer = await callApi(requests, subject, undefined, options);
  if (isMissing(answer)) return undefined;
  const error = errorOf(answer);
  if (error !== undefined) throw refused(subject, error);
  return (answer.config ?? {}) as Config;
}

async function remove(
  requests: Requests,
  subject: string,
  what: string,
  options: ApiOptions,
): Promise<boolean> {
  const answer = await callApi(requests, subject, undefined, options);
  if (isMissing(answer)) return false;
  const error = errorOf(answer);
  if (error !== undefined) throw refused(what, error);
  return true;
}

function refused(what: string, error: ApiError): UnavailableError | IncompatibleSetupError {
  const { code, err_code, description } = error;
  const details = { code, errorCode: err_code };
  const message = `${what}: the server refused with "${description}" (${err_code}).`;
  // 4xx: the same request will be refused again until somebody changes something.
  if (code >= 400 && code < 500 && code !== 429)
    return new IncompatibleSetupError(message, details);
  return new UnavailableError(message, details);
}

function created(what: string, wanted: Config, answer: ApiAnswer, options: EnsureOptions): Ensured {
  const config = (answer.config ?? {}) as Config;
  return { ...compare(what, wanted, config, options), wasCreated: true };
}

function compare(what: string, wanted: Config, found: Config, options: EnsureOptions): Ensured {
  const differences = differencesOf(wanted, found);
  const { mayDiffer = [] } = options;
  const wrong = differences.filter(({ field }) => !mayDiffer.includes(field));
  if (wrong.length > 0) {
    const list = wrong.map((difference) => differenceText(difference));
    throw new IncompatibleSetupError(
      `${what} exists but does not fit: ${list.join("; ")}. Change it, or remove it if nothing in it is needed.`,
      { differences: wrong, field: wrong[0]?.field },
    );
  }
  return { wasCreated: false, differences, config: found };
}
