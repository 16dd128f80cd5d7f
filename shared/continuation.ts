/**
 * How a run continues with another input: the fold forgets what was recorded before, so that a replay
 * begins at the entry `continued`, and so may whoever reads. Pure.
 *
 * K1. Folding a history from any of its `continued` entries on gives what folding all of it gives.
 * K2. Nothing that has to be unique to a run over its whole life begins anew: ids of children, random
 *     values, idempotency keys of steps; and no event is consumed twice.
 */
import type { Continued } from "./entries.ts";
import { hashId } from "./ids.ts";
import { CARRIED_EVENTS } from "./limits.ts";

/** Where the present history of a run that has continued begins. */
export interface Beginning
  extends Pick<Continued, "input" | "count" | "firstOrdinal" | "eventsAfter"> {
  /** Sequence of the commit. */
  readonly sequence: number;
  /** When it was recorded, in milliseconds since the epoch. */
  readonly at: number;
}

interface Emptied {
  clear(): void;
}

/** What of a run's state begins anew, or is carried over. */
interface Continuing {
  beginning?: Beginning;
  limitFrom: number;
  waitSequence: number;
  entries: number;
  claims: number;
  passedAt: number;
  readonly deliveries: unknown[];
  readonly steps: Emptied;
  readonly retries: Emptied;
  readonly heartbeats: Emptied;
  readonly waits: Emptied;
  readonly pending: Emptied;
  readonly sleeping: Emptied;
  readonly children: Emptied;
  readonly changes: Emptied;
  readonly skips: Emptied;
  readonly consumedEvents: Set<number>;
  interruption?: unknown;
  givenUpAt?: number;
  suspendedAt?: number;
  version?: string;
}

/**
 * Begins anew at a `continued` entry.
 * @param entries How many entries the commit has from this one on.
 */
export function beginAnew(
  state: Continuing,
  entry: Continued,
  at: { readonly sequence: number; readonly time: number; readonly entries: number },
): void {
  const { input, count, firstOrdinal, limitFrom, eventsAfter, consumed } = entry;
  const { sequence, time } = at;
  state.beginning = { input, count, firstOrdinal, eventsAfter, sequence, at: time };
  Object.assign(state, {
    limitFrom,
    waitSequence: 0,
    entries: at.entries,
    claims: 0,
    passedAt: -1,
  });
  delete state.interruption;
  delete state.givenUpAt;
  delete state.suspendedAt;
  delete state.version;
  state.deliveries.length = 0;
  for (const emptied of [
    ...[state.steps, state.retries, state.heartbeats, state.waits, state.pending, state.sleeping],
    ...[state.children, state.changes, state.skips, state.consumedEvents],
  ])
    emptied.clear();
  for (const event of consumed) state.consumedEvents.add(event);
}

/** What a run continues with that no caller gives. */
export function continuedEntry(
  input: unknown,
  state: Pick<Continuing, "beginning" | "limitFrom" | "consumedEvents">,
  { firstOrdinal, eventsAfter }: Pick<Continued, "firstOrdinal" | "eventsAfter">,
): Continued {
  const all = [...state.consumedEvents].sort((a, b) => a - b);
  const consumed = all.slice(-CARRIED_EVENTS);
  // What is not carried over must not be consumed again.
  const passed = all.at(-CARRIED_EVENTS - 1) ?? 0;
  return {
    kind: "continued",
    input,
    count: continuations(state) + 1,
    firstOrdinal,
    limitFrom: state.limitFrom,
    eventsAfter: Math.max(eventsAfter, passed),
    consumed,
  };
}

/** How often a run has continued. */
export function continuations({ beginning }: Pick<Continuing, "beginning">): number {
  return beginning?.count ?? 0;
}

/** A name that stands for an operation in one of the run's histories and in no other. */
export function operationId(key: string, count: number): string {
  return count === 0 ? key : `${key} #${count}`;
}

/** The idempotency key of a step: the same whenever it is tried, and in no other history. */
export function idempotencyKey(
  run: { readonly taskName: string; readonly runId: string; readonly startSequence: number },
  key: string,
  count: number,
): string {
  return hashId(run.taskName, run.runId, run.startSequence, operationId(key, count));
}
