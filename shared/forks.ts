/**
 * Runs that begin with a copy of another run's history. The copy is a part of the start message, so a
 * fork is one guarded write, and needs its origin no more. Pure.
 */
import { type Entry, encodeCommit } from "./entries.ts";
import { RepairRefusedError } from "./errors.ts";
import { planRetry } from "./repairs.ts";
import { evolve, initialState } from "./run-state.ts";
import type { RunView } from "./run-view.ts";

/** How much of a history is copied, and what is changed. */
export interface CopyOptions {
  /**
   * So many entries, counted as in the exported history.
   * @defaultValue All before the end or an interruption; of a failed run what a retry keeps.
   */
  readonly entries?: number;
  /** Other results of steps, by their keys or names. */
  readonly results?: Readonly<Record<string, unknown>>;
  /** Another input, if the run has continued: it takes the place of what it continued with last. */
  readonly input?: unknown;
  readonly by: string;
  readonly reason: string;
}

const LEFT_OUT: ReadonlySet<Entry["kind"]> = new Set([
  ...(["claimed", "waiting", "paused", "resumed", "outlived", "ended", "retired"] as const),
]);

/**
 * Copies a history.
 * @throws {RepairRefusedError} When it has fewer entries, or none of a step whose result is changed.
 */
export function copyHistory(view: RunView, options: CopyOptions): Uint8Array[] {
  const { by, reason, results = {} } = options;
  // Behind a message that cannot be read nobody has gone on: what comes before it is a whole history.
  const { unreadableAt = Number.POSITIVE_INFINITY } = view.state;
  const readable = view.commits.filter(({ sequence }) => sequence < unreadableAt);
  const all = readable.flatMap(({ entries }) => entries);
  const { entries: asked } = options;
  if (asked !== undefined && (!Number.isInteger(asked) || asked < 0 || asked > all.length))
    throw refusal(view, `its history has ${all.length} entries`);
  const isRetry = asked === undefined && view.state.status === "failed" && !view.cancelRequest;
  const count = asked ?? (isRetry ? all.length : firstEnd(all));
  const children = pendingChildren(all.slice(0, count));
  const unused = new Set(Object.keys(results));
  const from = all.findLastIndex(({ kind }, place) => kind === "continued" && place < count);
  let place = 0;
  const commits = readable.flatMap((commit) => {
    const kept = commit.entries
      .slice(Math.max(0, from - place), Math.max(0, count - place))
      .filter((entry) => !LEFT_OUT.has(entry.kind) && !("key" in entry && children.has(entry.key)))
      .map((entry) => changed(entry, options, unused));
    place += commit.entries.length;
    return kept.length === 0 ? [] : [{ ...commit, entries: kept }];
  });
  if (unused.size > 0) throw refusal(view, `what is copied has no result of "${[...unused][0]}"`);
  const last = readable.at(-1);
  if (isRetry && last) {
    const { again = [] } = planRetry(view, { by, reason });
    commits.push({ ...last, entries: [{ kind: "retried", by, reason, again }] });
  }
  return commits.map((commit) => encodeCommit(commit, "the beginning of a fork"));
}

function firstEnd(entries: readonly Entry[]): number {
  const ends = new Set(["ended", "cancel-requested", "timed-out"]);
  const first = entries.findIndex(({ kind }) => ends.has(kind));
  return first < 0 ? entries.length : first;
}

/** Waits for children that have not ended: a fork starts children of its own. */
function pendingChildren(entries: readonly Entry[]): Set<string> {
  const commit = { startSequence: 0, pass: "", token: 0, time: 0, sequence: 1, entries };
  const { pending } = evolve(initialState(0, 0), commit);
  const keys = new Set<string>();
  for (const { key, leaves } of pending.values())
    if (leaves.some(({ kind }) => kind === "child" || kind === "children")) keys.add(key);
  return keys;
}

function changed(entry: Entry, options: CopyOptions, unused: Set<string>): Entry {
  const { results = {} } = options;
  if (entry.kind === "continued" && "input" in options) return { ...entry, input: options.input };
  if (entry.kind !== "step-completed") return entry;
  const name = entry.key.slice(entry.key.indexOf(" ") + 1);
  const found = [entry.key, name].find((text) => Object.hasOwn(results, text));
  if (found === undefined) return entry;
  unused.delete(found);
  return { ...entry, value: results[found] };
}

function refusal({ taskName, runId, state }: RunView, why: string): RepairRefusedError {
  return new RepairRefusedError(
    `Run "${runId}" of task "${taskName}" cannot be forked like that: ${why}.`,
    { taskName, runId, status: state.status },
  );
}
