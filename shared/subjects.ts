/**
 * Every stream, subject, bucket, consumer and header name, with its writer and its reader. They are
 * spelled nowhere else.
 *
 * N1. A token made of a user's text has only the characters A-Z a-z 0-9 _ and -, so no wildcard, dot
 *     or control character ever reaches the server (traps 1 and 24).
 * N2. Encoding is one to one: two different texts never share a subject.
 */
import { createHash } from "node:crypto";
import { InvalidInputError, UndecodableError } from "./errors.ts";
import { NAME_BYTES, NAMESPACE_LENGTH } from "./limits.ts";

/** The two pools of slots. */
export type Pool = "regular" | "durable";

/** A run is known by its task and its id. */
export interface RunAddress {
  readonly taskName: string;
  readonly runId: string;
}

/**
 * What a log subject says behind the prefix of its run. `h` and `c` are histories: of a run that a
 * client, a trigger or a schedule started, and of a child. Tokens have a level of their own, so that
 * a consumer group needs one filter.
 */
export const LOG_KINDS = [
  "token.start",
  "token.ready",
  "h",
  "c",
  "wait",
  "timer",
  "cancel",
  "deadline",
  "expired",
] as const;

/** One of them. */
export type LogKind = (typeof LOG_KINDS)[number];

const KNOWN_KINDS: ReadonlySet<string> = new Set(LOG_KINDS);

/** The key of the engines' bucket under which stands who leads. */
export const LEAD_KEY = "lead";
/** First token of the subjects of events, with its dot: published by anybody. */
export const EVENTS_PREFIX = "events.";

/** Status of a run after the commit that carries it; lets followers read headers alone. */
export const STATUS_HEADER = "Contrail-Status";
/**
 * On a waiting commit: which registrations follow it, "timer", "wait" or both, so that whoever reads
 * headers only knows what has to be there.
 */
export const REGISTERS_HEADER = "Contrail-Registers";
/** Which version of its task the run goes on with, on commits of runs that have one. */
export const VERSION_HEADER = "Contrail-Version";

/**
 * Where the history of a run that has continued begins, on each commit from there on: the sequence of
 * the commit that continued it, or 0 on that very commit.
 */
export const BEGINNING_HEADER = "Contrail-Beginning";

/** Headers of the server that Contrail sends or reads. */
export const HEADERS = {
  expectSequence: "Nats-Expected-Last-Subject-Sequence",
  expectSubject: "Nats-Expected-Last-Subject-Sequence-Subject",
  schedule: "Nats-Schedule",
  scheduleTarget: "Nats-Schedule-Target",
  scheduler: "Nats-Scheduler",
  scheduleNext: "Nats-Schedule-Next",
  timeToLive: "Nats-TTL",
  rollup: "Nats-Rollup",
  /** On what a stream republishes: its sequence there. */
  sequence: "Nats-Sequence",
} as const;

const SAFE = /^[A-Za-z0-9-]+$/;
const utf8 = new TextEncoder();
const strictUtf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * Writes any text as one subject token. Letters, digits and `-` stay, `_` becomes `__`, every other
 * byte of its UTF-8 form becomes `_` and two hex digits: "order 42" is `order_2042`.
 */
export function encodeToken(text: string): string {
  if (SAFE.test(text)) return text;
  let token = "";
  for (const byte of utf8.encode(text)) {
    const char = String.fromCharCode(byte);
    if (SAFE.test(char)) token += char;
    else token += char === "_" ? "__" : `_${byte.toString(16).padStart(2, "0")}`;
  }
  return token;
}

/**
 * Reads back what `encodeToken` wrote.
 * @throws {UndecodableError} When it did not write this.
 */
export function decodeToken(token: string): string {
  if (SAFE.test(token)) return token;
  const bytes: number[] = [];
  for (let i = 0; i < token.length; i++) {
    const char = token[i] as string;
    if (char !== "_") bytes.push(char.charCodeAt(0));
    else if (token[i + 1] === "_") bytes.push("_".charCodeAt(0)) && i++;
    else {
      const hex = token.slice(i + 1, i + 3);
      bytes.push(/^[0-9a-f]{2}$/.test(hex) ? Number.parseInt(hex, 16) : -1);
      i += 2;
    }
  }
  let text: string | undefined;
  try {
    if (!bytes.includes(-1)) text = strictUtf8.decode(Uint8Array.from(bytes));
  } catch {
    // not UTF-8: refused below like any other token that encodeToken cannot have written
  }
  if (text === undefined || encodeToken(text) !== token)
    throw new UndecodableError(`The subject token "${token}" is not an encoded name.`, { token });
  return text;
}

/**
 * Refuses a task name or run id that cannot be used.
 * @throws {InvalidInputError} When it is not a text of 1 to 128 bytes of well-formed Unicode.
 */
export function checkName(name: unknown, what: "task name" | "run id"): asserts name is string {
  const problem =
    typeof name !== "string"
      ? `is of type ${name === null ? "null" : typeof name}`
      : name.length === 0
        ? "is empty"
        : name.length > NAME_BYTES || utf8.encode(name).length > NAME_BYTES
          ? `has ${utf8.encode(name).length} bytes`
          : /\p{Surrogate}/u.test(name)
            ? "has half of a surrogate pair"
            : undefined;
  if (problem === undefined) return;
  const shown = typeof name === "string" ? ` ${JSON.stringify(name.slice(0, 40))}` : "";
  throw new InvalidInputError(
    `The ${what}${shown} ${problem}. Expected a text of 1 to ${NAME_BYTES} bytes; shorten it, or use a hash of it.`,
    { value: name },
  );
}

/** The subjects of one run, all in the stream of its shard. */
export interface RunSubjects {
  readonly shard: number;
  readonly stream: string;
  /** Everything of the run: `<ns>.log.<shard>.<task>.<run>`. */
  readonly prefix: string;
}

/** Whose message a subject of the log is, and what it says. */
export interface ParsedSubject extends RunAddress {
  readonly kind: LogKind;
  readonly shard: number;
}

/** `<ns>.log.<shard>.<task>.<run>`, with which all subjects of a run begin. */
const PREFIX_TOKENS = 5;

/** What the subject of a log message begins with, like all of its run. A shorter one comes back whole. */
export function prefixOf(subject: string): string {
  let end = -1;
  for (let i = 0; i < PREFIX_TOKENS; i++) {
    end = subject.indexOf(".", end + 1);
    if (end < 0) return subject;
  }
  return subject.slice(0, end);
}

/** The names of one namespace with its number of shards. */
export class Names {
  readonly namespace: string;
  readonly shardCount: number;
  // Several parts ask for the same run one after the other.
  #lastPath = "";
  #lastSubjects: RunSubjects = { shard: 0, stream: "", prefix: "" };
  #lastSubject = "";
  #lastParsed: ParsedSubject | undefined;

  /** @throws {InvalidInputError} When the namespace is not 1 to 32 letters, digits or `-`. */
  constructor(namespace: string, shardCount: number) {
    if (!/^[A-Za-z0-9-]+$/.test(namespace) || namespace.length > NAMESPACE_LENGTH)
      throw new InvalidInputError(
        `The namespace ${JSON.stringify(namespace)} cannot be used. Expected 1 to ${NAMESPACE_LENGTH} letters, digits or "-".`,
        { value: namespace },
      );
    this.namespace = namespace;
    this.shardCount = shardCount;
  }

  /** The log of one shard: written by clients, workers and engines, followed by engines. */
  logStream(shard: number): string {
    return `${this.namespace}_LOG_${shard}`;
  }

  /** What the log of one shard captures. */
  logSubjects(shard: number): string {
    return `${this.namespace}.log.${shard}.>`;
  }

  /** All messages of one kind in a shard, for followers. */
  everyRun(shard: number, kind: LogKind): string {
    return `${this.namespace}.log.${shard}.*.*.${kind}`;
  }

  /** Published events: written by anybody, followed by engines, read by workers. */
  get eventsStream(): string {
    return `${this.namespace}_EVENTS`;
  }

  /** Which worker holds which slots for which runs: written by workers, read by anybody. */
  slotsBucket(pool: Pool): string {
    return `${this.namespace}_slots_${pool}`;
  }

  /** The engines' lead: written and read by engines. */
  get engineBucket(): string {
    return `${this.namespace}_engine`;
  }

  /** The object store of values too large for the log: written by clients and workers. */
  get payloadsBucket(): string {
    return `${this.namespace}_payloads`;
  }

  /** The stream behind it. */
  get payloadsStream(): string {
    return `OBJ_${this.payloadsBucket}`;
  }

  /** What it captures: the parts of payloads, and what is known of each. */
  get payloadSubjects(): readonly [chunks: string, information: string] {
    return [`$O.${this.payloadsBucket}.C.>`, `$O.${this.payloadsBucket}.M.>`];
  }

  /** The parts of one payload, in order. */
  payloadChunks(path: string): string {
    return `$O.${this.payloadsBucket}.C.${path}`;
  }

  /** What is known of a payload by its name. */
  payloadInformation(name: string): string {
    const token = Buffer.from(name).toString("base64url");
    return `$O.${this.payloadsBucket}.M.${token}${"=".repeat((4 - (token.length % 4)) % 4)}`;
  }

  /** Where the log of every shard is republished to: `<ns>.live.<task>.<run>.<kind>`. */
  get liveSubjects(): string {
    return `${this.namespace}.live.>`;
  }

  /** The live feed: what the log of every shard stores, republished to plain subscribers. */
  liveSubject(run: RunAddress, kind: LogKind): string {
    return `${this.namespace}.live.${encodeToken(run.taskName)}.${encodeToken(run.runId)}.${kind}`;
  }

  /** The live feed of all runs, one kind of message. */
  everyLive(kind: LogKind): string {
    return `${this.namespace}.live.*.*.${kind}`;
  }

  /** Where a client is told of the ends of runs it started: by workers, with the last commit. */
  endSubject(nonce: string): string {
    return `${this.namespace}.end.${nonce}`;
  }

  /** Prefix of the micro service's endpoints. */
  get apiPrefix(): string {
    return `${this.namespace}.api`;
  }

  /** The consumer group of a task, of the same name on every shard: created and pulled by workers. */
  taskConsumer(taskName: string): string {
    const token = encodeToken(taskName);
    if (token.length <= 128) return `task-${token}`;
    return `hash-${createHash("sha256").update(taskName).digest("hex")}`;
  }

  /** What the consumer group of a task receives on one shard. */
  taskTokens(taskName: string, shard: number): string {
    return `${this.namespace}.log.${shard}.${encodeToken(taskName)}.*.token.*`;
  }

  /** Where a run's messages are. The same for one task and id on every machine, for ever. */
  run(address: RunAddress): RunSubjects {
    return this.runOfTokens(encodeToken(address.taskName), encodeToken(address.runId));
  }

  /** The same by the encoded names. */
  runOfTokens(taskToken: string, runToken: string): RunSubjects {
    const path = `${taskToken}.${runToken}`;
    if (path === this.#lastPath) return this.#lastSubjects;
    const shard = fnv1a(path) % this.shardCount;
    const prefix = `${this.namespace}.log.${shard}.${path}`;
    this.#lastPath = path;
    this.#lastSubjects = { shard, stream: this.logStream(shard), prefix };
    return this.#lastSubjects;
  }

  /**
   * Whose message a log subject is.
   * @throws {UndecodableError} When it is none of this namespace's log, or not where the messages of
   * that run are: anybody can publish on a subject that Contrail never writes.
   */
  parse(subject: string): ParsedSubject {
    if (this.#lastParsed && subject === this.#lastSubject) return this.#lastParsed;
    this.#lastParsed = this.#parse(subject);
    this.#lastSubject = subject;
    return this.#lastParsed;
  }

  #parse(subject: string): ParsedSubject {
    const [, , , task, run] = subject.split(".");
    if (task && run) {
      const { prefix, shard } = this.runOfTokens(task, run);
      const kind = subject.slice(prefix.length + 1);
      if (KNOWN_KINDS.has(kind) && subject === `${prefix}.${kind}`)
        return {
          shard,
          taskName: decodeToken(task),
          runId: decodeToken(run),
          kind: kind as LogKind,
        };
    }
    throw new UndecodableError(`"${subject}" is not a subject of the log of ${this.namespace}.`);
  }
}

/** The 32-bit FNV-1a hash of a text of ASCII characters. */
function fnv1a(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++)
    hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193) >>> 0;
  return hash;
}
