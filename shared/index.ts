/** `contrail`: the client. */
export type { BulkAction, BulkFilter, BulkOptions, BulkResult } from "./bulk-repairs.ts";
export {
  type Client,
  type ClientOptions,
  connect,
  type RunHandle,
  type StartOptions,
} from "./client.ts";
export { type Clock, systemClock } from "./clock.ts";
export type { DivergenceDetails, DivergenceSide, RecordedSide } from "./divergence.ts";
export { toDurationMs } from "./durations.ts";
export * from "./errors.ts";
export { type Explanation, explainRun, pauseText, type RunFacts } from "./explain.ts";
export { type History, historyText, parseHistory } from "./history-file.ts";
export type { NatsOptions, TlsFiles } from "./jetstream/connection.ts";
export type { HeldSlot, LeaseRecord } from "./leases.ts";
export type { LogFields, LogSink } from "./logger.ts";
export { PayloadReference } from "./payload-reference.ts";
export { RetryAfterError } from "./retry-after-error.ts";
export type { ListOptions, RunSummary } from "./run-list.ts";
export type { ForkOptions, RepairOptions, RetryOptions, RunRepairs } from "./run-repairs.ts";
export { RUN_STATUSES, type RunStatus } from "./run-status.ts";
export type { RunView } from "./run-view.ts";
export type { Pool } from "./subjects.ts";
export type { TaskGroup } from "./task-group.ts";
export { durationText, instantText, relativeText } from "./time-text.ts";
export { type PendingWait, pendingWaits, type TimelineRow, timelineOf } from "./timeline.ts";
