/**
 * A run's history as rows for people and programs: which worker went through it in a slot of which
 * pool, what it did, where it waited, and why it went on. Pure.
 */
import { conditionText, operationName, outcomeText, waitText } from "./condition-text.ts";
import { describe } from "./describe.ts";
import type { Entry, StoredCommit } from "./entries.ts";
import { parsePassId } from "./pass-id.ts";
import type { RunView } from "./run-view.ts";
import type { Pool } from "./subjects.ts";

/** What a row tells. */
export type TimelineKind =
  /** Somebody started the run. */
  | "started"
  /** A pass begins: a worker took the run and gave it a slot. */
  | "claimed"
  /** A step has ended, well or not. */
  | "step"
  /** The code began to wait for something. */
  | "wait"
  /** Something that it waited for has happened. */
  | "happened"
  /** Children were started that nobody waits for yet. */
  | "children"
  /** The run waits: its slot is free, and it is on no worker. */
  | "evicted"
  | "paused"
  | "cancel"
  /** Which code it goes on with: a version, or a change that it takes part in. */
  | "code"
  /** Somebody resumed or retried the run, or gave a step its result. */
  | "repaired"
  /** The run goes on with another input, and nothing of what was recorded before. */
  | "continued"
  | "ended";

/** One row. */
export interface TimelineRow {
  /** When it was recorded, in milliseconds since the epoch, by the servers' clock. */
  readonly at: number;
  /** Counts the passes from 1; 0 for what is in none. */
  readonly pass: number;
  /** The worker of the pass. Undefined for what is in none. */
  readonly worker: string | undefined;
  /** Whose slot the pass holds. Undefined for what is in none. */
  readonly pool: Pool | undefined;
  readonly kind: TimelineKind;
  readonly text: string;
  /**
   * Number of its entry in the history, from 1: a fork with `entries` of this number keeps it and all
   * before it. Undefined for what no entry records.
   */
  readonly entry?: number;
  /** Of a step: all its attempts and the pauses between them. */
  readonly durationMs?: number;
  /** Of a step: how often it was tried. */
  readonly attempts?: number;
}

/** A wait that has not come to its end. */
export interface PendingWait {
  /** Names the operation in the history. */
  readonly key: string;
  /** When it began, in milliseconds since the epoch. */
  readonly since: number;
  /** What it still waits for. */
  readonly text: string;
  /** When its earliest sleep is over, in milliseconds since the epoch. */
  readonly dueAt?: number;
}

/** All rows of a run, in the order in which they were recorded. */
export function timelineOf(view: RunView): TimelineRow[] {
  const rows: TimelineRow[] = [startRow(view)];
  let pass = 0;
  let last = "";
  let count = 0;
  let cancelIsShown = false;
  for (const commit of view.commits) {
    const isNew = commit.pass !== last;
    if (isNew) pass++;
    const previous = isNew ? workerOf(last) : undefined;
    last = commit.pass;
    rows.push(...commitRows(commit, { pass, isNew, previous, before: count }));
    count += commit.entries.length;
    cancelIsShown ||= commit.entries.some(({ kind }) => kind === "cancel-requested");
  }
  const { cancelRequest } = view;
  if (cancelRequest && !cancelIsShown)
    rows.push({
      at: cancelRequest.at,
      ...NO_PASS,
      kind: "cancel",
      text: `${cancelRequest.by} asked to cancel${because(cancelRequest.reason)}`,
    });
  return rows;
}

/** The waits of a run that are not settled, the oldest first. */
export function pendingWaits(view: RunView, now: number): PendingWait[] {
  return [...view.state.pending.values()].map((wait) => {
    let dueAt = Number.POSITIVE_INFINITY;
    for (const [leaf, condition] of wait.leaves.entries())
      if (condition.kind === "sleep" && !wait.recorded.has(leaf))
        dueAt = Math.min(dueAt, condition.dueAt);
    return {
      key: wait.key,
      since: wait.openedAt,
      text: waitText(wait, now),
      ...(dueAt === Number.POSITIVE_INFINITY ? {} : { dueAt }),
    };
  });
}

const NO_PASS = { pass: 0, worker: undefined, pool: undefined } as const;

function startRow({ startedAt, startedBy, parent, forkedFrom }: RunView): TimelineRow {
  const text = parent
    ? `started as a child of ${parent.taskName}/${parent.runId}`
    : forkedFrom
      ? `${startedBy} forked it from ${forkedFrom.runId}${because(forkedFrom.reason)}`
      : `started by ${startedBy}`;
  return { at: startedAt, ...NO_PASS, kind: "started", text };
}

interface PassPosition {
  readonly pass: number;
  /** Whether this commit is the first of its pass. */
  readonly isNew: boolean;
  /** The worker of the pass before, where this commit begins another. */
  readonly previous: string | undefined;
  /** How many entries come before this commit's. */
  readonly before: number;
}

function commitRows(
  commit: StoredCommit,
  { pass, isNew, previous, before }: PassPosition,
): TimelineRow[] {
  const claim = commit.entries.find((entry) => entry.kind === "claimed");
  const origin = parsePassId(commit.pass);
  const worker = origin?.worker ?? claim?.worker;
  const base = { at: commit.time, pass, worker, pool: origin?.pool };
  const rows: TimelineRow[] = [];
  // A first pass may begin without a claim: its first commit shows who it was.
  if (isNew && !claim) rows.push({ ...base, kind: "claimed", text: "begins" });
  for (const [index, entry] of commit.entries.entries()) {
    const row = rowOf(entry, { at: commit.time, worker, previous });
    if (row) rows.push({ ...base, ...row, entry: before + index + 1 });
  }
  return rows;
}

type Row = Pick<TimelineRow, "kind" | "text" | "durationMs" | "attempts">;

function rowOf(
  entry: Entry,
  around: { readonly at: number } & { readonly [W in "worker" | "previous"]: string | undefined },
): Row | undefined {
  switch (entry.kind) {
    case "claimed":
      return { kind: "claimed", text: claimText(entry.because, around) };
    case "step-completed":
    case "step-failed":
      return stepRow(entry);
    case "attempt-failed": {
      const { key, attempt, error, retryAt } = entry;
      const again = `again in ${Math.max(0, Math.round(retryAt - around.at))} ms`;
      const text = `attempt ${attempt} of step ${operationName(key)} failed: ${error.name}: ${error.message}; ${again}`;
      return { kind: "step", text };
    }
    case "heartbeat":
      return { kind: "step", text: `step ${operationName(entry.key)} goes on` };
    case "wait-opened":
      return { kind: "wait", text: `waits for ${conditionText(entry.condition, around.at)}` };
    case "wait-settled":
      return { kind: "happened", text: outcomeText(entry.outcome) };
    case "child-started": {
      const { runIds, taskName } = entry;
      const [first] = runIds;
      const which =
        runIds.length === 1
          ? `child ${taskName}/${first}`
          : `${runIds.length} children of task ${taskName}`;
      return { kind: "children", text: `starts ${which}` };
    }
    case "waiting":
      return { kind: "evicted", text: "gives its slot back" };
    case "paused":
      return { kind: "paused", text: entry.reason };
    case "cancel-requested":
      return {
        kind: "cancel",
        text: `learns that ${entry.by} asked to cancel${because(entry.reason)}`,
      };
    case "timed-out":
      return { kind: "cancel", text: `has used up its time limit of ${entry.limitMs} ms` };
    case "cleanup-over":
      return { kind: "cancel", text: "has used up its time for cleanup" };
    case "operation-interrupted":
      return { kind: "cancel", text: `gives up ${operationName(entry.key)}` };
    case "change-noted":
      return { kind: "code", text: `takes part in change ${describe(entry.name)}` };
    case "version-pinned":
      return { kind: "code", text: `goes on with version ${describe(entry.version)} of its task` };
    case "outlived":
      return undefined;
    case "retired":
      return { kind: "ended", text: "is kept no longer" };
    case "resumed":
      return { kind: "repaired", text: `${entry.by} resumed it${because(entry.reason)}` };
    case "retried":
      return { kind: "repaired", text: `${entry.by} retried it${retryText(entry)}` };
    case "step-skipped": {
      const step = operationName(entry.key);
      const text = `${entry.by} gave step ${step} its result${because(entry.reason)}`;
      return { kind: "repaired", text };
    }
    case "continued":
      return { kind: "continued", text: continuedText(entry) };
    case "ended": {
      const { outcome } = entry;
      const error =
        outcome.status === "completed" ? "" : `: ${outcome.error.name}: ${outcome.error.message}`;
      return { kind: "ended", text: `${outcome.status}${error}` };
    }
  }
}

function continuedText({ input, count }: Extract<Entry, { kind: "continued" }>): string {
  return `continues for the ${ordinal(count)} time, with the input ${describe(input)}`;
}

function ordinal(count: number): string {
  const teens = count % 100 > 10 && count % 100 < 14;
  const ending = teens ? undefined : ["th", "st", "nd", "rd"][count % 10];
  return `${count}${ending ?? "th"}`;
}

function retryText({ again, reason }: Extract<Entry, { kind: "retried" }>): string {
  const from = again[0] === undefined ? "" : ` from ${operationName(again[0])}`;
  return from + because(reason);
}

function stepRow(entry: Extract<Entry, { kind: "step-completed" | "step-failed" }>): Row {
  const { key, attempts, durationMs } = entry;
  // What failed before it could begin is recorded in the same way as a step that failed.
  const what = key.startsWith("s") ? "step " : "";
  const error =
    entry.kind === "step-failed" ? ` failed: ${entry.error.name}: ${entry.error.message}` : "";
  return { kind: "step", text: `${what}${operationName(key)}${error}`, durationMs, attempts };
}

/** Why a pass begins. */
function claimText(
  reason: string,
  { worker, previous }: { readonly [W in "worker" | "previous"]: string | undefined },
): string {
  const where = previous === undefined || previous === worker ? "" : `, after ${previous}`;
  switch (reason) {
    case "start":
      return "begins";
    case "takeover":
      return `takes over${previous === undefined ? " from a worker that was lost" : ` from ${previous === worker ? "an earlier pass of its own" : previous}, which was lost`}`;
    case "timer":
      return `resumes${where}: the time has come`;
    case "match":
      return `resumes${where}: something it waits for has happened`;
    case "cancel":
      return `resumes${where}: it is to be canceled`;
    case "resume":
    case "retry":
    case "skip":
      return `resumes${where}: somebody repaired it`;
    case "poke":
      return `resumes${where}: somebody asked it to look again`;
    default:
      return `resumes${where}: ${reason}`;
  }
}

function workerOf(pass: string): string | undefined {
  return parsePassId(pass)?.worker;
}

function because(reason: string): string {
  return reason === "" ? "" : `: ${reason}`;
}
