/** How soon a run is woken again for children when some that it waits for are still missing. Pure. */

/** Wake-ups for children are spaced by at least and at most so much. */
const SHORTEST_PASS_MS = 1;
const LONGEST_HOLD_MS = 250;
/** ... and by so much at most when one has followed on another for long. */
const LONGEST_HOLD_OF_SERIES_MS = 1_000;
const LONG_SERIES = 16;
/** So many pending children count as one more pass of patience. */
const CHILDREN_PER_PATIENCE = 8;
/** A wake-up so many holds after the run waits again continues its series. */
const SOON = 4;
/** From so many wake-ups for so many children on the rest counts from when the run waits again. */
const SERIES = 3;
const MANY_CHILDREN = 32;

/** What is known of the wake-ups of one run. All times are of the monotonic clock. */
export interface WakePace {
  /** How long its last pass took. */
  readonly passMs: number;
  /** Wake-ups for children in a row, each soon after the one before. */
  readonly streak: number;
  /** When it was woken last; -Infinity before the first time. */
  readonly wokenAt: number;
  /** When it registered what it waits for now. */
  readonly registeredAt: number;
  /** How many children it waits for one by one. */
  readonly pendingChildren: number;
}

/**
 * When the next wake-up for children may come: after one pass at least (rule 19), and later the more
 * wake-ups followed closely on another and the more children are pending, so that thousands of ends
 * make tens of wake-ups. On a busy machine a pass comes long after its wake-up: in a long series the
 * rest begins when the run waits again.
 */
export function nextWakeAt(pace: WakePace): number {
  const { wokenAt, registeredAt, streak, pendingChildren } = pace;
  const isSeries = streak >= SERIES && pendingChildren >= MANY_CHILDREN;
  return (isSeries ? Math.max(wokenAt, registeredAt) : wokenAt) + holdMs(pace);
}

/** How many wake-ups are in a row when the run is woken now. */
export function streakAt(pace: WakePace, now: number): number {
  const { passMs, streak, wokenAt, registeredAt } = pace;
  if (wokenAt === Number.NEGATIVE_INFINITY) return 0;
  return now - registeredAt < SOON * holdMs(pace) + passMs ? streak + 1 : 0;
}

/** How long a run rests between two wake-ups for children. */
export function holdMs(pace: Pick<WakePace, "passMs" | "streak" | "pendingChildren">): number {
  const { passMs, streak, pendingChildren } = pace;
  const longestMs = streak < LONG_SERIES ? LONGEST_HOLD_MS : LONGEST_HOLD_OF_SERIES_MS;
  const onePassMs = Math.min(Math.max(passMs, SHORTEST_PASS_MS), LONGEST_HOLD_MS);
  const patience = Math.min(2 ** Math.min(streak, 16), 1 + pendingChildren / CHILDREN_PER_PATIENCE);
  return Math.min(onePassMs * patience, longestMs);
}
