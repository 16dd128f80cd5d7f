/** How a run is told to stop, and how it ends when its code is not asked. */
import type { Entry, Outcome } from "../shared/entries.ts";
import { RunCanceledError, TimeoutError } from "../shared/errors.ts";
import { toFailure } from "../shared/failures.ts";
import type { CancelRequest } from "../shared/messages.ts";
import type { Interruption, RunState } from "../shared/run-state.ts";
import { limitOf, type RunLimits } from "./run-limits.ts";

/** What records a request to cancel. */
export function cancelEntry({ by, reason }: CancelRequest): Entry {
  return { kind: "cancel-requested", by, reason };
}

/** What records that a time limit is over: that of the run, or of its cleanup. Nothing before. */
export function overdueEntry(state: RunState, limits: RunLimits, now: number): Entry | undefined {
  const limit = limitOf(state, limits);
  if (limit === undefined || now < limit) return undefined;
  if (state.interruption) return { kind: "cleanup-over" };
  return { kind: "timed-out", limitMs: limits.runTimeoutMs as number };
}

/** How a run ends that is canceled and whose code is not asked. */
export function canceledOutcome({ by, reason, isTermination }: CancelRequest): Outcome {
  const verb = isTermination ? "terminated" : "canceled";
  const message = `The run was ${verb} by ${by}${reason === "" ? "" : `: ${reason}`}.`;
  return { status: "canceled", error: toFailure(new RunCanceledError(message)) };
}

/** How a run ends whose time is over and whose code is not asked, or threw this then. */
export function timedOutOutcome(limitMs: number, cause?: unknown): Outcome {
  const message = `The run took longer than its limit of ${limitMs} ms.`;
  return { status: "failed", error: toFailure(new TimeoutError(message, { cause })) };
}

/** What code is given up with that used up its time for cleanup. */
export function cleanupOver(
  { kind, reason }: Interruption,
  { cleanupTimeoutMs }: RunLimits,
): Error {
  const message = `It did not come to its end within ${cleanupTimeoutMs} ms after it was interrupted: ${reason || "it was canceled"}.`;
  return kind === "cancel" ? new RunCanceledError(message) : new TimeoutError(message);
}
