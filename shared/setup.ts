/** What the streams of a namespace say about it: how many shards it has, and which format. */
import { IncompatibleSetupError, UnavailableError } from "./errors.ts";
import type { Reader } from "./jetstream/reader.ts";
import { CLAIM_TIMEOUT_MS, KEEP_ENDED_MS, SHARD_COUNT } from "./limits.ts";
import { Names } from "./subjects.ts";

/** The namespace that is meant when none is named. */
export const DEFAULT_NAMESPACE = "contrail";
/** Format of subjects and messages in the log. Another number is another format. */
export const LOG_FORMAT = 1;

/** Keys of the metadata that every stream of a namespace's log carries. */
export const SETUP_METADATA = {
  format: "contrail.format",
  shards: "contrail.shards",
  claimTimeoutMs: "contrail.claim-timeout-ms",
  /** May be changed, and may be absent. */
  keepEndedMs: "contrail.keep-ended-ms",
} as const;

/** As a keep time: ended runs are never purged. */
export const FOREVER = "forever";

/**
 * How long ended runs are kept, in milliseconds, by the configuration of a stream of the log: for ever
 * is infinite, and so is what nobody can read.
 */
export function keepEndedMsOf(config: Readonly<Record<string, unknown>>): number {
  const metadata = textsIn(config);
  const text = metadata[SETUP_METADATA.keepEndedMs];
  if (text === undefined) return KEEP_ENDED_MS;
  return /^\d+$/.test(text) ? Number(text) : Number.POSITIVE_INFINITY;
}

/** How long a claim lives without a sign of life, by the configuration of a stream of the log. */
export function claimTimeoutOf(config: Readonly<Record<string, unknown>>): number {
  const metadata = (config["metadata"] ?? {}) as Readonly<Record<string, string | undefined>>;
  const claimTimeoutMs = Number(metadata[SETUP_METADATA.claimTimeoutMs]);
  return Number.isInteger(claimTimeoutMs) && claimTimeoutMs > 0 ? claimTimeoutMs : CLAIM_TIMEOUT_MS;
}

/** A namespace as it was set up. Never changes, except by setting it up anew. */
export interface NamespaceSetup {
  readonly namespace: string;
  readonly shardCount: number;
  /** How long a token may stay without a sign of life from its worker, for all tasks. */
  readonly claimTimeoutMs: number;
  readonly names: Names;
}

/** What reading a setup needs of a connection. */
export interface SetupLink {
  readonly reader: Pick<Reader, "streamState">;
}

/**
 * Reads how a namespace was set up, for clients and workers. Asks the server once.
 * @throws {IncompatibleSetupError} When there is no such namespace, or another version made it.
 * @throws {UnavailableError} When no server answers.
 */
export async function readSetup(
  link: SetupLink,
  namespace: string = DEFAULT_NAMESPACE,
): Promise<NamespaceSetup> {
  const stream = new Names(namespace, 1).logStream(0);
  const state = await link.reader.streamState(stream).catch((error: unknown) => {
    if (error instanceof UnavailableError && "answer" in error && error.answer === "no-responders")
      throw new IncompatibleSetupError(
        `No server answers for JetStream. Start nats-server with JetStream enabled (\`nats-server -js\`), and give this account access to it.`,
        { cause: error, namespace },
      );
    throw error;
  });
  if (state === undefined)
    throw new IncompatibleSetupError(
      `There is no namespace "${namespace}" on this server: it has no stream ${stream}. Start an engine, or run "contrail setup".`,
      { namespace, stream },
    );
  return parseSetup(namespace, stream, state.config);
}

/**
 * Reads the setup from the configuration of a stream of the log.
 * @throws {IncompatibleSetupError} When its metadata is missing or of another format.
 */
export function parseSetup(
  namespace: string,
  stream: string,
  config: Readonly<Record<string, unknown>>,
): NamespaceSetup {
  const metadata = textsIn(config);
  const format = metadata[SETUP_METADATA.format];
  if (format !== String(LOG_FORMAT))
    throw incompatible(stream, SETUP_METADATA.format, format, `"${LOG_FORMAT}"`);
  const shardCount = Number(metadata[SETUP_METADATA.shards]);
  if (!Number.isInteger(shardCount) || shardCount < 1 || shardCount > SHARD_COUNT)
    throw incompatible(
      stream,
      SETUP_METADATA.shards,
      metadata[SETUP_METADATA.shards],
      `a whole number from 1 to ${SHARD_COUNT}`,
    );
  const claimTimeoutMs = Number(metadata[SETUP_METADATA.claimTimeoutMs]);
  if (!Number.isInteger(claimTimeoutMs) || claimTimeoutMs < 1)
    throw incompatible(
      stream,
      SETUP_METADATA.claimTimeoutMs,
      metadata[SETUP_METADATA.claimTimeoutMs],
      "a number of milliseconds",
    );
  return { namespace, shardCount, claimTimeoutMs, names: new Names(namespace, shardCount) };
}

/** The metadata of a stream: texts, as far as the server says what it always says. */
function textsIn(config: Readonly<Record<string, unknown>>): Readonly<Record<string, string>> {
  const entries = Object.entries(config["metadata"] ?? {}) as [string, unknown][];
  const texts = entries.filter((entry): entry is [string, string] => typeof entry[1] === "string");
  return Object.fromEntries(texts);
}

function incompatible(
  stream: string,
  field: string,
  found: string | undefined,
  expected: string,
): IncompatibleSetupError {
  const shown = found === undefined ? "missing" : JSON.stringify(found);
  return new IncompatibleSetupError(
    `The metadata "${field}" of stream ${stream} is ${shown}, expected ${expected}. Another version of Contrail, or another program, made the stream: use that version, or another namespace.`,
    { stream, field, found, expected },
  );
}
