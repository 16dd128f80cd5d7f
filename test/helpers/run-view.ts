/** Views of runs, made of commits by hand, without a server. */
import type { Entry, StoredCommit } from "../../shared/entries.ts";
import { evolve, initialState } from "../../shared/run-state.ts";
import type { RunView } from "../../shared/run-view.ts";

/** When the runs of these views are started: 2030-01-01T00:00:00Z. */
export const STARTED_AT: number = Date.UTC(2030, 0, 1);

/** One commit: its entries, when it was written after the start, and by which pass. */
export interface CommitSketch {
  readonly afterMs: number;
  readonly pass?: string;
  readonly entries: readonly Entry[];
}

/** The view of run 42 of task "pay" after these commits. */
export function viewOf(commits: readonly CommitSketch[], more: Partial<RunView> = {}): RunView {
  const startSequence = 1;
  const state = initialState(startSequence, STARTED_AT);
  const stored = commits.map(
    ({ afterMs, pass = "w1/d1", entries }, index): StoredCommit => ({
      sequence: startSequence + 1 + index,
      startSequence,
      pass,
      token: startSequence,
      time: STARTED_AT + afterMs,
      entries,
    }),
  );
  for (const commit of stored) evolve(state, commit);
  return {
    taskName: "pay",
    runId: "42",
    input: { orderId: "42" },
    startedAt: STARTED_AT,
    startedBy: "tester",
    startSequence,
    hasRegistration: false,
    hasTimer: false,
    ...more,
    commits: stored,
    state,
  };
}
