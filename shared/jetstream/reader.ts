/**
 * Reads stored messages. A direct read is answered by any replica and may be behind what was
 * acknowledged before it was sent; a leader read goes to the stream's leader, which a partition may
 * have deposed without its knowledge. Only a guarded write is certain.
 */
import type { StreamInfo } from "@nats-io/jetstream";
import { LimitExceededError, UnavailableError } from "../errors.ts";
import { type ApiAnswer, callApi, errorOf, isMissing } from "./api.ts";
import type { ReceivedHeaders } from "./headers.ts";
import type { Reply, Requests } from "./requests.ts";
import {
  DirectMessage,
  LeaderMessage,
  type LeaderShape,
  parseTime,
  type StoredMessage,
} from "./stored-message.ts";

export { parseTime, type StoredMessage } from "./stored-message.ts";

/** Whom to ask. */
export interface ReadOptions {
  /** Ask the stream's leader instead of any replica. Default false. */
  readonly leader?: boolean;
  readonly signal?: AbortSignal;
}

/** The last messages of many subjects. */
export interface LastMessages {
  /** In order of sequence within each thousand subjects asked for. */
  readonly messages: readonly StoredMessage[];
  /**
   * The answering replicas knew the stream at least up to this sequence. 0 when they did not say,
   * as servers do when there is no message.
   */
  readonly upToSequence: number;
}

/** Facts about a stream that change. */
export interface StreamState {
  /**
   * When the stream was first created: its metadata under `CREATED_METADATA`, else the server's own
   * time. That one is another after a restore, and then differs between the replicas (2.15.1).
   */
  readonly created: string;
  readonly firstSequence: number;
  readonly lastSequence: number;
  readonly messageCount: number;
  /** The leader's clock when it answered, in milliseconds since the epoch. */
  readonly answeredAtMs: number;
  /** The stream's configuration as the server tells it. */
  readonly config: Readonly<Record<string, unknown>>;
  /** The server that leads the stream; undefined outside a cluster. */
  readonly leader: string | undefined;
}

/** Key of the metadata that says when a stream was first created. A backup takes it along. */
export const CREATED_METADATA = "contrail.created";

/** The server refuses to read the last messages of more subjects than 1,024 at once. */
const SUBJECTS_PER_READ = 1_000;
const MESSAGES_PER_PAGE = 5_000;
const BYTES_PER_PAGE = 4 * 1024 * 1024;
/** How often a page that a staler replica cut short is read again before it is believed. */
const PAGE_RETRIES = 5;
const NOT_FOUND = 404;
const END_OF_BATCH = 204;
const TOO_MANY_RESULTS = 413;

/** Reads over one connection. Every read is repeated for about 12 s before it fails. */
export class Reader {
  readonly #requests: Requests;

  constructor(requests: Requests) {
    this.#requests = requests;
  }

  /** The last message of one literal subject, or nothing. */
  async lastFor(
    stream: string,
    subject: string,
    options: ReadOptions = {},
  ): Promise<StoredMessage | undefined> {
    if (options.leader) return this.#leaderGet(stream, { last_by_subj: subject }, options);
    return this.#directGet(`${stream}.${subject}`, "", options);
  }

  /** The message at one sequence, or nothing when it is not there (yet, or any more). */
  async get(
    stream: string,
    sequence: number,
    options: ReadOptions = {},
  ): Promise<StoredMessage | undefined> {
    if (options.leader) return this.#leaderGet(stream, { seq: sequence }, options);
    return this.#directGet(stream, JSON.stringify({ seq: sequence }), options);
  }

  /**
   * All messages of a subject, or of all subjects of a wildcard, from a sequence on, in order, by
   * direct reads of up to 500 messages.
   */
  async readSubject(
    stream: string,
    subject: string,
    fromSequence = 1,
    options: Pick<ReadOptions, "signal"> = {},
  ): Promise<StoredMessage[]> {
    const all: StoredMessage[] = [];
    let next = Math.max(fromSequence, 1);
    let expected = 0;
    let retries = 0;
    for (;;) {
      const page = await this.readPage(stream, subject, next, options);
      for (const message of page.messages) all.push(message);
      next = (page.messages.at(-1)?.sequence ?? next - 1) + 1;
      // The replica of the page before knew of more than this one does, or they are purged by now.
      const isShort = page.messages.length === 0 && expected > 0;
      if (page.pending === 0 && !(isShort && retries++ < PAGE_RETRIES)) return all;
      if (page.messages.length > 0) [expected, retries] = [page.pending, 0];
    }
  }

  /**
   * The last message of each of many literal subjects, as one replica (per thousand subjects) knew
   * them at one moment.
   */
  async multiLast(
    stream: string,
    subjects: readonly string[],
    options: { readonly upToSequence?: number; readonly signal?: AbortSignal } = {},
  ): Promise<LastMessages> {
    const parts: LastMessages[] = [];
    for (let i = 0; i < subjects.length; i += SUBJECTS_PER_READ)
      parts.push(await this.#lasts(stream, subjects.slice(i, i + SUBJECTS_PER_READ), options));
    return {
      messages: parts.flatMap((part) => part.messages),
      upToSequence: parts.length === 0 ? 0 : Math.min(...parts.map((part) => part.upToSequence)),
    };
  }

  /** What the stream's leader says about the stream; nothing when there is no such stream. */
  async streamState(
    stream: string,
    options: Pick<ReadOptions, "signal"> = {},
  ): Promise<StreamState | undefined> {
    const path = `STREAM.INFO.${stream}`;
    const answer = await callApi<StreamInfo>(this.#requests, path, undefined, options);
    if (isMissing(answer)) return undefined;
    refuseError(answer, path);
    const { state } = answer;
    return {
      created: answer.config?.metadata?.[CREATED_METADATA] ?? String(answer.created),
      firstSequence: state?.first_seq ?? 0,
      lastSequence: state?.last_seq ?? 0,
      answeredAtMs: parseTime(String(answer.ts)),
      messageCount: state?.messages ?? 0,
      config: answer.config ?? {},
      leader: answer.cluster?.leader,
    };
  }

  async #directGet(
    target: string,
    payload: string,
    { signal }: ReadOptions,
  ): Promise<StoredMessage | undefined> {
    let found: StoredMessage | undefined;
    await this.#requests.ask({
      subject: `$JS.API.DIRECT.GET.${target}`,
      payload,
      what: `a message of ${target} ${payload}`,
      ...(signal === undefined ? {} : { signal }),
      receive: (reply) => {
        if (reply.headers.status === 0) found = new DirectMessage(reply);
        else if (reply.headers.status !== NOT_FOUND) return "again";
        return "done";
      },
    });
    return found;
  }

  /**
   * Up to 5,000 messages of a subject, or of all subjects of a wildcard, from a sequence on, in order.
   * `pending` counts those that follow, as far as the replica that answers knows.
   * @param options.mostBytes The page ends with the message that exceeds this. Default 4 MiB.
   */
  async readPage(
    stream: string,
    subject: string,
    fromSequence: number,
    {
      signal,
      mostBytes = BYTES_PER_PAGE,
    }: Pick<ReadOptions, "signal"> & { readonly mostBytes?: number } = {},
  ): Promise<{ readonly messages: readonly StoredMessage[]; readonly pending: number }> {
    let messages: StoredMessage[] = [];
    let pending = 0;
    await this.#requests.ask({
      subject: `$JS.API.DIRECT.GET.${stream}`,
      payload: JSON.stringify({
        seq: fromSequence,
        next_by_subj: subject,
        batch: MESSAGES_PER_PAGE,
        max_bytes: mostBytes,
      }),
      what: `messages of "${subject}" in ${stream} from ${fromSequence}`,
      ...(signal === undefined ? {} : { signal }),
      begin: () => {
        messages = [];
        pending = 0;
      },
      receive: (reply) => {
        const { status } = reply.headers;
        if (status === 0) return collect(messages, reply);
        if (status === END_OF_BATCH) {
          pending = Number(reply.headers.last("Nats-Num-Pending") ?? 0);
          return isComplete(messages, reply.headers) ? "done" : "again";
        }
        return status === NOT_FOUND ? "done" : "again";
      },
    });
    return { messages, pending };
  }

  async #lasts(
    stream: string,
    subjects: readonly string[],
    options: { readonly upToSequence?: number; readonly signal?: AbortSignal },
  ): Promise<LastMessages> {
    let messages: StoredMessage[] = [];
    let upToSequence = 0;
    const { signal } = options;
    await this.#requests.ask({
      subject: `$JS.API.DIRECT.GET.${stream}`,
      payload: JSON.stringify({ multi_last: subjects, up_to_seq: options.upToSequence }),
      what: `the last messages of ${subjects.length} subjects in ${stream}`,
      ...(signal === undefined ? {} : { signal }),
      begin: () => {
        messages = [];
      },
      receive: (reply) => {
        const { status } = reply.headers;
        if (status === 0) return collect(messages, reply);
        upToSequence = Number(reply.headers.last("Nats-UpTo-Sequence") ?? 0);
        if (status === TOO_MANY_RESULTS) throw tooMany(stream, subjects);
        if (status === END_OF_BATCH) return isComplete(messages, reply.headers) ? "done" : "again";
        return status === NOT_FOUND ? "done" : "again";
      },
    });
    return { messages, upToSequence };
  }

  async #leaderGet(
    stream: string,
    request: Record<string, unknown>,
    options: ReadOptions,
  ): Promise<StoredMessage | undefined> {
    const { signal } = options;
    const how = signal === undefined ? {} : { signal };
    const answer = await callApi(this.#requests, `STREAM.MSG.GET.${stream}`, request, how);
    if (isMissing(answer)) return undefined;
    refuseError(answer, `STREAM.MSG.GET.${stream}`);
    return new LeaderMessage(answer.message as LeaderShape);
  }
}

function refuseError(answer: ApiAnswer<unknown>, what: string): void {
  const error = errorOf(answer);
  if (error !== undefined)
    throw new UnavailableError(`${what} was refused: ${error.description}`, { ...error });
}

function tooMany(stream: string, subjects: readonly string[]): LimitExceededError {
  return new LimitExceededError(
    `The subjects asked for in ${stream} have more than 1,024 messages at their ends; wildcards such as "${subjects[0]}" are not meant for this read.`,
    { limitName: "subjects-per-read", limit: 1_024, actual: subjects.length },
  );
}

/** Takes one message of a batch, if the one before it in the batch is the one we have. */
function collect(messages: StoredMessage[], reply: Reply): "more" | "again" {
  if (!isComplete(messages, reply.headers)) return "again";
  messages.push(new DirectMessage(reply));
  return "more";
}

/** Each part of a batch names the sequence before it, so a lost part is seen. */
function isComplete(messages: readonly StoredMessage[], headers: ReceivedHeaders): boolean {
  const before = Number(headers.last("Nats-Last-Sequence") ?? 0);
  return before === (messages.at(-1)?.sequence ?? 0);
}
