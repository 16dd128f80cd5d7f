/** Where a run may stand. */
import { describe } from "./describe.ts";
import { InvalidInputError } from "./errors.ts";

/** The statuses of a run, in the order in which it may come to them. */
export const RUN_STATUSES = [
  "queued",
  "running",
  "waiting",
  "paused",
  "completed",
  "failed",
  "canceled",
] as const;

/** Where a run stands. */
export type RunStatus = (typeof RUN_STATUSES)[number];

/** @throws {InvalidInputError} When no run ever has this status. */
export function checkStatus(status: unknown): asserts status is RunStatus {
  if (RUN_STATUSES.some((known) => known === status)) return;
  throw new InvalidInputError(
    `The status is ${describe(status)}. Expected one of ${RUN_STATUSES.join(", ")}.`,
    { value: status },
  );
}
