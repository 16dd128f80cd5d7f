/** What a run's history begins with: nothing, or what a fork has copied. Pure. */
import { decodeCommit, type StoredCommit } from "./entries.ts";
import type { ForkOrigin, Start } from "./messages.ts";
import { evolve, initialState, type RunState } from "./run-state.ts";

/** The state of a run of which nothing but its start is stored. */
export function stateOfStart(
  start: Pick<Start, "fork"> | undefined,
  sequence: number,
  timeMs: number,
): RunState {
  const empty = initialState(sequence, timeMs);
  if (!start?.fork) return empty;
  const { tail, status, token, pass, waitSequence, claims, worker, changedAt } = empty;
  const state = empty;
  for (const commit of copiedCommits(start.fork, sequence)) evolve(state, commit);
  const untouched = { tail, status, token, pass, waitSequence, claims, worker, changedAt };
  return Object.assign(state, untouched, { takeovers: 0, losses: 0, limitFrom: timeMs });
}

/** The commits that a fork began with, as its own. */
export function copiedCommits({ commits }: ForkOrigin, startSequence: number): StoredCommit[] {
  return commits.map((bytes) => ({
    ...decodeCommit(bytes, startSequence, "the beginning of a fork"),
    startSequence,
  }));
}
