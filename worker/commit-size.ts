/**
 * Makes commits that the server accepts: entries too many for one message are cut into several, and
 * a single result that cannot be stored becomes a failure that says so, which the code receives at
 * the place where it would have received the result. Pure.
 */
import { type Commit, type Entry, encodeCommit } from "../shared/entries.ts";
import { ContrailError, LimitExceededError } from "../shared/errors.ts";
import { toFailure } from "../shared/failures.ts";
import { COMMIT_BYTES } from "../shared/limits.ts";

/** A commit with its message body. */
export interface EncodedCommit {
  readonly commit: Commit;
  readonly bytes: Uint8Array;
}

/** Room for the headers and the frame of a commit. */
const FRAME_BYTES = 2_048;

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

function inParts(commit: Commit, largestEntry: number, most: number): Entry[][] {
  const parts: Entry[][] = [];
  let bytes = most;
  for (const original of commit.entries) {
    const { entry, size } = storable(commit, original, largestEntry);
    if (bytes + size > most) {
      parts.push([]);
      bytes = 0;
    }
    parts.at(-1)?.push(entry);
    bytes += size;
  }
  return parts;
}

function storable(commit: Commit, entry: Entry, limit: number): { entry: Entry; size: number } {
  const what = describeEntry(entry);
  const measure = (candidate: Entry): number =>
    encodeCommit({ ...commit, entries: [candidate] }, what).length;
  let problem: ContrailError;
  try {
    const size = measure(entry);
    if (size <= limit) return { entry, size };
    problem = new LimitExceededError(
      `The ${what} has ${size} bytes, the server accepts ${limit}. Store large values elsewhere and pass a reference, or raise max_payload on the server.`,
      { limit, actual: size },
    );
  } catch (error) {
    if (!(error instanceof ContrailError)) throw error;
    problem = error;
  }
  const replaced = asFailure(entry, problem);
  if (!replaced) throw problem;
  return { entry: replaced, size: measure(replaced) };
}

/** The same fact with a failure in place of the result, for entries that can say so. */
function asFailure(entry: Entry, problem: ContrailError): Entry | undefined {
  const error = toFailure(problem);
  if (entry.kind === "step-completed") {
    const { key, at, attempts, durationMs } = entry;
    return { kind: "step-failed", key, at, attempts, durationMs, error };
  }
  if (entry.kind === "ended") return { kind: "ended", outcome: { status: "failed", error } };
  if (entry.kind === "wait-settled" && entry.outcome.kind === "child") {
    const { key, leaf, outcome } = entry;
    return {
      kind: "wait-settled",
      key,
      leaf,
      outcome: { ...outcome, outcome: { status: "failed", error } },
    };
  }
  return undefined;
}

function describeEntry(entry: Entry): string {
  if ("key" in entry) return `result of "${entry.key.slice(entry.key.indexOf(" ") + 1)}"`;
  return entry.kind === "ended" ? "result of the run" : `entry "${entry.kind}"`;
}
