/** How a run is told to stop, and how it ends when its code is not asked. */
import { cancelEntry, canceledOutcome, expiredOutcome } from "../shared/early-ends.ts";
import type { Entry, Outcome } from "../shared/entries.ts";
import { RunCanceledError, TimeoutError } from "../shared/errors.ts";
import { toFailure } from "../shared/failures.ts";
import type { Interruption } from "../shared/interruption.ts";
import type { CancelRequest, Start } from "../shared/messages.ts";
import type { RunState } from "../shared/run-state.ts";
import type { TaskDefinition } from "../shared/task-definition.ts";
import type { CodeEnd, Execution } from "./execution.ts";
import { historyTooLong } from "./operation-limits.ts";
import { limitOf, type RunLimits } from "./run-limits.ts";

/** What records that a time limit is over: that of the run, or of its cleanup. Nothing before. */
export function overdueEntry(state: RunState, limits: RunLimits, now: number): Entry | undefined {
  const limit = limitOf(state, limits);
  if (limit === undefined || now < limit) return undefined;
  if (state.interruption) return { kind: "cleanup-over" };
  return { kind: "timed-out", limitMs: limits.runTimeoutMs as number };
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
  readonly start: Start | undefined;
  readonly definition: TaskDefinition;
  readonly now: number;
}

/**
 * Why a run that is being claimed is to stop, as far as its history does not say so, and how it ends
 * if there is no code to tell: it has not begun, or its history cannot be read, or it is not to be asked.
 * Code of a paused run is told like any other: there may be something to clean up and to undo. Where it
 * cannot follow its history the run is paused again.
 */
export function interruptionAt(facts: ClaimFacts): {
  readonly entry?: Entry;
  readonly outcome?: Outcome;
} {
  const { state, cancel, start, definition, now } = facts;
  if (cancel?.isTermination)
    return { entry: cancelEntry(cancel), outcome: canceledOutcome(cancel) };
  const isRegular = definition.kind === "regular"; // whatever it was about is over
  if (state.interruption)
    return isRegular ? { outcome: outcomeOf(state.interruption, definition) } : {};
  const limitMs = start?.queueTimeoutMs ?? Number.POSITIVE_INFINITY;
  if (!cancel && state.status === "queued" && now >= state.startedAt + limitMs)
    return { entry: { kind: "timed-out", limitMs }, outcome: expiredOutcome(limitMs) };
  const isAtRest = isRegular || state.status === "queued" || state.unreadableAt !== undefined;
  const entry = cancel ? cancelEntry(cancel) : overdueEntry(state, definition, now);
  if (!entry || !isAtRest) return entry ? { entry } : {};
  if (cancel) return { entry, outcome: canceledOutcome(cancel) };
  return { entry, outcome: timedOutOutcome(definition.runTimeoutMs as number) };
}

function outcomeOf({ kind, by, reason }: Interruption, { runTimeoutMs }: TaskDefinition): Outcome {
  if (kind === "timeout") return timedOutOutcome(runTimeoutMs ?? 0);
  return canceledOutcome({ by, reason, isTermination: false });
}

/** What code is given up with that used up its time for cleanup. */
export function cleanupOver(
  { kind, reason }: Interruption,
  { cleanupTimeoutMs }: RunLimits,
): Error {
  const message = `It did not come to its end within ${cleanupTimeoutMs} ms after it was interrupted: ${reason || "it was canceled"}.`;
  return kind === "cancel" ? new RunCanceledError(message) : new TimeoutError(message);
}

function whyGivenUp({ interruption, entries }: RunState, limits: RunLimits): Error {
  return interruption ? cleanupOver(interruption, limits) : historyTooLong(entries);
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
    return { ok: false, thrown: whyGivenUp(state, limits) };
  return end && !end.ok && hasUndos ? end : undefined;
}
