/**
 * Runs that may be killing their workers. Who was on a worker that died cannot be told from who killed
 * it, so all of them are suspected after a while, and tried one by one.
 */
import type { Entry } from "../shared/entries.ts";
import {
  TAKEOVERS_BEFORE_PAUSE,
  TAKEOVERS_BEFORE_SUSPICION,
  TRIAL_CLAIM_TIMEOUTS,
} from "../shared/limits.ts";
import type { RunState } from "../shared/run-state.ts";
import type { RunAddress } from "../shared/subjects.ts";

/** Says why nobody goes on with the run: it loses its workers, or its history cannot be read. */
export function pauseEntry(
  { taskName, runId }: RunAddress,
  { unreadableAt, losses }: RunState,
): Entry {
  const what = `Run "${runId}" of task "${taskName}"`;
  if (unreadableAt === undefined)
    return {
      kind: "paused",
      reason: `${what} lost its worker ${Math.max(losses, TAKEOVERS_BEFORE_PAUSE)} times in a row without getting any further.`,
      details: { code: "workers-lost" },
    };
  return {
    kind: "paused",
    reason: `${what} has a message in its history, at sequence ${unreadableAt}, that cannot be read. Fork the run: the fork goes on from what comes before that message.`,
    details: { code: "history-unreadable", sequence: unreadableAt },
  };
}

/** A run that a worker is about to take over. */
export interface Suspect {
  readonly history: string;
  readonly token: { readonly streamSequence: number };
  readonly state: Pick<RunState, "takeovers">;
}

/** What the seat asks of the runs that a worker holds. */
export interface HeldSuspects {
  /** Whether a pass of this worker goes on with the run by this token. */
  isHeld(history: string, tokenSequence: number): boolean;
  /** Its worker has outlived it for a while: that is to be recorded. */
  noteOutlived(history: string, tokenSequence: number): void;
}

/** The one seat of a worker for runs that are suspected. */
export class SuspectSeat {
  readonly #held: HeldSuspects;
  readonly #trialMs: number;
  #seated: Suspect | undefined;
  #seatedAt = 0;

  /** @param claimTimeoutMs How long a claim lives; a trial takes a few of them. */
  constructor(held: HeldSuspects, claimTimeoutMs: number) {
    this.#held = held;
    this.#trialMs = claimTimeoutMs * TRIAL_CLAIM_TIMEOUTS;
  }

  /**
   * Whether the run may be taken over now: it is not suspected, or no other suspect is at work here.
   * The seat is free again as soon as its run has recorded anything, which proves it harmless, or is
   * no longer held. One whose step takes long records that its worker lives on, when another asks.
   * @param now Monotonic time.
   */
  admits(run: Suspect, now: number): boolean {
    if (run.state.takeovers < TAKEOVERS_BEFORE_SUSPICION) return true;
    const seated = this.#seated;
    const isTaken =
      seated !== undefined &&
      seated.state.takeovers > 0 &&
      this.#held.isHeld(seated.history, seated.token.streamSequence);
    if (isTaken) {
      if (now - this.#seatedAt >= this.#trialMs)
        this.#held.noteOutlived(seated.history, seated.token.streamSequence);
      return false;
    }
    this.#seated = run;
    this.#seatedAt = now;
    return true;
  }
}
