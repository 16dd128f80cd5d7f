/**
 * Takes results of a failed run back, so that its code goes on from before them. Pure.
 *
 * B1. An operation that the code asked for before it received any of the results that are taken back
 *     keeps its own: it does not depend on them.
 * B2. What it asked for later counts no more, whatever became of it: the code comes there again, or
 *     takes another way.
 */
import type { LeafOutcome, Outcome } from "./entries.ts";
import type { RecordedLeaf, WaitResult } from "./waits.ts";

/** What the code asked for. */
interface Asked {
  readonly key: string;
  /** How many results it had received then. */
  readonly at: number;
}

/** What of a wait is taken back. */
interface Wait extends Asked {
  readonly leaves: readonly { readonly kind: string }[];
  readonly recorded: Map<number, RecordedLeaf>;
  result?: WaitResult;
}

/** What of a run's state is taken back. */
interface Rewound<D extends Asked, W extends Wait> {
  readonly deliveries: D[];
  readonly steps: Set<string>;
  readonly retries: Map<string, unknown>;
  readonly skips: Map<string, unknown>;
  readonly children: Map<string, Asked>;
  readonly waits: Map<string, W>;
  readonly pending: Map<string, W>;
  readonly sleeping: Map<string, W>;
  readonly consumedEvents: Set<number>;
  interruption?: unknown;
  givenUpAt?: number;
  suspendedAt?: number;
  passedAt: number;
  outcome?: Outcome;
}

/** Reopens a state that has ended, as if these operations had never had a result. */
export function rewind<D extends Asked, W extends Wait>(
  state: Rewound<D, W>,
  again: readonly string[],
): void {
  const taken = new Set(again);
  const first = state.deliveries.findIndex(({ key }) => taken.has(key));
  const cut = first < 0 ? Number.POSITIVE_INFINITY : first;
  const isLater = ({ at }: { readonly at: number }): boolean => at > cut;
  delete state.outcome;
  delete state.interruption;
  delete state.givenUpAt;
  delete state.suspendedAt; // what it had asked for then counts in part only
  state.passedAt = Math.min(state.passedAt, cut);
  const kept = state.deliveries.filter((given) => {
    const isTaken = taken.has(given.key) || isLater(given);
    if (isTaken) state.steps.delete(given.key);
    return !isTaken;
  });
  state.deliveries.splice(0, state.deliveries.length, ...kept);
  state.retries.clear();
  for (const key of again) state.skips.delete(key);
  for (const [key, started] of state.children)
    if (taken.has(key) || isLater(started)) state.children.delete(key);
  for (const wait of state.waits.values())
    if (isLater(wait)) forget(state, wait);
    else if (taken.has(wait.key)) reopen(state, wait);
}

/** The code asks for it anew, and may get the same events. */
function forget<W extends Wait>(state: Rewound<Asked, W>, wait: W): void {
  for (const { outcome } of wait.recorded.values())
    if (outcome.kind === "event") state.consumedEvents.delete(outcome.sequence);
  state.waits.delete(wait.key);
  state.pending.delete(wait.key);
  state.sleeping.delete(wait.key);
}

/** It waits again; children that failed are looked at again, because they may be retried too. */
function reopen<W extends Wait>(state: Rewound<Asked, W>, wait: W): void {
  delete wait.result;
  for (const [leaf, { outcome, order }] of wait.recorded) {
    const good = withoutFailures(outcome);
    if (good) wait.recorded.set(leaf, { outcome: good, order });
    else wait.recorded.delete(leaf);
  }
  state.pending.set(wait.key, wait);
  if (wait.leaves.some(({ kind }) => kind === "sleep")) state.sleeping.set(wait.key, wait);
}

function withoutFailures(outcome: LeafOutcome): LeafOutcome | undefined {
  const isGood = ({ status }: Outcome): boolean => status === "completed";
  if (outcome.kind === "child") return isGood(outcome.outcome) ? outcome : undefined;
  if (outcome.kind !== "children") return outcome;
  return { kind: "children", ended: outcome.ended.filter(([, end]) => isGood(end)) };
}
