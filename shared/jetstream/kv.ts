/**
 * Key-value buckets as every NATS client reads them. Writing is our own: the client's cannot renew a
 * time to live with a compare-and-set, so a lease renewed with it would never expire.
 */
import { InvalidInputError } from "../errors.ts";
import { HEADERS } from "../subjects.ts";
import type { NatsLink } from "./connection.ts";
import { Follower } from "./follower.ts";
import type { HeaderList } from "./headers.ts";
import type { GuardedOutcome } from "./publisher.ts";
import type { ReadOptions } from "./reader.ts";
import type { StoredMessage } from "./stored-message.ts";

/** The state of one key. */
export interface KvEntry {
  readonly key: string;
  /** Sequence of the message that made it so; what a compare-and-set expects. */
  readonly revision: number;
  /** Milliseconds since the epoch, by the server's clock. */
  readonly timeMs: number;
  /** How long it was to be there without another write; absent when for ever. */
  readonly liveForMs?: number;
  /** Deleted keys, by hand or because their time was over, are told of for a while. */
  readonly operation: "put" | "delete";
  readonly data: Uint8Array;
}

/** How to write. */
export interface KvWriteOptions {
  /** Write only if the key is at this revision; 0 when it must not exist (also not as deleted). */
  readonly expect?: number;
  /**
   * The key disappears after so long without another write. Rounded up to whole seconds; the bucket
   * must accept it. Default never.
   */
  readonly timeToLiveMs?: number;
  readonly signal?: AbortSignal;
  /** How long a guarded write is retried. Default 30,000. */
  readonly deadlineMs?: number;
}

const KEY = /^[-/_=.a-zA-Z0-9]+$/;
const OPERATION = "KV-Operation";
const MARKER_REASON = "Nats-Marker-Reason";
const NOTHING = new Uint8Array(0);

/** One bucket, over one connection. */
export class KvBucket {
  readonly bucket: string;
  readonly stream: string;
  readonly #link: NatsLink;
  readonly #prefix: string;

  constructor(link: NatsLink, bucket: string) {
    this.#link = link;
    this.bucket = bucket;
    this.stream = `KV_${bucket}`;
    this.#prefix = `$KV.${bucket}.`;
  }

  /**
   * Writes a value. A guarded write is retried until it is settled; one without a guard is tried
   * once. The outcome's sequence is the new revision.
   * @throws {InvalidInputError} When the key cannot be one.
   */
  put(key: string, value: Uint8Array, options: KvWriteOptions = {}): Promise<GuardedOutcome> {
    return this.#write(key, value, timeToLive(options), options);
  }

  /**
   * Deletes a key, leaving a marker, for so long as the time to live says. Retried as `put` is.
   * @throws {InvalidInputError} When the key cannot be one.
   */
  delete(key: string, options: KvWriteOptions = {}): Promise<GuardedOutcome> {
    return this.#write(key, NOTHING, [[OPERATION, "DEL"], ...timeToLive(options)], options);
  }

  /** The value of a key, if it has one. As with all direct reads it may be an older one. */
  async get(key: string, options: ReadOptions = {}): Promise<KvEntry | undefined> {
    const entry = await this.entry(key, options);
    return entry?.operation === "put" ? entry : undefined;
  }

  /** The last entry of a key, also if it says that the key was deleted. */
  async entry(key: string, options: ReadOptions = {}): Promise<KvEntry | undefined> {
    const subject = this.#subject(key);
    const message = await this.#link.reader.lastFor(this.stream, subject, options);
    return message && this.#toEntry(message);
  }

  /** All keys that have a value, with it. Wildcards as in subjects; by default all. */
  async entries(filter = ">", options: Pick<ReadOptions, "signal"> = {}): Promise<KvEntry[]> {
    const subject = this.#prefix + filter;
    const messages = await this.#link.reader.readSubject(this.stream, subject, 1, options);
    const last = new Map<string, KvEntry>();
    for (const message of messages) {
      const entry = this.#toEntry(message);
      last.set(entry.key, entry);
    }
    return [...last.values()].filter(({ operation }) => operation === "put");
  }

  /** All keys that have a value. */
  async keys(filter = ">", options: Pick<ReadOptions, "signal"> = {}): Promise<string[]> {
    return (await this.entries(filter, options)).map(({ key }) => key);
  }

  /**
   * Hands over the last entry of every key, deletions included, and then every change. After an
   * interruption older entries may come too, never one that is older than what came for its key.
   */
  watch(onEntry: (entry: KvEntry) => void | Promise<void>, filter = ">"): Follower {
    return new Follower(this.#link, {
      stream: this.stream,
      subjects: [this.#prefix + filter],
      from: "last-per-subject",
      onMessage: (message) => onEntry(this.#toEntry(message)),
    });
  }

  async #write(
    key: string,
    value: Uint8Array,
    headers: HeaderList,
    { expect, signal, deadlineMs }: KvWriteOptions,
  ): Promise<GuardedOutcome> {
    const { publisher } = this.#link;
    const subject = this.#subject(key);
    if (expect !== undefined)
      return publisher.guardedPublish(subject, value, {
        expect,
        headers,
        ...(signal === undefined ? {} : { signal }),
        ...(deadlineMs === undefined ? {} : { deadlineMs }),
      });
    const outcome = await publisher.publish(subject, value, headers);
    const uncertain = !outcome.ok && outcome.kind === "unknown" && outcome.maybeStored;
    return { ...outcome, uncertain };
  }

  #subject(key: string): string {
    if (!KEY.test(key) || key.startsWith(".") || key.endsWith(".") || key.includes(".."))
      throw new InvalidInputError(
        `${JSON.stringify(key)} cannot be a key. Expected letters, digits, and - / _ = . between others.`,
        { key },
      );
    return this.#prefix + key;
  }

  #toEntry({ subject, sequence, timeMs, headers, data }: StoredMessage): KvEntry {
    const isDeletion =
      headers.get(OPERATION) !== undefined || headers.last(MARKER_REASON) !== undefined;
    const seconds = /^(\d+)s$/.exec(headers.last(HEADERS.timeToLive) ?? "")?.[1];
    return {
      ...(seconds === undefined ? {} : { liveForMs: Number(seconds) * 1_000 }),
      key: subject.slice(this.#prefix.length),
      revision: sequence,
      timeMs,
      operation: isDeletion ? "delete" : "put",
      data,
    };
  }
}

/** The server counts in whole seconds and cuts fractions off. */
function timeToLive({ timeToLiveMs }: KvWriteOptions): HeaderList {
  if (timeToLiveMs === undefined) return [];
  return [[HEADERS.timeToLive, `${Math.max(1, Math.ceil(timeToLiveMs / 1000))}s`]];
}
