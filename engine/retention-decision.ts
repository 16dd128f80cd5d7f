/**
 * What becomes of a run whose keep time is over. Pure.
 *
 * K1. A run that has not ended is never purged, however old it is; neither is one that was reopened.
 * K2. An end counts for the start that it names, and for no other one under that id (rule 24).
 * K3. A child is kept for as long as its parent: until then a replay, or a retry, of the parent may look
 *     for it, and would start it once more (rule 26).
 * K4. A failed end may be retried, so it is retired by a commit behind it before anything is removed. A
 *     retry that was stored before that commit keeps the run (rule 29).
 */
import type { Entry } from "../shared/entries.ts";
import type { Ready } from "../shared/messages.ts";

/** What the log says about a run, all of it as of one moment. */
export interface RetainedRun {
  /** Sequence of the run's start; nothing when it is not there. */
  readonly startSequence: number | undefined;
  /** The last commit of its history. */
  readonly tail: {
    readonly startSequence: number;
    /** When it was stored, in milliseconds since the epoch. */
    readonly timeMs: number;
    readonly entries: readonly Entry[];
  };
  /** Whether it is the child of a run that is still there. */
  readonly hasParent: boolean;
}

/**
 * `purge` it; `retire` it first; `look` for retries, since it is retired; leave it to its `parent`; or
 * `keep` it, until a later commit of its history is looked at.
 */
export type RetentionDecision = "purge" | "retire" | "look" | "parent" | "keep";

/**
 * Decides about a run.
 * @param horizon What was stored after this time, in milliseconds since the epoch, is kept.
 */
export function decideRetention(run: RetainedRun, horizon: number): RetentionDecision {
  const { startSequence, tail, hasParent } = run;
  if (startSequence !== undefined && startSequence !== tail.startSequence) return "keep";
  const last = tail.entries.at(-1);
  if (last?.kind !== "ended" && last?.kind !== "retired") return "keep";
  const isRetired = last.kind === "retired";
  if (!isRetired && tail.timeMs > horizon) return "keep";
  if (startSequence === undefined) return "purge"; // what came too late for a run that was purged
  if (hasParent) return "parent";
  if (isRetired) return "look";
  return last.outcome.status === "failed" ? "retire" : "purge";
}

/** Whether one of a run's tokens reopens the end at this sequence. */
export function isReopened(end: number, tokens: readonly Ready[]): boolean {
  return tokens.some(({ answers, because }) => answers === end && because.repair?.again);
}
