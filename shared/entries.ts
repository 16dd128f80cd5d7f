/**
 * The closed union of everything a history may hold, and the commits that carry it. Entries are
 * facts in the past tense: none is ever edited or removed, and to old ones nothing is added but
 * fields at the end.
 *
 * E1. One message of a history is one commit; its entries are stored all or none.
 * E2. A commit names the start it belongs to (rule 24), its pass and the token of its passage.
 */
import { decode, encode } from "./codec.ts";
import {
  type Form,
  isCondition,
  isCount,
  isCounts,
  isFailure,
  isLeafOutcome,
  isOutcome,
  isText,
  isTexts,
  isTime,
} from "./entry-forms.ts";
import { UndecodableError } from "./errors.ts";
import type { Failure, LeafOutcome, Outcome, StoredCondition } from "./stored-facts.ts";

export type {
  Failure,
  LeafCondition,
  LeafOutcome,
  Outcome,
  StoredCondition,
} from "./stored-facts.ts";

/**
 * One fact. `key` names an operation of the run: its letter, its number among those of the same
 * name, its name. `at` counts the results that the code had received when it asked for it. `source`
 * is where in the code it asked, as file and line, where that is known.
 */
export type Entry =
  | {
      /** A worker took the run, with a token that answered the last waiting commit. */
      readonly kind: "claimed";
      readonly worker: string;
      /** Why: `start`, `timer`, `match`, `cancel`, `poke`, or `takeover` from a lost worker. */
      readonly because: string;
    }
  | {
      readonly kind: "step-completed";
      readonly key: string;
      readonly at: number;
      readonly attempts: number;
      readonly durationMs: number;
      readonly value: unknown;
      readonly source?: string;
    }
  | {
      readonly kind: "step-failed";
      readonly key: string;
      readonly at: number;
      readonly attempts: number;
      readonly durationMs: number;
      readonly error: Failure;
      readonly source?: string;
    }
  | {
      /** An attempt of a step failed; the next one begins at `retryAt`, in milliseconds. */
      readonly kind: "attempt-failed";
      readonly key: string;
      readonly at: number;
      readonly attempt: number;
      readonly error: Failure;
      readonly retryAt: number;
      readonly source?: string;
    }
  | {
      /** What a step that is at work said of itself; the last one is given to its next attempt. */
      readonly kind: "heartbeat";
      readonly key: string;
      readonly details: unknown;
    }
  | {
      readonly kind: "wait-opened";
      readonly key: string;
      readonly at: number;
      readonly condition: StoredCondition;
      readonly source?: string;
    }
  | {
      /** A leaf of a wait, counted from the left, has happened. */
      readonly kind: "wait-settled";
      readonly key: string;
      readonly leaf: number;
      readonly outcome: LeafOutcome;
    }
  | {
      /** A child was started without a wait. */
      readonly kind: "child-started";
      readonly key: string;
      readonly at: number;
      readonly taskName: string;
      readonly runIds: readonly string[];
      /** The ordinal of the first, if their ids are derived. */
      readonly first: number;
      /** They go on when this run is canceled. */
      readonly isLeft: boolean;
      readonly source?: string;
    }
  | { readonly kind: "waiting" }
  | { readonly kind: "paused"; readonly reason: string; readonly details: unknown }
  | { readonly kind: "cancel-requested"; readonly by: string; readonly reason: string }
  | {
      /** A time limit of the whole run is over. The code is told as it is told of a cancellation. */
      readonly kind: "timed-out";
      readonly limitMs: number;
    }
  // The code used up its time for cleanup; it is given up.
  | { readonly kind: "cleanup-over" }
  | {
      /** What the code had asked for when the run was interrupted, and will not get. */
      readonly kind: "operation-interrupted";
      readonly key: string;
      readonly at: number;
    }
  | { readonly kind: "ended"; readonly outcome: Outcome }
  | {
      /** The code asked `ctx.changed(name)` at a place that the run had not passed before. */
      readonly kind: "change-noted";
      readonly name: string;
      readonly at: number;
    }
  | {
      /** From here on the run goes on with this version of its task. */
      readonly kind: "version-pinned";
      readonly version: string;
    }
  | {
      /** The run is suspected of killing its workers, and its present one has lived on with it. */
      readonly kind: "outlived";
    }
  | { readonly kind: "retired"; readonly end: number } // nobody retries the end at `end` any more
  | {
      /** Somebody let a paused run go on. */
      readonly kind: "resumed";
      readonly by: string;
      readonly reason: string;
    }
  | {
      /**
       * Somebody reopened a failed run. The results of these operations, and what the code asked for
       * after it had received one of them, count no more.
       */
      readonly kind: "retried";
      readonly by: string;
      readonly reason: string;
      readonly again: readonly string[];
    }
  | {
      /** Somebody gave the result of a step, which is not executed when the code asks for it. */
      readonly kind: "step-skipped";
      readonly by: string;
      readonly reason: string;
      readonly key: string;
      readonly value: unknown;
    }
  | Continued;

/** The code continued the run with another input: what was recorded before is never replayed again. */
export interface Continued {
  readonly kind: "continued";
  readonly input: unknown;
  /** How often the run has continued, with this time. */
  readonly count: number;
  /** Ordinal of the next child with a derived id. */
  readonly firstOrdinal: number;
  /** From when the time limit of the run counts, in milliseconds since the epoch. */
  readonly limitFrom: number;
  /** The run consumes events with a higher sequence only, but for these, which it has consumed. */
  readonly eventsAfter: number;
  readonly consumed: readonly number[];
}

/** Entries that were stored together. */
export interface Commit {
  /** Sequence of the `start` this commit belongs to: which incarnation of the run. */
  readonly startSequence: number;
  /**
   * Unique to the pass that wrote it: the nonce by which a lost reply is settled. Says which worker
   * it was and which pool its slot is from (`parsePassId`).
   */
  readonly pass: string;
  /** Stream sequence of the token of this passage; the start's own for a first pass. */
  readonly token: number;
  /** When it was written, by the writer's reckoning of the server's clock, in milliseconds. */
  readonly time: number;
  readonly entries: readonly Entry[];
}

/** A commit with its place in the history. */
export interface StoredCommit extends Commit {
  readonly sequence: number;
}

/** Position of each kind on the wire. Only ever added to. */
const KINDS = [
  "claimed",
  "step-completed",
  "step-failed",
  "wait-opened",
  "wait-settled",
  "child-started",
  "waiting",
  "paused",
  "cancel-requested",
  "ended",
  "attempt-failed",
  "timed-out",
  "operation-interrupted",
  "cleanup-over",
  "heartbeat",
  "change-noted",
  "version-pinned",
  "resumed",
  "retried",
  "step-skipped",
  "outlived",
  "continued",
  "retired",
] as const satisfies readonly Entry["kind"][];

/** Fields of each kind on the wire, in order. Only ever added to, at the end. */
const FIELDS: { readonly [K in Entry["kind"]]: readonly (keyof Extract<Entry, { kind: K }>)[] } = {
  claimed: ["worker", "because"],
  "step-completed": ["key", "at", "attempts", "durationMs", "value", "source"],
  "step-failed": ["key", "at", "attempts", "durationMs", "error", "source"],
  "wait-opened": ["key", "at", "condition", "source"],
  "wait-settled": ["key", "leaf", "outcome"],
  "child-started": ["key", "at", "taskName", "runIds", "first", "isLeft", "source"],
  waiting: [],
  paused: ["reason", "details"],
  "cancel-requested": ["by", "reason"],
  ended: ["outcome"],
  "attempt-failed": ["key", "at", "attempt", "error", "retryAt", "source"],
  "timed-out": ["limitMs"],
  "operation-interrupted": ["key", "at"],
  "cleanup-over": [],
  heartbeat: ["key", "details"],
  "change-noted": ["name", "at"],
  "version-pinned": ["version"],
  resumed: ["by", "reason"],
  retried: ["by", "reason", "again"],
  "step-skipped": ["by", "reason", "key", "value"],
  outlived: [],
  continued: ["input", "count", "firstOrdinal", "limitFrom", "eventsAfter", "consumed"],
  retired: ["end"],
};

/** Fields that may be absent. They come last. */
const OPTIONAL: ReadonlySet<string> = new Set(["source"]);

/** The forms of the fields that are not free data. */
const FORMS: { readonly [field: string]: Form } = {
  worker: isText,
  because: isText,
  key: isText,
  at: isCount,
  attempts: isCount,
  attempt: isCount,
  retryAt: isTime,
  limitMs: isTime,
  durationMs: isTime,
  leaf: isCount,
  condition: isCondition,
  error: isFailure,
  taskName: isText,
  runIds: isTexts,
  first: isCount,
  end: isCount,
  reason: isText,
  by: isText,
  name: isText,
  version: isText,
  source: isText,
  again: isTexts,
  count: isCount,
  firstOrdinal: isCount,
  limitFrom: isTime,
  eventsAfter: isCount,
  consumed: isCounts,
};
/** What happened to a leaf, and how a run ended: one name, and not the same form. */
const OUTCOME_FORMS: { readonly [kind: string]: Form } = {
  "wait-settled": isLeafOutcome,
  ended: isOutcome,
};

/**
 * Writes a commit as a message body.
 * @throws {InvalidInputError} When a value in it cannot be stored.
 */
export function encodeCommit(commit: Commit, what: string): Uint8Array {
  const entries = commit.entries.map(toTuple);
  return encode([commit.startSequence, commit.pass, commit.token, commit.time, entries], what);
}

/**
 * Reads a commit.
 * @throws {UndecodableError} When the message is not a commit of this format.
 */
export function decodeCommit(message: Uint8Array, sequence: number, where: string): StoredCommit {
  const body = decode(message, where);
  if (!Array.isArray(body)) throw notA("commit", where);
  const [startSequence, pass, token, time, tuples] = body as unknown[];
  if (
    !isCount(startSequence) ||
    !isText(pass) ||
    !isCount(token) ||
    !isTime(time) ||
    !Array.isArray(tuples)
  )
    throw notA("commit", where);
  const entries = tuples.map((tuple) => fromTuple(tuple, where));
  return { sequence, startSequence, pass, token, time, entries } as StoredCommit;
}

function toTuple(entry: Entry): unknown[] {
  const record = entry as unknown as { readonly [field: string]: unknown };
  const tuple: unknown[] = [KINDS.indexOf(entry.kind)];
  for (const field of FIELDS[entry.kind])
    if (!OPTIONAL.has(field) || record[field] !== undefined) tuple.push(record[field]);
  return tuple;
}

function fromTuple(tuple: unknown, where: string): Entry {
  const index: unknown = Array.isArray(tuple) ? tuple[0] : undefined;
  const kind = typeof index === "number" ? KINDS[index] : undefined;
  if (!Array.isArray(tuple) || kind === undefined) throw notA("known entry", where);
  const entry: { [field: string]: unknown } = { kind };
  const fields: readonly string[] = FIELDS[kind];
  for (let i = 0; i < fields.length; i++) {
    const field = fields[i] as string;
    const value: unknown = tuple[i + 1];
    if (value === undefined && OPTIONAL.has(field)) continue;
    const hasForm = field === "outcome" ? OUTCOME_FORMS[kind] : FORMS[field];
    if (hasForm && !hasForm(value)) throw notA(`${kind} entry with a ${field}`, where);
    entry[field] = value;
  }
  return entry as unknown as Entry;
}

function notA(what: string, where: string): UndecodableError {
  return new UndecodableError(
    `The message at ${where} is not a ${what}: another version of Contrail or another program wrote it.`,
  );
}
