/** What Contrail gives to the functions of tasks and steps. The worker implements these interfaces. */
import type { ChildOptions } from "./child-options.ts";
import type { Condition, EventName, EventOptions, EventResult, ResultOf } from "./conditions.ts";
import type { DurationInput, InstantInput, Temporal } from "./durations.ts";
import type { RetryOptions } from "./retry.ts";
import type { ChildHandle, Task } from "./task-reference.ts";

/** Fields of a log line: plain data. */
export interface LogFields {
  readonly [field: string]: unknown;
}

/** Writes log lines: a sentence and data. Lines of a task carry its name, run and worker already. */
export interface Logger {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
}

/** What the function of every task gets besides its input. */
export interface TaskContext {
  /** Id of this run; with the task's name it is the run's address. */
  readonly runId: string;
  readonly taskName: string;
  /**
   * Which attempt this is, from 1. It counts the failures of the function. When a worker dies, the
   * next one repeats the attempt under the same number.
   */
  readonly attempt: number;
  /**
   * Aborts when the run should stop: it is canceled, it took longer than its time limit, its worker
   * shuts down, or another worker has taken it over. Pass it on to whatever accepts a signal.
   */
  readonly signal: AbortSignal;
  /** In a durable task, lines written during a replay are dropped, so each is written about once. */
  readonly log: Logger;
}

/** How work that takes long says that it goes on, and how far it has come. */
export interface HeartbeatContext {
  /**
   * Says that the work goes on: begins its `heartbeatTimeout` anew. The details, plain data of up to
   * 64 KiB, are recorded, about once a second and less often the longer it takes.
   * @throws {InvalidInputError} When the details cannot be stored.
   * @throws {LimitExceededError} When they are too large.
   */
  heartbeat(details?: unknown): void;
  /**
   * The last details that were recorded of an attempt before this one, on whichever worker; else
   * undefined. The very last heartbeats before its end may be missing.
   */
  readonly lastHeartbeat: unknown;
}

/** What the function of a regular task gets besides its input. */
export interface RegularContext extends TaskContext, HeartbeatContext {}

/** What the action of a step gets. */
export interface StepContext extends HeartbeatContext {
  /** Which attempt of this step this is, from 1. */
  readonly attempt: number;
  /** Aborts when the step should stop; see `TaskContext.signal`. Also when its time limit is over. */
  readonly signal: AbortSignal;
  /**
   * The same text for every attempt of this step in this run, and for no other step: give it to
   * services that remember what they have done, so that repeating the step does not do it twice.
   */
  readonly idempotencyKey: string;
  /**
   * Differs for every worker that holds the run one after the other. Texts compare in that order, so
   * a store that remembers the greatest one it saw can refuse a worker that has lost the run and does
   * not know it yet.
   */
  readonly fencingToken: string;
}

/** How to execute one step. */
export interface StepOptions<Result = never> {
  /**
   * Undoes the step when the run fails, is canceled, or runs out of time after it. Undos run in the
   * reverse order in which their steps were recorded, each a step of its own named `undo` and the
   * step's name, with the step's retries. One that fails for good does not keep the others from
   * running.
   */
  readonly undo?: (result: Result, step: StepContext) => Promise<unknown> | unknown;
  /**
   * More attempts when the action fails: their number, or the whole rule.
   * @defaultValue The task's `retries`, else 3 more, about 1, 2 and 4 seconds apart.
   */
  readonly retries?: RetryOptions | number;
  /**
   * Time limit of one attempt. `signal` aborts, the attempt counts as failed, and what the action
   * still returns is ignored. More than zero.
   * @defaultValue None.
   */
  readonly timeout?: DurationInput;
  /**
   * Time limit of the whole step, from when the code asks for it: attempts and the pauses between
   * them included. When it is over the step fails with a `TimeoutError` as its cause.
   * @defaultValue None.
   */
  readonly totalTimeout?: DurationInput;
  /**
   * The longest time between two heartbeats, and from an attempt's begin to its first one. When it is
   * over the attempt counts as failed.
   * @defaultValue None.
   */
  readonly heartbeatTimeout?: DurationInput;
}

/** How to wait for an event. */
export interface WaitForEventOptions<out Data = unknown> extends EventOptions<Data> {
  /** Gives up after this time and returns null. More than zero. */
  readonly timeout?: DurationInput | undefined;
}

/** How to wait for an event for as long as it takes. */
export interface WaitForEventWithoutTimeoutOptions<out Data = unknown> extends EventOptions<Data> {
  readonly timeout?: never;
}

/** An input that is not a list: where one input is expected, a list means many. */
export type SingleInput<Input> = Exclude<Input, readonly unknown[]>;

/**
 * What the function of a durable task gets besides its input.
 *
 * The function is executed again from its beginning whenever its run goes on at another worker, and
 * everything below returns what is recorded. So the code between these calls must do the same each
 * time: no clock, no randomness, no reading or writing of anything outside but in steps.
 */
export interface DurableContext extends TaskContext {
  /**
   * Runs `action` and records its result as a checkpoint. Replay returns the recorded result and does
   * not call `action`. It can still run more than once: an attempt may fail, and a worker may die
   * after it finishes and before the result is recorded. Make it safe to repeat, for instance by
   * sending `idempotencyKey`.
   * @param name Names the step in the log, 1 to 128 bytes. Steps of one name are told apart by the
   * order in which they are called.
   * @throws {StepFailedError} When every attempt failed; `cause` holds the last failure.
   * @throws {InvalidInputError} When its result is no plain data and cannot be stored.
   * @example
   * const receipt = await ctx.step("charge card", ({ idempotencyKey }) =>
   *   payments.charge(order.id, { idempotencyKey }),
   * );
   */
  step<T>(
    name: string,
    action: (step: StepContext) => Promise<T> | T,
    options?: StepOptions<NoInfer<T>>,
  ): Promise<T>;

  /**
   * Waits. The slot is free meanwhile, and the time counts from the moment this is called first,
   * through every restart.
   * @throws {InvalidInputError} When it is no duration, or longer than 100 years.
   * @example
   * await ctx.sleepFor({ hours: 24 });
   */
  sleepFor(duration: DurationInput): Promise<void>;

  /**
   * Waits until a point in time. Returns at once when it has passed. The slot is free meanwhile.
   * @throws {InvalidInputError} When it is no instant, or has no zone.
   */
  sleepUntil(instant: InstantInput): Promise<void>;

  /**
   * Waits for an event published under `name`, by any NATS client, and consumes it. The slot is free
   * meanwhile. An event published after the run began is not missed, also when it came before this
   * call. Waits for one name get its events one by one, in order of publication. With a `timeout`,
   * returns null when it is over; an event that came in time wins also when both are noticed late.
   * @param name The name, or a pattern: `*` is any one token, `>` at the end is one or more.
   * @throws {InvalidInputError} When name, filter or timeout cannot be used, or the payload does not
   * fit the schema.
   * @example
   * const approval = await ctx.waitForEvent("order.approved", {
   *   where: { orderId: order.id },
   *   timeout: "7 days",
   * });
   * if (!approval) return { status: "expired" };
   */
  waitForEvent<Data = unknown, const Name extends string = string>(
    name: Name,
    options?: WaitForEventWithoutTimeoutOptions<Data>,
  ): Promise<EventResult<Data, EventName<Name>>>;
  waitForEvent<Data = unknown, const Name extends string = string>(
    name: Name,
    options: WaitForEventOptions<Data>,
  ): Promise<EventResult<Data, EventName<Name>> | null>;

  /**
   * Waits for a condition made of `sleep`, `event`, `child`, `anyOf` and `allOf`, nested as you like.
   * The slot is free meanwhile. What it returns says which part held, is recorded, and is the same
   * after every replay.
   * @throws {RunFailedError} When a child that settles the wait failed.
   * @throws {RunCanceledError} When a child that settles the wait was canceled.
   * @example
   * const first = await ctx.waitFor(anyOf(event("order.delivered"), sleep("3 days")));
   * return first.kind === "event" ? "delivered" : "lost";
   */
  waitFor<C extends Condition>(condition: C): Promise<ResultOf<C>>;

  /**
   * Starts a child run and waits for its output. The slot is free meanwhile.
   *
   * A list of inputs starts one child for each, waits for all of them as one wait, and returns their
   * outputs in order. That is how to run thousands. A list always means many: a task whose input is
   * itself a list is given a list of lists.
   * @throws {RunFailedError} When a child failed; of many, the first of the list, when all have ended.
   * @throws {RunCanceledError} When a child was canceled.
   * @throws {RunConflictError} When `id` is taken by a run that is not this run's child.
   * @throws {InvalidInputError} When the input does not fit the task's schema or cannot be stored.
   * @example
   * const parcel = await ctx.run(packItem, { sku: "a" });
   * const parcels = await ctx.run(packItem, [{ sku: "a" }, { sku: "b" }]);
   */
  run<Input, Output>(
    task: Task<Input, Output>,
    inputs: readonly NoInfer<Input>[],
    options?: Omit<ChildOptions, "id">,
  ): Promise<Output[]>;
  run<Output>(
    task: Task<undefined, Output>,
    input?: undefined,
    options?: ChildOptions,
  ): Promise<Output>;
  run<Input, Output>(
    task: Task<Input, Output>,
    input: SingleInput<NoInfer<Input>>,
    options?: ChildOptions,
  ): Promise<Output>;

  /**
   * Starts a child run, or one for each of a list of inputs, and does not wait for it. The promise is
   * kept when the start is recorded. A child that nobody waits for goes on when this run has ended.
   * @throws {RunConflictError} When `id` is taken by a run that is not this run's child.
   * @throws {InvalidInputError} When the input does not fit the task's schema or cannot be stored.
   * @example
   * const packing = await ctx.start(packItem, { sku: "a" });
   * await ctx.step("send invoice", () => invoices.send(order.id));
   * const parcel = await packing.result();
   */
  start<Input, Output>(
    task: Task<Input, Output>,
    inputs: readonly NoInfer<Input>[],
    options?: Omit<ChildOptions, "id">,
  ): Promise<ChildHandle<Output>[]>;
  start<Output>(
    task: Task<undefined, Output>,
    input?: undefined,
    options?: ChildOptions,
  ): Promise<ChildHandle<Output>>;
  start<Input, Output>(
    task: Task<Input, Output>,
    input: SingleInput<NoInfer<Input>>,
    options?: ChildOptions,
  ): Promise<ChildHandle<Output>>;

  /**
   * Continues the run with another input: the code begins anew, with an empty history, under the same
   * id and in the same run. For runs that go round in circles for as long as they like, because a
   * history has a limit of entries and every replay reads all of it. Nothing after this call is done,
   * so `return ctx.continueAs(...)`; whoever waits for the run gets what it ends with at last.
   *
   * What is under way is not waited for: a step at work is told by its signal, and its result counts
   * no more; a child that the code still waits for is canceled, unless it is to be left; other
   * children go on. What steps said of how to undo them is forgotten. The time limit of the run
   * counts on from its start, and events that were consumed stay so.
   * @param input As the task takes it. Checked by the task's schema, if it has one.
   * @throws {InvalidInputError} When the input does not fit the task's schema or cannot be stored.
   * @throws {LimitExceededError} When it is too large.
   * @throws {RunCanceledError} When the run was canceled: then it does not continue.
   * @throws {TimeoutError} When it has used up its time.
   * @example
   * for (let i = 0; i < 1_000; i++) await ctx.step("poll", () => feed.poll());
   * return ctx.continueAs({ since: ctx.now() });
   */
  continueAs(input?: unknown): Promise<never>;

  /**
   * Whether this run takes part in a change of the code: `true` for runs that come to this place for
   * the first time, `false` for those that had passed it before the change was deployed, and for one
   * run the same whenever it is asked. Put the new code where it is true and keep the old where it is
   * false. When no run is left that began before the change, remove the question and the old code;
   * runs that took part go on.
   * @param name Names the change, 1 to 128 bytes. The answer for a name holds for the whole run, also
   * in loops: a run that had begun a loop keeps the old code until its end.
   * @throws {InvalidInputError} When the name cannot be used.
   * @example
   * if (ctx.changed("check stock first")) await ctx.step("check stock", () => stock.check(order));
   * await ctx.step("charge card", () => payments.charge(order.id));
   */
  changed(name: string): boolean;

  /**
   * The time, the same in every replay: when what the run last received was recorded. It stands still
   * between two awaits.
   */
  now(): Temporal.Instant;

  /** A number from 0 up to but not including 1, the same in every replay. Not for secrets. */
  random(): number;

  /** A random UUID (version 4), the same in every replay. Not for secrets. */
  uuid(): string;
}
