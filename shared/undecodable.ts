/**
 * Messages that nobody can read are dropped where they are met, and noted, so that `contrail doctor`
 * can show them: the messages stay in the log, where nobody would find them.
 *
 * U1. A note harms nobody: it is written once for each message, in the background, and may be lost.
 * U2. Notes are few and pass: so many of one process, and each disappears after a while.
 */
import type { Clock } from "./clock.ts";
import type { NatsLink } from "./jetstream/connection.ts";
import { KvBucket } from "./jetstream/kv.ts";
import { UNDECODABLE_NOTES, UNDECODABLE_NOTES_KEEP_MS } from "./limits.ts";
import type { LogSink } from "./logger.ts";
import { HEADERS, type Names } from "./subjects.ts";

/** What was met. */
export interface UndecodableNote {
  readonly stream: string;
  readonly sequence: number;
  readonly subject: string;
  /** Why it cannot be read. */
  readonly problem: string;
  /** What became of it. */
  readonly fate: string;
  /** Who met it. */
  readonly by: string;
  /** When, as ISO 8601. */
  readonly at: string;
}

/** Keys of notes in the engines' bucket begin with this. */
const PREFIX = "undecodable";
/** Characters of a problem that are kept. */
const PROBLEM_CHARACTERS = 500;

/** A message that cannot be read. */
export interface Undecodable {
  readonly subject: string;
  readonly sequence: number;
  readonly problem: string;
  readonly fate: string;
}

/** Notes what cannot be read. */
export interface Notes {
  /** Notes a message of the log. */
  note(message: Undecodable): void;
}

/** What notes need. */
interface NotesOptions {
  readonly link: Pick<NatsLink, "publisher">;
  readonly names: Names;
  readonly clock: Clock;
  readonly log: LogSink;
  readonly by: string;
}

/** Notes what one process meets. */
export class UndecodableNotes implements Notes {
  readonly #options: NotesOptions;
  readonly #noted: Set<string> = new Set();

  constructor(options: NotesOptions) {
    this.#options = options;
  }

  note({ subject, sequence, problem, fate }: Undecodable): void {
    const { link, names, clock, by, log } = this.#options;
    const stream = streamOf(names, subject);
    const key = stream && `${PREFIX}.${stream}.${sequence}`;
    if (!key || this.#noted.has(key) || this.#noted.size >= UNDECODABLE_NOTES) return;
    this.#noted.add(key);
    const at = new Date(clock.now()).toISOString();
    const shown = problem.slice(0, PROBLEM_CHARACTERS);
    const note: UndecodableNote = { stream, sequence, subject, problem: shown, fate, by, at };
    const body = new TextEncoder().encode(JSON.stringify(note));
    const keepFor = `${UNDECODABLE_NOTES_KEEP_MS / 1000}s`;
    link.publisher
      .publish(`$KV.${names.engineBucket}.${key}`, body, [[HEADERS.timeToLive, keepFor]])
      .catch((error: unknown) => {
        log.debug("A message that cannot be read could not be noted.", { subject, error });
      });
  }
}

/** What was noted of messages that are still there, newest first. */
export async function readUndecodable(link: NatsLink, names: Names): Promise<UndecodableNote[]> {
  const entries = await new KvBucket(link, names.engineBucket).entries(`${PREFIX}.>`);
  const notes = entries
    .flatMap(({ data }) => parseNote(data) ?? [])
    .sort((a, b) => (a.at < b.at ? 1 : -1));
  const isThere = await Promise.all(
    notes.map(
      async ({ stream, sequence }) => (await link.reader.get(stream, sequence)) !== undefined,
    ),
  );
  return notes.filter((_, index) => isThere[index]);
}

/** Reads a note; nothing when it is none. */
export function parseNote(data: Uint8Array): UndecodableNote | undefined {
  try {
    const note = JSON.parse(new TextDecoder().decode(data)) as UndecodableNote;
    const texts = [note.stream, note.subject, note.problem, note.fate, note.by, note.at];
    const isNote = texts.every((text) => typeof text === "string");
    return isNote && Number.isSafeInteger(note.sequence) ? note : undefined;
  } catch {
    return undefined; // somebody else wrote there
  }
}

/** The stream of a shard by a subject of it, which may be no run's. */
function streamOf(names: Names, subject: string): string | undefined {
  const shard = Number(subject.split(".")[2]);
  return Number.isInteger(shard) ? names.logStream(shard) : undefined;
}
