/** The entry `contrail/task`: all that a file of tasks needs. Imports nothing of NATS. */
export type { ChildOptions } from "./child-options.ts";
export type {
  AllOf,
  AnyOf,
  ChildCondition,
  ChildResult,
  Condition,
  EventCondition,
  EventOptions,
  EventResult,
  ResultOf,
  SleepCondition,
  SleepResult,
} from "./conditions.ts";
export { allOf, anyOf, child, event, sleep, sleepUntil } from "./conditions.ts";
export type {
  DurableContext,
  HeartbeatContext,
  LogFields,
  Logger,
  RegularContext,
  StepContext,
  StepOptions,
  TaskContext,
  WaitForEventOptions,
} from "./contexts.ts";
export type { DurationInput, DurationParts, InstantInput } from "./durations.ts";
export {
  ContrailError,
  InvalidInputError,
  LimitExceededError,
  NonRetryableError,
  RunCanceledError,
  RunConflictError,
  RunFailedError,
  StepFailedError,
  TimeoutError,
} from "./errors.ts";
export type { Filter } from "./filters.ts";
export type { BackoffOptions, RetryOptions } from "./retry.ts";
export { RetryAfterError } from "./retry-after-error.ts";
export type { Schema } from "./schema.ts";
export type { DurableTaskOptions, TaskOptions, TaskVersion } from "./task-definition.ts";
export { durableTask, task } from "./task-definition.ts";
export type {
  AnyTask,
  ChildHandle,
  InputOf,
  OutputOf,
  Task,
  TaskKind,
} from "./task-reference.ts";
export { isTask } from "./task-reference.ts";
