/** Folds what the log holds of a run: a fold of its own, so that an error in the product's is seen. */
import {
  type Condition,
  type Entry,
  entriesOf,
  headerOf,
  type Line,
  type Message,
  messageOf,
  type Outcome,
  runOf,
} from "./wire.ts";

/** The server's time is cut to milliseconds, and three servers do not agree to the last of them. */
const CLOCK_STEP_MS = 5;

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
  /** Behind it nobody is at work: the run waits, is paused, or has ended. */
  readonly isRest: boolean;
  /** The earliest time that the run waits for behind it. */
  dueAt?: number;
}

/** A wait with what has happened to its leaves. */
export interface Wait {
  readonly key: string;
  readonly condition: Condition;
  readonly leaves: readonly Condition[];
  /** The sequence of the commit that opened it. */
  readonly openedAt: number;
  readonly settled: Map<number, Outcome>;
  isOver: boolean;
}

/** An event that a run has consumed, and what it was for. */
interface Consumed {
  readonly leaf: Condition | undefined;
  readonly sequence: number;
  readonly data: unknown;
  readonly openedAt: number;
}

/** A run as its messages tell it. */
export class Run {
  readonly name: string;
  readonly taskName: string;
  readonly runId: string;
  /** Its messages, in order. */
  readonly messages: readonly Message[];
  readonly starts: readonly Message[];
  readonly input: unknown;
  /** The name of the run whose child it is. */
  readonly parent: string | undefined;
  readonly commits: Commit[] = [];
  readonly steps: Map<string, Commit[]> = new Map();
  readonly waits: Map<string, Wait> = new Map();
  /** When the next attempts of steps are due. */
  readonly retries: Map<string, number> = new Map();
  /** What it has ever waited for of events, and which it has consumed. */
  readonly cursors: Condition[] = [];
  readonly consumed: Consumed[] = [];
  /** Sleeps that were over before their time. */
  readonly early: { readonly key: string; readonly byMs: number }[] = [];
  readonly ends: { readonly outcome: Outcome; readonly timeMs: number }[] = [];
  status = "queued";
  interruptedAt?: Commit;
  /** Results were taken back: what was done once may be done again. */
  isReopened = false;

  constructor(lines: readonly Line[]) {
    this.messages = lines.map(messageOf);
    const { name, taskName, runId } = runOf(lines[0]?.subject ?? "");
    [this.name, this.taskName, this.runId] = [name, taskName, runId];
    this.starts = this.messages.filter(({ kind }) => kind === "start");
    const [input, , , parent] = this.starts[0]?.body ?? [];
    this.input = input;
    this.parent = Array.isArray(parent) ? `${parent[0]}/${parent[1]}` : undefined;
    for (const message of this.messages)
      if (message.kind === "h" || message.kind === "c") this.#take(message);
  }

  /** Its last message of one kind. */
  last(kind: string): Message | undefined {
    return this.messages.findLast((message) => message.kind === kind);
  }

  /** Waits that are not over. */
  get open(): Wait[] {
    return [...this.waits.values()].filter(({ isOver }) => !isOver);
  }

  /** What the run waits for still. */
  get openLeaves(): Condition[] {
    return this.open.flatMap(({ leaves, settled }) => leaves.filter((_, i) => !settled.has(i)));
  }

  /** Nobody has ended it, and nobody waits: it is about to begin, or at work. */
  get isActive(): boolean {
    return this.status === "queued" || this.status === "running";
  }

  #take(message: Message): void {
    try {
      const { sequence, timeMs, body } = message;
      const [start, pass, token, , tuples] = body as [number, string, number, 0, unknown];
      if (start !== this.starts[0]?.sequence) return;
      const worker = pass.replace(/\/[rd][0-9a-z]+$/s, "");
      const entries = entriesOf(tuples);
      const isRest = /^(waiting|paused|ended)$/.test(entries.at(-1)?.kind ?? "");
      const status = headerOf(message, "Contrail-Status");
      const commit: Commit = { sequence, timeMs, pass, worker, token, entries, status, isRest };
      this.commits.push(commit);
      this.status = "running";
      for (const entry of entries) this.#apply(entry, commit);
      const sleeps = this.openLeaves.flatMap(({ dueAt }) => dueAt ?? []);
      const dueAt = Math.min(...sleeps, ...this.retries.values());
      if (dueAt < Number.POSITIVE_INFINITY) commit.dueAt = dueAt;
    } catch {
      // what is no commit belongs to nobody
    }
  }

  #apply(entry: Entry, commit: Commit): void {
    const { kind, key } = entry;
    if (kind === "waiting" || kind === "paused") this.status = kind;
    else if (kind === "step-completed" || kind === "step-failed") {
      this.steps.set(key, [...(this.steps.get(key) ?? []), commit]);
      this.retries.delete(key);
    } else if (kind === "operation-interrupted") this.retries.delete(key);
    else if (kind === "attempt-failed") this.retries.set(key, entry.retryAt);
    else if (kind === "wait-opened") {
      const { condition } = entry;
      const isOver = this.interruptedAt !== undefined || holds(condition, new Map());
      const leaves = leavesOf(condition);
      const openedAt = commit.sequence;
      this.waits.set(key, { key, condition, leaves, openedAt, settled: new Map(), isOver });
      this.cursors.push(...leaves.filter((leaf) => leaf.kind === "event"));
    } else if (kind === "wait-settled") this.#settle(entry, commit);
    else if (kind === "cancel-requested" || kind === "timed-out") {
      this.interruptedAt ??= commit;
      for (const wait of this.open) wait.isOver = true;
    } else if (kind === "ended") {
      this.ends.push({ outcome: entry.outcome, timeMs: commit.timeMs });
      this.status = entry.outcome.status ?? "";
    } else if (kind === "retried" || kind === "continued") {
      this.isReopened = true;
      delete this.interruptedAt;
      this.retries.clear();
      this.waits.clear(); // those that are taken back are recorded anew, the others are over
    }
  }

  #settle({ key, leaf: index, outcome }: Entry, { timeMs }: Commit): void {
    const wait = this.waits.get(key);
    if (!wait || wait.isOver) return;
    const before = wait.settled.get(index);
    if (before && outcome.kind !== "children") return;
    const known = before?.ended ?? [];
    const ended = outcome.ended?.filter(([at]) => !known.some(([position]) => position === at));
    wait.settled.set(index, ended ? { ...outcome, ended: [...known, ...ended] } : outcome);
    const leaf = wait.leaves[index];
    const { sequence = 0, data } = outcome;
    if (outcome.kind === "event")
      this.consumed.push({ leaf, sequence, data, openedAt: wait.openedAt });
    const byMs = leaf?.kind === "sleep" ? (leaf.dueAt ?? 0) - timeMs : 0;
    if (byMs > CLOCK_STEP_MS) this.early.push({ key, byMs });
    wait.isOver = holds(wait.condition, wait.settled);
  }
}

/** Whether there is an entry of a kind among those of a commit. */
export function has({ entries }: Commit, kind: string): boolean {
  return entries.some((entry) => entry.kind === kind);
}

/** The leaves of a condition, from the left. */
function leavesOf(condition: Condition): Condition[] {
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
