/**
 * Makes commits that the server accepts: entries too many for one message are cut into several, the
 * ends of many children into several entries, and a single result that cannot be stored becomes a
 * failure that says so, which the code receives at the place where it would have received the
 * result. Pure.
 *
 * Z1. Every entry has a form that can be stored: a run never stands still for the size of a value.
 */
import { type Commit, type Entry, encodeCommit, type Failure } from "../shared/entries.ts";
import { ContrailError, LimitExceededError } from "../shared/errors.ts";
import { toFailure } from "../shared/failures.ts";
import { COMMIT_BYTES } from "../shared/limits.ts";

/** A commit with its message body. */
export interface EncodedCommit {
  readonly commit: Commit;
  readonly bytes: Uint8Array;
}

/** A commit that is so small that no value in it can be too large; nothing for any other. */
export function smallCommit(
  commit: Commit,
  mostBytes: number,
  what: string,
): EncodedCommit | undefined {
  try {
    const bytes = encodeCommit(commit, what);
    return bytes.length <= mostBytes ? { commit, bytes } : undefined;
  } catch (error) {
    if (error instanceof ContrailError) return undefined;
    throw error;
  }
}

/** Room for the headers and the frame of a commit. */
const FRAME_BYTES = 2_048;
/** Characters kept of a text that makes an entry too large. */
const KEPT_CHARACTERS = 1_000;

/**
 * Encodes a commit, in parts if it has to be. Most commits are one part and encoded once.
 * @param maxBytes The largest message that the server accepts.
 * @param what Names the history in errors.
 */
export function fitCommits(commit: Commit, maxBytes: number, what: string): EncodedCommit[] {
  const most = Math.min(COMMIT_BYTES, maxBytes - FRAME_BYTES);
  try {
    const bytes = encodeCommit(commit, what);
    if (bytes.length <= most) return [{ commit, bytes }];
  } catch (error) {
    if (!(error instanceof ContrailError)) throw error;
  }
  return inParts(commit, maxBytes - FRAME_BYTES, most).map((entries) => {
    const part = { ...commit, entries };
    return { commit: part, bytes: encodeCommit(part, what) };
  });
}

/**
 * The form in which an entry will be stored: itself, or the failure that takes its place. For what
 * must be known before the commit that holds it.
 */
export function storedForm(entry: Entry, maxBytes: number): Entry {
  const frame = { startSequence: Number.MAX_SAFE_INTEGER, pass: LONG_PASS, token: 0, time: 0 };
  const [first] = fitCommits({ ...frame, entries: [entry] }, maxBytes, "an entry");
  return (first as EncodedCommit).commit.entries[0] as Entry;
}

/** At least as long as any id of a pass. */
const LONG_PASS = "x".repeat(256);

interface Sized {
  readonly entry: Entry;
  readonly size: number;
}

function inParts(commit: Commit, largestEntry: number, most: number): Entry[][] {
  const parts: Entry[][] = [];
  let bytes = most;
  for (const original of commit.entries)
    for (const { entry, size } of storable(commit, original, { largestEntry, most })) {
      if (bytes + size > most) {
        parts.push([]);
        bytes = 0;
      }
      parts.at(-1)?.push(entry);
      bytes += size;
    }
  return parts;
}

function storable(
  commit: Commit,
  entry: Entry,
  limit: { readonly largestEntry: number; readonly most: number },
): Sized[] {
  const what = describeEntry(entry);
  const measure = (candidate: Entry): number =>
    encodeCommit({ ...commit, entries: [candidate] }, what).length;
  let problem: ContrailError;
  const halves = halved(entry);
  try {
    const size = measure(entry);
    if (size <= (halves ? limit.most : limit.largestEntry)) return [{ entry, size }];
    problem = new LimitExceededError(
      `The ${what} has ${size} bytes, the server accepts ${limit.largestEntry}. Store large values elsewhere and pass a reference, or raise max_payload on the server.`,
      { limitName: "message-bytes", limit: limit.largestEntry, actual: size },
    );
  } catch (error) {
    problem = error as ContrailError; // any other was thrown when the whole commit was encoded
  }
  if (halves) return halves.flatMap((half) => storable(commit, half, limit));
  const replaced = withoutValue(entry, toFailure(problem));
  if (!replaced) throw problem;
  return [{ entry: replaced, size: measure(replaced) }];
}

/** The ends of several children in two entries. */
function halved(entry: Entry): [Entry, Entry] | undefined {
  if (entry.kind !== "wait-settled" || entry.outcome.kind !== "children") return undefined;
  const { ended } = entry.outcome;
  if (ended.length < 2) return undefined;
  const middle = Math.ceil(ended.length / 2);
  const part = (from: number, to: number): Entry => ({
    ...entry,
    outcome: { kind: "children", ended: ended.slice(from, to) },
  });
  return [part(0, middle), part(middle, ended.length)];
}

/** The same fact with the problem in place of the value, as far as the fact can say so. */
function withoutValue(entry: Entry, problem: Failure): Entry | undefined {
  switch (entry.kind) {
    case "step-completed": {
      const { key, at, attempts, durationMs } = entry;
      return { kind: "step-failed", key, at, attempts, durationMs, error: problem };
    }
    case "step-failed":
    case "attempt-failed":
      return { ...entry, error: shortened(entry.error) };
    case "wait-opened":
    case "child-started": {
      const { key, at } = entry;
      return { kind: "step-failed", key, at, attempts: 1, durationMs: 0, error: problem };
    }
    case "wait-settled":
      return settledWithout(entry, problem);
    case "heartbeat":
      return { ...entry, details: { problem: problem.message } };
    case "paused":
      return { ...entry, reason: cut(entry.reason), details: { problem: problem.message } };
    case "cancel-requested":
    case "resumed":
    case "retried":
      return { ...entry, by: cut(entry.by), reason: cut(entry.reason) };
    case "step-skipped":
      return { kind: "resumed", by: cut(entry.by), reason: cut(problem.message) };
    case "ended": {
      const { outcome } = entry;
      if (outcome.status === "completed")
        return { kind: "ended", outcome: { status: "failed", error: problem } };
      return { kind: "ended", outcome: { ...outcome, error: shortened(outcome.error) } };
    }
    default:
      return undefined;
  }
}

function settledWithout(
  entry: Extract<Entry, { kind: "wait-settled" }>,
  problem: Failure,
): Entry | undefined {
  const { outcome } = entry;
  const failed = { status: "failed", error: problem } as const;
  switch (outcome.kind) {
    case "sleep":
      return undefined;
    case "event":
      return { ...entry, outcome: { ...outcome, data: null, error: problem } };
    case "child":
      return { ...entry, outcome: { ...outcome, outcome: failed } };
    case "children": {
      const ended = outcome.ended.map(([position]) => [position, failed] as const);
      return { ...entry, outcome: { kind: "children", ended } };
    }
  }
}

/** A failure without its stack and causes, and with the beginning of its message. */
function shortened({ name, message, code, exceeded }: Failure): Failure {
  return {
    name: cut(name),
    message: cut(message),
    ...(code === undefined ? {} : { code: cut(code) }),
    ...(exceeded === undefined ? {} : { exceeded }),
  };
}

function cut(text: string): string {
  return text.length <= KEPT_CHARACTERS ? text : `${text.slice(0, KEPT_CHARACTERS)}…`;
}

function describeEntry(entry: Entry): string {
  if ("key" in entry) return `result of "${cut(entry.key.slice(entry.key.indexOf(" ") + 1))}"`;
  return entry.kind === "ended" ? "result of the run" : `entry "${entry.kind}"`;
}
