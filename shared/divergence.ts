/** What is said of a run whose code has parted from its history. Pure. */
import { operationName } from "./condition-text.ts";
import { describe } from "./describe.ts";
import type { StoredCommit } from "./entries.ts";
import { instantText } from "./time-text.ts";

/** One side of a divergence: an operation as the history has it, or as the code asks for it. */
export interface DivergenceSide {
  /** Names the operation in the history. */
  readonly key: string;
  /** Where in the code it is, or was, asked for: file and line. Absent where that is not known. */
  readonly source?: string;
}

/** The recorded side: with its place in the history. */
export interface RecordedSide extends DivergenceSide {
  /** Kind of the first entry that speaks of it. */
  readonly entry: string;
  /** Sequence of the commit in the log, and when it was recorded, in milliseconds since the epoch. */
  readonly sequence: number;
  readonly recordedAt: number;
}

/** The `details` of the entry that paused a run whose code has parted from its history. */
export interface DivergenceDetails {
  readonly code: "replay-diverged";
  readonly kind: "missing" | "added" | "different" | "ended";
  /** What the history has. Absent when nothing in it stands for what the code left out. */
  readonly recorded?: RecordedSide;
  /** What the code asks for; empty when it has ended or asks for nothing. */
  readonly asked: readonly DivergenceSide[];
  readonly likelyCause: string;
}

/** Finds the first entry about an operation. */
export function recordedSide(
  commits: readonly StoredCommit[],
  key: string,
): RecordedSide | undefined {
  for (const { entries, sequence, time } of commits)
    for (const entry of entries) {
      if (!("key" in entry) || entry.key !== key) continue;
      const source = "source" in entry && entry.source ? { source: entry.source } : {};
      return { key, entry: entry.kind, sequence, recordedAt: time, ...source };
    }
  return undefined;
}

/** Operations that are named one by one. */
const SHOWN = 3;

/** The sentences that tell a person what happened and what to do. */
export function divergenceReason(
  run: { readonly taskName: string; readonly runId: string },
  { kind, recorded, asked, likelyCause }: DivergenceDetails,
): string {
  const what = `Run ${describe(run.runId)} of task ${describe(run.taskName)}`;
  const at = recorded ? ` of ${instantText(recorded.recordedAt)}` : "";
  const has = recorded ? `${operationText(recorded)}${at}` : "nothing more";
  const shown = asked.slice(0, SHOWN).map(operationText);
  if (asked.length > SHOWN) shown.push(`${asked.length - SHOWN} more`);
  const asks =
    kind === "ended" ? "has come to its end" : `asked for ${shown.join(", ") || "nothing more"}`;
  return `${what} replayed differently: the history has ${has}, the code ${asks}. Likely cause: ${likelyCause}. Nothing new was done. Bring the code back that this run began with, or guard the change with ctx.changed() or a version of the task, and resume the run.`;
}

const KINDS: { readonly [letter: string]: string } = {
  s: "step",
  w: "the wait for",
  c: "the start of",
};

function operationText({ key, source }: DivergenceSide): string {
  const where = source === undefined ? "" : ` at ${source}`;
  return `${KINDS[key.slice(0, 1)] ?? "operation"} ${operationName(key)}${where}`;
}
