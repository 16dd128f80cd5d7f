/** The JSON API of JetStream: what is asked on `$JS.API.` subjects, and the answers. */
import { type ApiRefusal, refusalOf } from "./api-errors.ts";
import { type ConfigShape, isSameConfig, readConsumer } from "./consumer-settings.ts";
import type { MemoryStream } from "./memory-stream.ts";
import { formatTime } from "./message-headers.ts";
import type { MessageStore, StoredRecord } from "./message-store.ts";
import type { PullConsumer } from "./pull-consumer.ts";
import { readStream, type StreamSettings } from "./stream-settings.ts";
import { overlaps, SubjectFilter } from "./subject-pattern.ts";

/** What the API needs of its server. */
export interface ApiHost {
  readonly streams: ReadonlyMap<string, MemoryStream>;
  now(): number;
  addStream(settings: StreamSettings): MemoryStream;
  removeStream(name: string): boolean;
}

/** An answer: fields, or a refusal. */
type Answer = Readonly<Record<string, unknown>>;

const NO_TIME = "0001-01-01T00:00:00Z";
const API_LEVEL = 5;

/**
 * Answers a request. Nothing when nobody is there to answer it.
 * @param path What follows `$JS.API.` in its subject.
 */
export function answerApi(host: ApiHost, path: string, body: string): Answer | undefined {
  const [group = "", verb = "", third = "", fourth = "", ...rest] = path.split(".");
  const request = parse(body);
  if (request === undefined) return failed("", refusalOf(10003));
  if (path === "INFO") return accountInfo(host);
  if (group === "STREAM" && verb === "MSG") return streamMessage(host, third, fourth, request);
  if (group === "STREAM" && fourth === "") return streamRequest(host, verb, third, request);
  if (group === "CONSUMER" && verb === "CREATE" && fourth !== "" && rest.length === 0)
    return createConsumer(host, third, fourth, request);
  if (group === "CONSUMER" && rest.length === 0) return consumerRequest(host, verb, third, fourth);
  return undefined;
}

function streamRequest(
  host: ApiHost,
  verb: string,
  name: string,
  request: ConfigShape,
): Answer | undefined {
  const stream = host.streams.get(name);
  switch (verb) {
    case "CREATE":
      return createStream(host, name, request);
    case "UPDATE":
      return stream ? updateStream(host, stream, request) : missing("stream_update");
    case "INFO":
      return stream ? streamInfo(host, "stream_info", stream) : missing("stream_info");
    case "DELETE":
      return host.removeStream(name) ? succeeded("stream_delete") : missing("stream_delete");
    case "PURGE":
      return stream ? purge(stream, request) : { ...missing("stream_purge"), purged: 0 };
    case "NAMES":
      return {
        ...typed("stream_names"),
        total: host.streams.size,
        streams: [...host.streams.keys()],
      };
    default:
      return undefined;
  }
}

function accountInfo(host: ApiHost): Answer {
  let consumers = 0;
  let storage = 0;
  for (const stream of host.streams.values()) {
    consumers += stream.consumers.size;
    storage += stream.store.bytes;
  }
  return {
    ...typed("account_info"),
    memory: 0,
    storage,
    streams: host.streams.size,
    consumers,
    limits: {
      max_memory: -1,
      max_storage: -1,
      max_streams: -1,
      max_consumers: -1,
      max_ack_pending: -1,
    },
    api: { level: API_LEVEL, total: 0, errors: 0 },
  };
}

// --- streams

function createStream(host: ApiHost, name: string, request: ConfigShape): Answer {
  const settings = readStream(name, request);
  const kind = "stream_create";
  if (!settings) return failed(kind, refusalOf(10052));
  const found = host.streams.get(name);
  if (found) {
    if (!isSameConfig(found.settings.config, settings.config))
      return failed(kind, refusalOf(10058));
    return streamInfo(host, kind, found);
  }
  for (const other of host.streams.values())
    if (other.settings.subjects.some((one) => settings.subjects.some((two) => overlaps(one, two))))
      return failed(kind, refusalOf(10065));
  return { ...streamInfo(host, kind, host.addStream(settings)), did_create: true };
}

function updateStream(host: ApiHost, stream: MemoryStream, request: ConfigShape): Answer {
  const settings = readStream(stream.name, request);
  if (!settings) return failed("stream_update", refusalOf(10052));
  stream.settings = settings;
  return streamInfo(host, "stream_update", stream);
}

function streamInfo(host: ApiHost, kind: string, stream: MemoryStream): Answer {
  const { settings, createdAt, store, consumers } = stream;
  const { count, bytes, firstSequence, lastSequence, subjectCount } = store;
  const time = (sequence: number): string => {
    const record = store.get(sequence);
    return record ? formatTime(record.timeMs) : NO_TIME;
  };
  return {
    ...typed(kind),
    config: settings.config,
    created: formatTime(createdAt),
    state: {
      messages: count,
      bytes,
      first_seq: firstSequence,
      first_ts: time(firstSequence),
      last_seq: lastSequence,
      last_ts: time(lastSequence),
      ...(subjectCount === 0 ? {} : { num_subjects: subjectCount }),
      consumer_count: consumers.size,
    },
    cluster: { leader: "memory" },
    ts: formatTime(host.now()),
  };
}

function purge(stream: MemoryStream, request: ConfigShape): Answer {
  const { filter, seq = 0, keep = 0 } = request as { filter?: string; seq?: number; keep?: number };
  const kind = "stream_purge";
  if (seq > 0 && keep > 0) return { ...failed(kind, refusalOf(10003)), purged: 0 };
  if (stream.settings.deniesPurge) return { ...failed(kind, refusalOf(10110)), purged: 0 };
  const purged = stream.purge({
    ...(filter === undefined ? {} : { pattern: filter }),
    before: seq,
    keep,
  });
  return { ...succeeded(kind), purged };
}

// --- single messages

function streamMessage(
  host: ApiHost,
  verb: string,
  name: string,
  request: ConfigShape,
): Answer | undefined {
  const stream = host.streams.get(name);
  if (verb === "GET") return stream ? leaderGet(stream, request) : missing("stream_msg_get");
  if (verb !== "DELETE") return undefined;
  const kind = "stream_msg_delete";
  if (!stream) return missing(kind);
  if (stream.settings.deniesDelete) return failed(kind, refusalOf(10057));
  const sequence = Number(request.seq ?? 0);
  if (stream.delete(sequence)) return succeeded(kind);
  return failed(kind, refusalOf(10043, `sequence ${sequence} not found`));
}

function leaderGet(stream: MemoryStream, request: ConfigShape): Answer {
  const kind = "stream_msg_get";
  const {
    seq = 0,
    last_by_subj: last,
    next_by_subj: next,
  } = request as {
    seq?: number;
    last_by_subj?: string;
    next_by_subj?: string;
  };
  const isEmpty = seq === 0 && last === undefined && next === undefined;
  if (isEmpty || (last !== undefined && (seq > 0 || next !== undefined)))
    return failed(kind, refusalOf(10003));
  const record = find(stream.read(true), { seq, last, next });
  if (!record) return failed(kind, refusalOf(10037));
  const { subject, sequence, headers, data, timeMs } = record;
  const message = {
    subject,
    seq: sequence,
    ...(headers === "" ? {} : { hdrs: Buffer.from(headers).toString("base64") }),
    ...(data.length === 0 ? {} : { data: Buffer.from(data).toString("base64") }),
    time: formatTime(timeMs),
  };
  return { ...typed(kind), message };
}

function find(
  store: MessageStore,
  { seq, last, next }: { seq: number; last: string | undefined; next: string | undefined },
): StoredRecord | undefined {
  if (last !== undefined) return store.last(last);
  return next === undefined ? store.get(seq) : store.next(new SubjectFilter([next]), seq);
}

// --- consumers

function createConsumer(
  host: ApiHost,
  streamName: string,
  name: string,
  request: ConfigShape,
): Answer {
  const kind = "consumer_create";
  const stream = host.streams.get(streamName);
  if (!stream) return missing(kind);
  const settings = readConsumer(name, (request.config ?? {}) as ConfigShape);
  if (!settings) return failed(kind, refusalOf(10052));
  const { patterns } = settings.filter;
  for (const [i, pattern] of patterns.entries())
    if (patterns.slice(i + 1).some((other) => overlaps(pattern, other)))
      return failed(kind, refusalOf(10138));
  const found = stream.consumers.get(name);
  if (!found && request.action === "update") return failed(kind, refusalOf(10149));
  if (found && !isSameConfig(found.settings.config, settings.config))
    return failed(kind, refusalOf(10148));
  return consumerInfo(host, kind, stream, found ?? stream.addConsumer(settings));
}

function consumerRequest(
  host: ApiHost,
  verb: string,
  streamName: string,
  name: string,
): Answer | undefined {
  const stream = host.streams.get(streamName);
  const kind = `consumer_${verb.toLowerCase()}`;
  if (verb === "NAMES") {
    if (!stream) return missing(kind);
    return {
      ...typed(kind),
      total: stream.consumers.size,
      consumers: [...stream.consumers.keys()],
    };
  }
  if (verb !== "INFO" && verb !== "DELETE") return undefined;
  if (!stream) return missing(kind);
  const consumer = stream.consumers.get(name);
  if (!consumer) return failed(kind, refusalOf(10014));
  if (verb === "INFO") return consumerInfo(host, kind, stream, consumer);
  stream.removeConsumer(name);
  return succeeded(kind);
}

function consumerInfo(
  host: ApiHost,
  kind: string,
  stream: MemoryStream,
  consumer: PullConsumer,
): Answer {
  const { settings, createdAt } = consumer;
  return {
    ...typed(kind),
    stream_name: stream.name,
    name: settings.name,
    created: formatTime(createdAt),
    config: settings.config,
    ...consumer.info(),
    cluster: { leader: "memory" },
    ts: formatTime(host.now()),
  };
}

// --- answers

function typed(kind: string): { readonly type: string } {
  return { type: `io.nats.jetstream.api.v1.${kind}_response` };
}

function succeeded(kind: string): Answer {
  return { ...typed(kind), success: true };
}

function failed(kind: string, refusal: ApiRefusal): Answer {
  return { ...typed(kind), error: refusal };
}

function missing(kind: string): Answer {
  return failed(kind, refusalOf(10059));
}

function parse(body: string): ConfigShape | undefined {
  if (body.trim() === "") return {};
  try {
    return JSON.parse(body) as ConfigShape;
  } catch {
    return undefined;
  }
}
