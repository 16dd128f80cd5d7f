/**
 * What a history says: the fold over its commits. No clock, no I/O. The worker, the engine, the
 * client and the command line all use this one fold.
 *
 * F1. A commit of another start is skipped (rule 24).
 * F2. Nothing follows the end, but for the commit that reopens a failed run (`rewind.ts`).
 * F3. Folding a history in two parts gives what folding it whole gives.
 */

import { type Beginning, beginAnew } from "./continuation.ts";
import type {
  Entry,
  LeafCondition,
  LeafOutcome,
  Outcome,
  StoredCommit,
  StoredCondition,
} from "./entries.ts";
import { reopens, retire } from "./failed-ends.ts";
import { type Interruption, interruptedResult } from "./interruption.ts";
import { parsePassId } from "./pass-id.ts";
import { rewind } from "./rewind.ts";
import type { RetryState, StartedChildren } from "./run-parts.ts";
import type { RunStatus } from "./run-status.ts";
import { leavesOf, type RecordedLeaf, resolveWait, type WaitResult } from "./waits.ts";

/** Something the code asked for and, when it is settled, received; in recorded order. */
export interface Delivery {
  readonly key: string;
  readonly at: number;
  readonly result: WaitResult;
  /** Time of the commit that recorded it. */
  readonly recordedAt: number;
}

/** A wait as far as it is recorded. */
export interface WaitState {
  readonly key: string;
  readonly at: number;
  readonly condition: StoredCondition;
  readonly leaves: readonly LeafCondition[];
  readonly openedAt: number;
  readonly recorded: Map<number, RecordedLeaf>;
  /** Counts what was recorded, so that every outcome has its place in order. */
  recordedCount: number;
  /** Present once the wait is settled. */
  result?: WaitResult;
}

/** The fold of one run's history. Changed in place by `evolve`. */
export interface RunState {
  status: RunStatus;
  /** Sequence of the run's `start`; commits of another are not of this run. */
  readonly startSequence: number;
  /** When the start was stored, in milliseconds since the epoch. */
  readonly startedAt: number;
  /** From when its time limit counts: the start, or when it was reopened last. */
  limitFrom: number;
  /** Where the present history begins, once the run has continued with another input. */
  beginning?: Beginning;
  /** Sequence of the last message of the history, of whichever start: what the next commit expects. */
  tail: number;
  /** Sequence of a message of the history that cannot be read, if there is one. */
  unreadableAt?: number;
  /** Whether the history holds commits of a later start: this one was purged. */
  hasNewerStart: boolean;
  /** Token of the passage that the last commit belongs to. */
  token: number;
  pass: string;
  /** Sequence of the last waiting commit; 0 is the start. */
  waitSequence: number;
  /** How many entries the history has, from its beginning. */
  entries: number;
  claims: number;
  /** Claims by takeover since the last entry of another kind (rule 9). */
  takeovers: number;
  /** The same, counting on when a worker has outlived the run for a while. */
  losses: number;
  /** Id of the worker that wrote the last commit; "" before the first. */
  worker: string;
  /** When the last commit was written; the start's time before the first. */
  changedAt: number;
  readonly deliveries: Delivery[];
  /** Keys of steps and child starts that are recorded. */
  readonly steps: Set<string>;
  /** Steps that failed and will be tried again. */
  readonly retries: Map<string, RetryState>;
  /** What steps that have no result yet said of themselves last. */
  readonly heartbeats: Map<string, unknown>;
  readonly waits: Map<string, WaitState>;
  /** Those of them that are not settled, in the order in which they were opened. */
  readonly pending: Map<string, WaitState>;
  /** Those of the pending ones that time alone may settle, or bring nearer to it. */
  readonly sleeping: Map<string, WaitState>;
  readonly children: Map<string, StartedChildren>;
  readonly consumedEvents: Set<number>;
  /** Results that somebody gave for steps, by their keys; the code may not have asked for them yet. */
  readonly skips: Map<string, unknown>;
  /** The run was canceled, or its time limit is over. */
  interruption?: Interruption;
  /** How many results were recorded when the code was given up. */
  givenUpAt?: number;
  /**
   * How many results the code had received when it was suspended last; nothing before, and when it
   * was told to stop since.
   */
  suspendedAt?: number;
  /**
   * The code has surely done all that it does with so many results; -1 when it has surely done
   * nothing. A result that was recorded and never handed out does not count.
   */
  passedAt: number;
  /** What `ctx.changed` was found true for. */
  readonly changes: Set<string>;
  /** The version of the task that the run goes on with, if its task had one. */
  version?: string;
  paused?: { readonly reason: string; readonly details: unknown };
  outcome?: Outcome;
  /** The failed end behind which the run was retired: a retry that was asked for before answers it. */
  retiredEnd?: number;
}

/** The state of a run of which nothing but its start is stored. */
export function initialState(startSequence: number, startedAt: number): RunState {
  return {
    status: "queued",
    startSequence,
    startedAt,
    limitFrom: startedAt,
    tail: 0,
    hasNewerStart: false,
    token: startSequence,
    pass: "",
    waitSequence: 0,
    entries: 0,
    claims: 0,
    takeovers: 0,
    losses: 0,
    worker: "",
    changedAt: startedAt,
    deliveries: [],
    steps: new Set(),
    retries: new Map(),
    heartbeats: new Map(),
    waits: new Map(),
    pending: new Map(),
    sleeping: new Map(),
    children: new Map(),
    consumedEvents: new Set(),
    passedAt: -1,
    changes: new Set(),
    skips: new Map(),
  };
}

/** Adds a commit to a state and returns the same state. */
export function evolve(state: RunState, commit: StoredCommit): RunState {
  state.tail = commit.sequence;
  if (commit.startSequence > state.startSequence) state.hasNewerStart = true;
  if (commit.startSequence !== state.startSequence) return state;
  if (state.outcome && !reopens(state.outcome, commit)) return retire(state, commit);
  state.token = commit.token;
  if (commit.pass !== state.pass) state.worker = parsePassId(commit.pass)?.worker ?? state.worker;
  state.pass = commit.pass;
  state.changedAt = commit.time;
  state.status = "running";
  state.entries += commit.entries.length;
  let left = commit.entries.length;
  for (const entry of commit.entries) {
    if (entry.kind === "continued") {
      const { sequence, time } = commit;
      state.takeovers = state.losses = 0;
      beginAnew(state, entry, { sequence, time, entries: left });
    } else apply(state, entry, commit);
    left--;
  }
  return state;
}

/** Notes a message of the history that is no commit: the run cannot go on by it. */
export function noteUnreadable(state: RunState, sequence: number): RunState {
  state.tail = sequence;
  state.unreadableAt = sequence;
  return state;
}

/** The leaves of a wait that have not happened, with their numbers. */
export function pendingLeaves(wait: WaitState): { leaf: number; condition: LeafCondition }[] {
  return wait.leaves.flatMap((condition, leaf) =>
    isLeafDone(condition, wait.recorded.get(leaf)) ? [] : [{ leaf, condition }],
  );
}

function isLeafDone(condition: LeafCondition, recorded: RecordedLeaf | undefined): boolean {
  if (!recorded) return false;
  if (condition.kind !== "children" || recorded.outcome.kind !== "children") return true;
  return recorded.outcome.ended.length >= condition.count;
}

/** Entries that a pass writes again and again without getting any further. */
const NO_PROGRESS: ReadonlySet<Entry["kind"]> = new Set([
  "claimed",
  "wait-opened",
  "version-pinned",
  "heartbeat",
]);

function apply(
  state: RunState,
  entry: Exclude<Entry, { kind: "continued" }>,
  commit: StoredCommit,
): void {
  if (!NO_PROGRESS.has(entry.kind)) {
    state.takeovers = 0;
    if (entry.kind !== "outlived") state.losses = 0;
  }
  if ("at" in entry) state.passedAt = Math.max(state.passedAt, entry.at);
  switch (entry.kind) {
    case "claimed":
      state.claims++;
      state.takeovers = entry.because === "takeover" ? state.takeovers + 1 : 0;
      state.losses = entry.because === "takeover" ? state.losses + 1 : 0;
      state.worker = entry.worker;
      delete state.paused;
      return;
    case "attempt-failed": {
      const { attempt: attempts, error, retryAt } = entry;
      state.retries.set(entry.key, { attempts, error, retryAt });
      return;
    }
    case "heartbeat":
      state.heartbeats.set(entry.key, entry.details);
      return;
    case "step-completed":
      closeStep(state, entry.key);
      deliver(state, entry, { ok: true, value: entry.value });
      return;
    case "step-failed":
      closeStep(state, entry.key);
      deliver(state, entry, { ok: false, error: entry.error, status: "failed" });
      return;
    case "wait-opened":
      openWait(state, entry, commit.time);
      return;
    case "wait-settled":
      settleLeaf(state, entry.key, entry.leaf, entry.outcome);
      return;
    case "child-started": {
      const { key, at, taskName, runIds, isLeft } = entry;
      state.children.set(key, { key, at, taskName, runIds, isLeft });
      deliver(state, entry, { ok: true, value: runIds });
      return;
    }
    case "waiting":
      state.status = "waiting";
      state.waitSequence = commit.sequence;
      state.suspendedAt = state.deliveries.length;
      state.passedAt = Math.max(state.passedAt, state.suspendedAt);
      return;
    case "paused":
      state.status = "paused";
      state.waitSequence = commit.sequence;
      state.paused = { reason: entry.reason, details: entry.details };
      return;
    case "cancel-requested":
      interrupt(state, { kind: "cancel", by: entry.by, reason: entry.reason });
      return;
    case "timed-out": {
      const reason = `the run took longer than its limit of ${entry.limitMs} ms`;
      interrupt(state, { kind: "timeout", by: "", reason });
      return;
    }
    case "cleanup-over":
      state.givenUpAt ??= state.deliveries.length;
      delete state.suspendedAt;
      return;
    case "operation-interrupted":
      closeStep(state, entry.key);
      deliver(state, entry, interruptedResult(state.interruption));
      return;
    case "change-noted":
      state.changes.add(entry.name);
      return;
    case "version-pinned":
      state.version = entry.version;
      return;
    case "ended":
      state.outcome = entry.outcome;
      state.status = entry.outcome.status;
      return;
    case "outlived":
    case "resumed":
    case "retired":
      return;
    case "retried":
      delete state.retiredEnd;
      state.status = "running";
      rewind(state, entry.again);
      state.limitFrom = commit.time;
      return;
    case "step-skipped":
      state.skips.set(entry.key, entry.value);
      return;
  }
}

/** A step has its result. */
function closeStep(state: RunState, key: string): void {
  state.retries.delete(key);
  state.heartbeats.delete(key);
  state.steps.add(key);
}

function openWait(
  state: RunState,
  entry: Extract<Entry, { kind: "wait-opened" }>,
  openedAt: number,
): void {
  const wait = newWait(entry, openedAt);
  state.waits.set(wait.key, wait);
  state.pending.set(wait.key, wait);
  if (hasSleep(wait)) state.sleeping.set(wait.key, wait);
  const result = resolveWait(wait.condition, wait.recorded); // allOf() of nothing holds at once
  if (state.interruption) settleWait(state, wait, interruptedResult(state.interruption));
  else if (result) settleWait(state, wait, result);
}

/** A wait of which nothing has happened. */
export function newWait(
  { key, at, condition }: Extract<Entry, { kind: "wait-opened" }>,
  openedAt: number,
): WaitState {
  const leaves = leavesOf(condition);
  return { key, at, condition, leaves, openedAt, recorded: new Map(), recordedCount: 0 };
}

/** Whether a part of a wait is a sleep. */
export function hasSleep(wait: WaitState): boolean {
  return wait.leaves.some((condition) => condition.kind === "sleep");
}

/**
 * An interrupted run waits for nothing: the code receives the interruption where it waits. Only the
 * first one counts.
 */
function interrupt(state: RunState, why: Pick<Interruption, "kind" | "by" | "reason">): void {
  if (state.interruption) return;
  delete state.suspendedAt; // from here on the code goes another way than it did then
  state.interruption = { ...why, at: state.changedAt };
  for (const wait of [...state.pending.values()])
    settleWait(state, wait, interruptedResult(state.interruption));
}

function settleWait(state: RunState, wait: WaitState, result: WaitResult): void {
  wait.result = result;
  state.pending.delete(wait.key);
  state.sleeping.delete(wait.key);
  deliver(state, wait, result);
}

function settleLeaf(state: RunState, key: string, leaf: number, outcome: LeafOutcome): void {
  const wait = state.waits.get(key);
  if (!wait || wait.result) return; // settled by an earlier leaf of the same commit
  const before = wait.recorded.get(leaf)?.outcome;
  const joined = before === undefined ? outcome : joinOutcomes(before, outcome);
  if (joined === undefined) return;
  wait.recorded.set(leaf, { outcome: joined, order: wait.recordedCount++ });
  if (outcome.kind === "event") state.consumedEvents.add(outcome.sequence);
  const result = resolveWait(wait.condition, wait.recorded);
  if (result) settleWait(state, wait, result);
}

/**
 * The ends of a group of children come in parts; anything else happens once, and what was recorded
 * first holds. Nothing when there is nothing new.
 */
function joinOutcomes(before: LeafOutcome, next: LeafOutcome): LeafOutcome | undefined {
  if (before.kind !== "children" || next.kind !== "children") return undefined;
  const recorded = new Set(before.ended.map(([position]) => position));
  const added = next.ended.filter(([position]) => !recorded.has(position));
  return added.length === 0 ? undefined : { kind: "children", ended: [...before.ended, ...added] };
}

function deliver(
  state: RunState,
  asked: { readonly key: string; readonly at: number },
  result: WaitResult,
): void {
  if (!result.ok && result.isInterruption && state.interruption)
    state.interruption.position ??= state.deliveries.length;
  state.deliveries.push({ key: asked.key, at: asked.at, result, recordedAt: state.changedAt });
}
