/** Folds what the log holds into runs: a fold of its own, so that an error in the product's is seen. */
import type { Evidence } from "./directory.ts";
import {
  bodyOf,
  type Condition,
  type Entry,
  entriesOf,
  headerOf,
  isMatch,
  type Line,
  nameOf,
  type Outcome,
  payloadOf,
} from "./wire.ts";

/** Entries that were stored together. */
export interface Commit {
  readonly sequence: number;
  /** When the server stored it. */
  readonly timeMs: number;
  readonly pass: string;
  /** The worker of the pass, or `engine`. */
  readonly worker: string;
  readonly token: number;
  readonly entries: readonly Entry[];
  /** What its header says of the run. */
  readonly status: string | undefined;
  /** The earliest time that the run waits for behind it. */
  dueAt?: number;
}

/** A wait with what has happened to its leaves. */
export interface Wait {
  readonly key: string;
  readonly condition: Condition;
  readonly leaves: readonly Condition[];
  readonly openedAt: Commit;
  readonly settled: Map<number, Outcome>;
  isOver: boolean;
}

/** An event that a run has consumed. */
export interface Consumed {
  readonly wait: Wait;
  readonly leaf: number;
  readonly outcome: Outcome;
  readonly commit: Commit;
}

/** A run as its messages tell it. */
export interface Run {
  readonly name: string;
  readonly taskName: string;
  readonly runId: string;
  /** Its messages, in order. */
  readonly lines: Line[];
  readonly starts: Line[];
  /** What its start says: input, position in the events, whose child it is. */
  readonly input: unknown;
  readonly parent: readonly unknown[] | null;
  readonly commits: Commit[];
  /** Sequences of its tokens, and which commit each answers. */
  readonly tokens: Map<number, number | undefined>;
  readonly steps: Map<string, Commit[]>;
  readonly waits: Map<string, Wait>;
  readonly retries: Map<string, number>;
  readonly consumed: Consumed[];
  readonly early: { readonly wait: Wait; readonly leaf: number; readonly commit: Commit }[];
  readonly ends: { readonly outcome: Outcome; readonly commit: Commit }[];
  readonly childIds: Set<string>;
  status: string;
  interruptedAt?: Commit;
  /** Results were taken back: what was done once may be done again. */
  isReopened: boolean;
  /** A message of its history or its start is none. */
  isUnreadable: boolean;
}

/** An event as it is stored. */
export interface StoredEvent {
  readonly sequence: number;
  readonly timeMs: number;
  readonly name: string;
  readonly payload: unknown;
}

/** All runs by `<task>/<run>`, and all events. */
export interface World {
  readonly runs: ReadonlyMap<string, Run>;
  readonly events: readonly StoredEvent[];
  /** Events by name and key of their payload, as the workload asks for them. */
  readonly byKey: ReadonlyMap<string, readonly StoredEvent[]>;
  /** The children of each run, by `<task>/<run>` of the parent. */
  readonly children: ReadonlyMap<string, readonly Run[]>;
}

/** Folds the dump of the log. */
export function foldWorld({ dump, summary }: Evidence): World {
  const runs = new Map<string, Run>();
  const children = new Map<string, Run[]>();
  for (const [stream, lines] of dump)
    if (stream.startsWith(`${summary.namespace}_LOG_`))
      for (const line of lines) {
        const [, , , task, run, kind] = line.subject.split(".");
        if (!task || !run || !kind) continue;
        const name = `${nameOf(task)}/${nameOf(run)}`;
        if (!runs.has(name)) runs.set(name, newRun(nameOf(task), nameOf(run)));
        take(runs.get(name) as Run, kind, line);
      }
  for (const run of runs.values()) {
    const [taskName, runId] = run.parent ?? [];
    const parent = `${taskName}/${runId}`;
    if (!run.parent) continue;
    const siblings = children.get(parent);
    if (siblings) siblings.push(run);
    else children.set(parent, [run]);
  }
  const events = (dump.get(`${summary.namespace}_EVENTS`) ?? []).map((line) => ({
    sequence: line.sequence,
    timeMs: line.timeMs,
    name: line.subject.slice(line.subject.indexOf(".") + 1),
    payload: payloadOf(line),
  }));
  const byKey = new Map<string, StoredEvent[]>();
  for (const event of events) {
    const index = indexOf(event.name, event.payload);
    const others = byKey.get(index);
    if (others) others.push(event);
    else byKey.set(index, [event]);
  }
  return { runs, events, byKey, children };
}

/** The leaves of a condition, from the left. */
export function leavesOf(condition: Condition): Condition[] {
  return condition.of ? condition.of.flatMap(([, part]) => leavesOf(part)) : [condition];
}

/** Whether a condition holds by what has happened to its leaves; a child that failed may decide it. */
export function holds(condition: Condition, settled: ReadonlyMap<number, Outcome>): boolean {
  let leaf = 0;
  const settle = (part: Condition): "good" | "bad" | undefined => {
    if (part.of) {
      const inner = part.of.map(([, each]) => settle(each));
      if (part.kind === "anyOf") return inner.find((each) => each !== undefined);
      return inner.includes("bad") ? "bad" : inner.includes(undefined) ? undefined : "good";
    }
    const outcome = settled.get(leaf++);
    if (!outcome || (outcome.ended && outcome.ended.length < (part.count ?? 0))) return undefined;
    const ends = outcome.ended?.map(([, end]) => end) ?? (outcome.outcome ? [outcome.outcome] : []);
    return ends.every(({ status }) => status === "completed") ? "good" : "bad";
  };
  return settle(condition) !== undefined;
}

/** The events that a leaf may consume. */
export function candidates(world: World, { after = 0, ...leaf }: Condition): StoredEvent[] {
  const { name = "", where } = leaf;
  const isExact = typeof where?.["key"] === "string" && !/[*>]/.test(name);
  const events = isExact ? (world.byKey.get(indexOf(name, where)) ?? []) : world.events;
  return events.filter(
    ({ sequence, name, payload }) => sequence > after && isMatch(leaf, name, payload),
  );
}

function indexOf(name: string, payload: unknown): string {
  return `${name} ${String((payload as { readonly key?: unknown } | null | undefined)?.key)}`;
}

function newRun(taskName: string, runId: string): Run {
  return {
    ...{ name: `${taskName}/${runId}`, taskName, runId, lines: [], starts: [], commits: [] },
    ...{ input: undefined, parent: null, tokens: new Map(), steps: new Map(), waits: new Map() },
    ...{ retries: new Map(), consumed: [], early: [], ends: [], childIds: new Set() },
    ...{ status: "queued", isReopened: false, isUnreadable: false },
  };
}

function take(run: Run, kind: string, line: Line): void {
  run.lines.push(line);
  const body = bodyOf(line);
  if (kind === "start") {
    run.starts.push(line);
    run.tokens.set(line.sequence, 0);
    if (!body) run.isUnreadable = true;
    else if (run.starts.length === 1) {
      const [input, , , parent] = body;
      Object.assign(run, { input, parent: Array.isArray(parent) ? parent : null });
    }
  } else if (kind === "ready") run.tokens.set(line.sequence, body?.[0] as number | undefined);
  else if (kind === "h" || kind === "c") {
    try {
      const [startSequence, pass, token, , tuples] = body as [
        number,
        string,
        number,
        number,
        unknown,
      ];
      if (startSequence !== run.starts[0]?.sequence) return;
      const { sequence, timeMs } = line;
      const worker = pass.replace(/\/[rd][0-9a-z]+$/s, "");
      const status = headerOf(line, "Contrail-Status");
      const common = { sequence, timeMs, pass, worker, token, status };
      evolve(run, { ...common, entries: entriesOf(tuples) });
    } catch {
      run.isUnreadable = true; // what is no commit belongs to nobody
    }
  }
}

function evolve(run: Run, commit: Commit): void {
  run.commits.push(commit);
  run.status = "running";
  for (const entry of commit.entries) apply(run, entry, commit);
  const dues = duesOf(run);
  if (dues.length > 0) commit.dueAt = Math.min(...dues);
}

/** The times at which something is due, as far as it is recorded. */
export function duesOf(run: Run): number[] {
  const waits = [...run.waits.values()].filter(({ isOver }) => !isOver);
  const open = waits.flatMap(({ leaves, settled }) => leaves.filter((_, i) => !settled.has(i)));
  return [...open.flatMap(({ dueAt }) => dueAt ?? []), ...run.retries.values()];
}

function apply(run: Run, entry: Entry, commit: Commit): void {
  const { kind, key } = entry;
  if (kind === "waiting" || kind === "paused") run.status = kind;
  else if (kind === "step-completed" || kind === "step-failed") {
    run.steps.set(key, [...(run.steps.get(key) ?? []), commit]);
    run.retries.delete(key);
  } else if (kind === "operation-interrupted") run.retries.delete(key);
  else if (kind === "attempt-failed") run.retries.set(key, entry.retryAt);
  else if (kind === "child-started") for (const id of entry.runIds) run.childIds.add(id);
  else if (kind === "wait-opened") {
    const { condition } = entry;
    const isOver = run.interruptedAt !== undefined || holds(condition, new Map());
    const leaves = leavesOf(condition);
    run.waits.set(key, { key, condition, leaves, openedAt: commit, settled: new Map(), isOver });
  } else if (kind === "wait-settled") settle(run, entry, commit);
  else if (kind === "cancel-requested" || kind === "timed-out") {
    run.interruptedAt ??= commit;
    for (const wait of run.waits.values()) wait.isOver = true;
  } else if (kind === "ended") {
    run.ends.push({ outcome: entry.outcome, commit });
    run.status = entry.outcome.status ?? "";
  } else if (kind === "retried" || kind === "continued") {
    run.isReopened = true;
    delete run.interruptedAt;
    run.waits.clear(); // those that are taken back are recorded anew, the others are over
    run.retries.clear();
  }
}

function settle(run: Run, { key, leaf, outcome }: Entry, commit: Commit): void {
  const wait = run.waits.get(key);
  if (!wait || wait.isOver) return;
  const before = wait.settled.get(leaf);
  if (before && outcome.kind !== "children") return;
  const known = before?.ended ?? [];
  const ended = outcome.ended?.filter(([at]) => !known.some(([position]) => position === at));
  wait.settled.set(leaf, ended ? { ...outcome, ended: [...known, ...ended] } : outcome);
  const condition = wait.leaves[leaf];
  if (outcome.kind === "event") run.consumed.push({ wait, leaf, outcome, commit });
  if (condition?.kind === "sleep" && commit.timeMs < (condition.dueAt ?? 0) - CLOCK_STEP_MS)
    run.early.push({ wait, leaf, commit });
  wait.isOver = holds(wait.condition, wait.settled);
}

/** The server's time is cut to milliseconds, and three servers do not agree to the last of them. */
const CLOCK_STEP_MS = 5;
