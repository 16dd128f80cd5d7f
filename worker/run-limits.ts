/** When the time limits of a run are over. */
import type { RunState } from "../shared/run-state.ts";
import type { TaskDefinition } from "../shared/task-definition.ts";

/** What a task says of the time its runs may take. */
export type RunLimits = Pick<TaskDefinition, "runTimeoutMs" | "cleanupTimeoutMs">;

/** The earlier of two times, either of which may be missing. */
export function earlier(a: number | undefined, b: number | undefined): number | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return Math.min(a, b);
}

/**
 * When the present limit is over, in milliseconds since the epoch: that of the whole run, or, once it
 * is interrupted, that of its cleanup. Undos have none.
 */
export function limitOf(state: RunState, limits: RunLimits): number | undefined {
  const { interruption, givenUpAt, limitFrom, outcome } = state;
  if (outcome || givenUpAt !== undefined) return undefined;
  if (interruption) return interruption.at + limits.cleanupTimeoutMs;
  return limits.runTimeoutMs === undefined ? undefined : limitFrom + limits.runTimeoutMs;
}
