/** How a run is told to stop, and how it ends when its code is not asked. */
import type { Entry, Outcome } from "../shared/entries.ts";
import { RunCanceledError, TimeoutError } from "../shared/errors.ts";
import { toFailure } from "../shared/failures.ts";
import type { CancelRequest } from "../shared/messages.ts";
import type { Interruption, RunState } from "../shared/run-state.ts";
import type { TaskDefinition } from "../shared/task-definition.ts";
import type { CodeEnd, Execution } from "./execution.ts";
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

/** What a claim knows of its run. */
interface ClaimFacts {
  readonly state: RunState;
  readonly cancel: CancelRequest | undefined;
  readonly definition: TaskDefinition;
  readonly now: number;
}

/**
 * Why a run that is being claimed is to stop, as far as its history does not say so, and how it ends
 * if there is no code to tell: it has not begun, or is paused, or is not to be asked.
 */
export function interruptionAt({
  state,
  cancel,
  definition,
  now,
}: ClaimFacts): { readonly entry: Entry; readonly outcome?: Outcome } | undefined {
  if (cancel?.isTermination)
    return { entry: cancelEntry(cancel), outcome: canceledOutcome(cancel) };
  if (state.interruption) return undefined;
  const isRegular = definition.kind === "regular"; // whatever it was about is over
  const isAtRest = isRegular || state.status === "queued" || state.status === "paused";
  const entry = cancel ? cancelEntry(cancel) : overdueEntry(state, definition, now);
  if (!entry || !isAtRest) return entry && { entry };
  if (cancel) return { entry, outcome: canceledOutcome(cancel) };
  return { entry, outcome: timedOutOutcome(definition.runTimeoutMs as number) };
}

/** What code is given up with that used up its time for cleanup. */
export function cleanupOver(
  { kind, reason }: Interruption,
  { cleanupTimeoutMs }: RunLimits,
): Error {
  const message = `It did not come to its end within ${cleanupTimeoutMs} ms after it was interrupted: ${reason || "it was canceled"}.`;
  return kind === "cancel" ? new RunCanceledError(message) : new TimeoutError(message);
}

/**
 * The end of the code whose steps are to be undone now, if there is one: it has failed, or it is given
 * up because its time for cleanup is over. At the same place among the results in every replay.
 */
export function endToUndo(
  { state, cursor, end, isUndoing, hasUndos }: Execution<unknown>,
  limits: RunLimits,
): CodeEnd | undefined {
  if (isUndoing) return undefined;
  if (state.givenUpAt !== undefined && cursor.received >= state.givenUpAt)
    return { ok: false, thrown: cleanupOver(state.interruption as Interruption, limits) };
  return end && !end.ok && hasUndos ? end : undefined;
}
