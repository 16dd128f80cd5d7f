/** A task as a value: what `task` and `durableTask` return, and what tells it from other objects. */

/** Whether a run of the task holds its slot throughout, or gives it back while it waits. */
export type TaskKind = "regular" | "durable";

/**
 * A task that workers can execute and anybody can start. The type parameters flow from its function
 * or its schema; they are never written by hand.
 */
export interface Task<
  in Input = never,
  out Output = unknown,
  out Kind extends TaskKind = TaskKind,
> {
  /** Names the task in the log and on every worker. */
  readonly name: string;
  readonly kind: Kind;
  /** Carries the types of input and output; there is no such value. */
  readonly "~types"?: (input: Input) => Output;
}

/** Any task, whatever its input and output. */
export type AnyTask = Task<never, unknown, TaskKind>;

/** What starting the task takes. With a schema: what the schema accepts. */
export type InputOf<T extends AnyTask> =
  T extends Task<infer Input, infer _, TaskKind> ? Input : never;

/** What a run of the task results in. */
export type OutputOf<T extends AnyTask> =
  T extends Task<never, infer Output, TaskKind> ? Output : never;

/** A child run that was started and is not awaited yet. */
export interface ChildHandle<out Output = unknown> {
  /** Id of the child run; with the task's name it is its address. */
  readonly runId: string;
  readonly taskName: string;
  /**
   * Waits for the child to end and returns its output. The parent's slot is free meanwhile. Can be
   * called again, at once or after a failure, with the same result. To wait for a child or something
   * else, use `ctx.waitFor(anyOf(child(handle), ...))`.
   * @throws {RunFailedError} When the child failed.
   * @throws {RunCanceledError} When the child was canceled.
   */
  result(): Promise<Output>;
}

/** Marks tasks; the same symbol in every copy of this package. @internal */
export const taskBrand: unique symbol = Symbol.for("contrail.task");

/** Whether a value was made by `task` or `durableTask`, of this copy of the package or another. */
export function isTask(value: unknown): value is AnyTask {
  try {
    return typeof value === "object" && value !== null && Object.hasOwn(value, taskBrand);
  } catch {
    return false; // a proxy that refuses to be read
  }
}
