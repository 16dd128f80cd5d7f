/**
 * Which limits of a run an operation would exceed. Pure. What is refused is recorded as a failure of
 * the operation, so every replay comes to the same.
 */
import { LimitExceededError } from "../shared/errors.ts";
import {
  CHILDREN_PER_RUN,
  HISTORY_ENTRIES,
  HISTORY_RESERVE_ENTRIES,
  LONG_HISTORY_ENTRIES,
  WAITS_PER_RUN,
} from "../shared/limits.ts";
import { ordinalsOf, type Work } from "./work.ts";

/** What a run has when it is asked for one more operation. */
export interface RunCounts {
  /** Entries of its history, and operations under way that will each take at least one. */
  readonly entries: number;
  /** Open waits, also those that are being opened. */
  readonly waits: number;
}

/** Why the code does not get an operation, if it exceeds a limit. */
export function exceededLimit(work: Work, counts: RunCounts): LimitExceededError | undefined {
  if (work.kind === "continue") return undefined; // it is the way out
  if (counts.entries >= HISTORY_ENTRIES) return historyTooLong(counts.entries);
  if (work.kind === "step") return undefined;
  const children = childrenOf(work);
  const actual = work.childrenBefore + children;
  if (children > 0 && actual > CHILDREN_PER_RUN)
    return new LimitExceededError(
      `The run would have ${actual} children, the limit is ${CHILDREN_PER_RUN}. Let children start a part of them each, or give one child several inputs.`,
      { limitName: "children-per-run", limit: CHILDREN_PER_RUN, actual },
    );
  if (work.kind === "start" || counts.waits < WAITS_PER_RUN) return undefined;
  return new LimitExceededError(
    `The run would wait for ${counts.waits + 1} things at once, the limit is ${WAITS_PER_RUN}. Many children of one task are awaited as one by ctx.run(task, inputs).`,
    { limitName: "waits-per-run", limit: WAITS_PER_RUN, actual: counts.waits + 1 },
  );
}

/** What the code gets when its history is too long, and what it is given up with. */
export function historyTooLong(entries: number): LimitExceededError {
  return new LimitExceededError(
    `The history of the run has ${entries} entries, the limit is ${HISTORY_ENTRIES}. Continue the run with ctx.continueAs() before, or let children do a part of the work each: every run has a history of its own.`,
    { limitName: "history-length", limit: HISTORY_ENTRIES, actual: entries },
  );
}

/** Whether the code of a run with so many entries is given up, whatever it catches. */
export function isHistoryFull(entries: number): boolean {
  return entries >= HISTORY_ENTRIES + HISTORY_RESERVE_ENTRIES;
}

/** The sentence of the log about a history that has become long. */
export function longHistory(entries: number): string {
  return `The history of the run has ${entries} entries; at ${HISTORY_ENTRIES} it fails. Continue it with ctx.continueAs() before, or let children do a part of the work each.`;
}

/** Whether a history has just become so long that somebody should know. */
export function hasBecomeLong(before: number, after: number): boolean {
  return before < LONG_HISTORY_ENTRIES && after >= LONG_HISTORY_ENTRIES;
}

function childrenOf(work: Exclude<Work, { kind: "step" | "continue" }>): number {
  return work.kind === "start" ? work.inputs.length : ordinalsOf(work.condition);
}
