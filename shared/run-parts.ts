/** Parts of the state of a run. */
import type { Failure } from "./entries.ts";

/** A step between two attempts. */
export interface RetryState {
  /** How many attempts failed. */
  readonly attempts: number;
  readonly error: Failure;
  /** When the next one begins, in milliseconds since the epoch. */
  readonly retryAt: number;
}

/** Children that were started, whether awaited or not. */
export interface StartedChildren {
  readonly key: string;
  readonly at: number;
  readonly taskName: string;
  readonly runIds: readonly string[];
  /** They go on when this run is canceled. */
  readonly isLeft: boolean;
}
