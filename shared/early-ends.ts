/** How runs end whose code is not asked: canceled in the queue, terminated, or never begun. */
import type { Entry, Outcome } from "./entries.ts";
import { RunCanceledError, TimeoutError } from "./errors.ts";
import { toFailure } from "./failures.ts";
import type { CancelRequest } from "./messages.ts";

/** What records a request to cancel. */
export function cancelEntry({ by, reason }: CancelRequest): Entry {
  return { kind: "cancel-requested", by, reason };
}

/** How a run ends that is canceled. */
export function canceledOutcome(request: Omit<CancelRequest, "startSequence">): Outcome {
  const { by, reason, isTermination } = request;
  const verb = isTermination ? "terminated" : "canceled";
  const message = `The run was ${verb} by ${by}${reason === "" ? "" : `: ${reason}`}.`;
  return { status: "canceled", error: toFailure(new RunCanceledError(message)) };
}

/** How a run ends that nobody began in time. */
export function expiredOutcome(limitMs: number): Outcome {
  const message = `No worker began the run within ${limitMs} ms.`;
  return { status: "failed", error: toFailure(new TimeoutError(message)) };
}
