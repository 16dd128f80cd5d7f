/** That a run is to stop: canceled, or out of time; as its history says it. Pure. */
import type { WaitResult } from "./waits.ts";

/** Why the code is told to stop. */
export interface Interruption {
  readonly kind: "cancel" | "timeout";
  /** Who asked for it; "" for a time limit. */
  readonly by: string;
  readonly reason: string;
  /** When it was recorded, in milliseconds since the epoch. */
  readonly at: number;
  /**
   * Place among the results of the first that is the interruption. What was asked for before the code
   * received it is interrupted: everything, as long as there is none.
   */
  position?: number;
}

/** What an operation of an interrupted run results in. */
export function interruptedResult(
  interruption: Interruption | undefined,
): WaitResult & { ok: false } {
  const isTimeout = interruption?.kind === "timeout";
  const message = interruption?.reason || "the run was canceled";
  const error = isTimeout
    ? { name: "TimeoutError", message, code: "timeout" }
    : { name: "RunCanceledError", message, code: "run-canceled" };
  return { ok: false, status: isTimeout ? "failed" : "canceled", error, isInterruption: true };
}
