/**
 * Reads what shows whether a run will be woken: the last message of each of its subjects, many runs at
 * a time, each run as one replica knew it at one moment.
 */
import { decodeCommit } from "../shared/entries.ts";
import { ContrailError, UnavailableError } from "../shared/errors.ts";
import { pause } from "../shared/jetstream/backoff.ts";
import type { StoredMessage } from "../shared/jetstream/reader.ts";
import { decodeReady, decodeStart, decodeWait, type Ready, WAKE_LOST } from "../shared/messages.ts";
import { REGISTERS_HEADER, STATUS_HEADER } from "../shared/subjects.ts";
import { isEnd, shardOf } from "./past.ts";
import type { EngineServices } from "./services.ts";

/** What is stored of a live run. */
export interface RunPicture {
  readonly prefix: string;
  readonly isChild: boolean;
  readonly startSequence: number;
  readonly status: "queued" | "running" | "waiting" | "paused";
  /** The last sequence of its history; 0 when it has none. */
  readonly tail: number;
  /** When the last commit was stored; the start, when there is none. Milliseconds since the epoch. */
  readonly since: number;
  /** Registrations that have to be there and are not. */
  readonly missing: readonly ("timer" | "wait")[];
  /** Registrations that are there. */
  readonly registered: readonly ("timer" | "wait")[];
  /** The sequence of the last of them; 0 when there is none. */
  readonly registeredAt: number;
  /** Sequences of the tokens that can claim the run as it is, and whose messages are there. */
  readonly tokens: readonly number[];
}

/** Why there is no picture. */
export type NoPicture = "ended" | "no-start" | "gone" | "unreadable";

/** A run whose picture is wanted. */
export interface Pictured {
  readonly prefix: string;
  /** The read has to know the log at least up to this sequence. */
  readonly sequence: number;
}

const KINDS = ["token.start", "h", "c", "timer", "wait", "token.ready"] as const;
/** One question asks for 900 subjects. */
const RUNS_PER_READ = 150;
const STALE_TRIES = 20;
const STALE_PAUSE_MS = 50;

/** What reading pictures needs. */
export type PictureServices = Pick<EngineServices, "link" | "names" | "clock" | "signal">;

/**
 * Reads pictures.
 * @throws {UnavailableError} When there was no answer in time, or replicas are behind.
 */
export async function readPictures(
  services: PictureServices,
  runs: readonly Pictured[],
): Promise<Map<string, RunPicture | NoPicture>> {
  const found = new Map<string, RunPicture | NoPicture>();
  const byShard = new Map<number, Pictured[]>();
  for (const run of runs) {
    const shard = shardOf(run.prefix);
    const some = byShard.get(shard);
    if (some) some.push(run);
    else byShard.set(shard, [run]);
  }
  await Promise.all(
    [...byShard].map(async ([shard, all]) => {
      const stream = services.names.logStream(shard);
      for (let i = 0; i < all.length; i += RUNS_PER_READ) {
        const some = all.slice(i, i + RUNS_PER_READ);
        const lasts = await readLasts(services, stream, some);
        const taken = some.map(({ prefix }) => pictureOf(prefix, lasts));
        const confirmed = await Promise.all(
          taken.map(async (each) =>
            typeof each === "string" ? each : confirm(services, stream, each),
          ),
        );
        for (const [index, { prefix }] of some.entries())
          found.set(prefix, confirmed[index] as RunPicture | NoPicture);
      }
    }),
  );
  return found;
}

async function readLasts(
  { link, clock, signal }: PictureServices,
  stream: string,
  runs: readonly Pictured[],
): Promise<ReadonlyMap<string, StoredMessage>> {
  const subjects = runs.flatMap(({ prefix }) => KINDS.map((kind) => `${prefix}.${kind}`));
  const atLeast = Math.max(...runs.map(({ sequence }) => sequence));
  for (let tries = 1; ; tries++) {
    const { messages, upToSequence } = await link.reader.multiLast(stream, subjects, { signal });
    // An answer without any message does not say how new it is; the leader knows.
    const areGone = messages.length === 0 && (await noneIsLeft(link, stream, runs, signal));
    if (upToSequence >= atLeast || areGone)
      return new Map(messages.map((message) => [message.subject, message]));
    if (tries === STALE_TRIES) throw new UnavailableError(`A replica of ${stream} is behind.`);
    await pause(clock, STALE_PAUSE_MS, signal);
  }
}

async function noneIsLeft(
  link: PictureServices["link"],
  stream: string,
  runs: readonly Pictured[],
  signal: AbortSignal,
): Promise<boolean> {
  for (const { prefix } of runs)
    if (await link.reader.lastFor(stream, `${prefix}.token.start`, { leader: true, signal }))
      return false;
  return true;
}

/** A picture as the last messages show it. Tokens that are only named are looked up afterwards. */
interface Sketch extends RunPicture {
  readonly named: readonly number[];
}

/** Leaves out the tokens whose messages are gone. */
async function confirm(
  { link, signal }: PictureServices,
  stream: string,
  { named, ...picture }: Sketch,
): Promise<RunPicture> {
  const tokens = [...picture.tokens];
  for (const sequence of named) {
    const message = await link.reader.get(stream, sequence, { leader: true, signal });
    if (message?.subject.startsWith(`${picture.prefix}.`)) tokens.push(sequence);
  }
  return { ...picture, tokens };
}

type Lasts = (kind: (typeof KINDS)[number]) => StoredMessage | undefined;

function pictureOf(prefix: string, lasts: ReadonlyMap<string, StoredMessage>): Sketch | NoPicture {
  const last: Lasts = (kind) => lasts.get(`${prefix}.${kind}`);
  const startMessage = last("token.start");
  const start = startMessage && readable(() => decodeStart(startMessage.data, prefix));
  const [h, c] = [last("h"), last("c")];
  const history = start ? (start.parent ? c : h) : (h ?? c);
  if (history && isEnd(history)) return "ended";
  if (!startMessage) return history ? "no-start" : "gone";
  if (history) return begun(prefix, history, last);
  return start
    ? queued(prefix, startMessage, { isChild: start.parent !== undefined, last })
    : "unreadable";
}

function queued(
  prefix: string,
  { sequence, timeMs }: StoredMessage,
  { isChild, last }: { readonly isChild: boolean; readonly last: Lasts },
): Sketch {
  const ready = readyOf(last("token.ready"));
  const standsIn = ready?.answers === 0 && ready.startSequence === sequence;
  return {
    ...{ prefix, isChild, startSequence: sequence, since: timeMs, status: "queued", tail: 0 },
    ...{ missing: [], registered: [], registeredAt: 0, named: [] },
    tokens: standsIn ? [sequence, ready.sequence] : [sequence],
  };
}

function begun(prefix: string, history: StoredMessage, last: Lasts): Sketch | NoPicture {
  const { sequence: tail, timeMs: since, subject, headers, data } = history;
  const commit = readable(() => decodeCommit(data, tail, subject));
  if (!commit) return "unreadable"; // whoever gets its next token pauses it
  const { startSequence, token } = commit;
  const isChild = subject.endsWith(".c");
  const none = { missing: [], registered: [], registeredAt: 0, tokens: [], named: [] };
  const common = { prefix, isChild, startSequence, tail, since, ...none };
  const ready = readyOf(last("token.ready"));
  const answer =
    ready?.answers === tail && ready.startSequence === startSequence ? ready : undefined;
  const status = headers.last(STATUS_HEADER);
  if (status === "paused") return { ...common, status };
  if (status === "waiting")
    return {
      ...common,
      status,
      ...registrations(history, last),
      tokens: answer ? [answer.sequence] : [],
    };
  const isThere = token === last("token.start")?.sequence || token === ready?.sequence;
  const standsIn = answer?.because.poke === WAKE_LOST ? [answer.sequence] : [];
  return {
    ...{ ...common, status: "running" },
    tokens: isThere ? [token, ...standsIn] : standsIn,
    named: isThere ? [] : [token],
  };
}

/** What is registered for a waiting commit. */
function registrations(
  { sequence: tail, headers }: StoredMessage,
  last: Lasts,
): Pick<RunPicture, "missing" | "registered" | "registeredAt"> {
  const [timer, wait] = [last("timer"), last("wait")];
  const ofTimer = timer && readable(() => decodeReady(timer.data, timer.subject));
  const ofWait = wait && readable(() => decodeWait(wait.data, wait.subject));
  const sequences = {
    timer: ofTimer?.answers === tail ? (timer as StoredMessage).sequence : 0,
    wait: ofWait?.waitSequence === tail ? (wait as StoredMessage).sequence : 0,
  };
  const kinds = ["timer", "wait"] as const;
  const registered = kinds.filter((kind) => sequences[kind] > 0);
  const needed = headers.last(REGISTERS_HEADER)?.split(" ");
  // Without the header an earlier version wrote it: one of them has to be there.
  const isEnough = needed === undefined && registered.length > 0;
  const missing = isEnough
    ? []
    : kinds.filter((kind) => sequences[kind] === 0 && (needed?.includes(kind) ?? true));
  return { missing, registered, registeredAt: Math.max(sequences.timer, sequences.wait) };
}

function readyOf(
  message: StoredMessage | undefined,
): (Ready & { readonly sequence: number }) | undefined {
  const ready = message && readable(() => decodeReady(message.data, message.subject));
  return ready && { ...ready, sequence: message.sequence };
}

/** What somebody has published that nobody can read is nothing. */
function readable<T>(decode: () => T): T | undefined {
  try {
    return decode();
  } catch (error) {
    if (error instanceof ContrailError) return undefined;
    throw error;
  }
}
