/** Defines tasks: checks what the user wrote, once, when the module is loaded. */
import type { DurableContext, RegularContext } from "./contexts.ts";
import { describe } from "./describe.ts";
import { type DurationInput, toTimeoutMs } from "./durations.ts";
import { InvalidInputError } from "./errors.ts";
import { NAME_BYTES } from "./limits.ts";
import { checkFields } from "./option-fields.ts";
import { normalizeRetries, type RetryOptions, type RetryPolicy } from "./retry.ts";
import { isSchema, type Schema } from "./schema.ts";
import { checkName } from "./subjects.ts";
import { type AnyTask, isTask, type Task, type TaskKind, taskBrand } from "./task-reference.ts";

/** Names a version of a task: a number, or a text of 1 to 128 ASCII characters. 1 and "1" are the same. */
export type TaskVersion = string | number;

/** What regular and durable tasks have in common. */
interface CommonOptions<Input, Parsed> {
  /**
   * Names the task in the log and on every worker. Unique in a namespace, 1 to 128 bytes, any
   * characters but control characters. A task that gets another name is another task: runs of the
   * old name wait for a worker that knows it.
   */
  readonly name: string;
  /**
   * Checks every input, wherever the run was started, before the run begins. The types of the task's
   * input then come from here: callers give what the schema accepts, `run` gets what it makes of it.
   * Any library that speaks Standard Schema will do, for instance zod, valibot or arktype.
   */
  readonly input?: Schema<Input, Parsed>;
  /**
   * Time limit of the whole run, from its start: attempts, pauses and waits included. When it is over
   * the code is told as if the run was canceled, with a `TimeoutError`, and the run fails.
   * @defaultValue None.
   */
  readonly runTimeout?: DurationInput;
  /**
   * How long a run may wait in the queue for a worker to begin it. When it is over and nobody has, the
   * run fails with a `TimeoutError`, also when there is no worker at all. Who starts a run may set
   * another limit.
   * @defaultValue None; `runTimeout` counts from the start too.
   */
  readonly queueTimeout?: DurationInput;
  /**
   * How long a canceled run, or one whose time limit is over, may go on with its cleanup before it
   * ends without asking. Undos of steps are not cut off by it.
   * @defaultValue 30 seconds
   */
  readonly cleanupTimeout?: DurationInput;
  /**
   * Which version of the task this is. A run keeps the version of the code that first claimed it: it
   * goes on only at workers that have that version, or another one that says it is compatible. One
   * worker may have several versions of a task; new runs begin with the greatest, counted as people
   * count: 9 before 10, "1.9" before "1.10".
   * @defaultValue None: any worker goes on with any run that has none either.
   */
  readonly version?: TaskVersion;
  /**
   * Earlier versions whose runs this code can go on with: a list, or a function that is given the
   * version as text. `""` stands for runs that began before the task had a version. The run has this
   * version from then on. Compatible code asks `ctx.changed()` where it differs.
   * @defaultValue None.
   */
  readonly compatibleWith?: readonly TaskVersion[] | ((version: string) => boolean);
}

/** A regular task: it holds its slot for as long as it runs. */
export interface TaskOptions<Input, Output, Parsed = Input> extends CommonOptions<Input, Parsed> {
  /**
   * More attempts when `run` fails: their number, or the whole rule.
   * @defaultValue 3 more, about 1, 2 and 4 seconds apart.
   */
  readonly retries?: RetryOptions | number;
  /**
   * Time limit of one attempt. `ctx.signal` aborts, the attempt counts as failed, and what `run`
   * still returns is ignored. More than zero.
   * @defaultValue None.
   */
  readonly timeout?: DurationInput;
  /**
   * The longest time between two calls of `ctx.heartbeat()`, and from an attempt's begin to the first
   * one. When it is over the attempt counts as failed.
   * @defaultValue None.
   */
  readonly heartbeatTimeout?: DurationInput;
  /**
   * Does the work and returns the run's output: plain data, or nothing. It can be called more than
   * once for one run: when an attempt fails, and when a worker dies before the end is recorded.
   */
  readonly run: (input: Parsed, ctx: RegularContext) => Promise<Output> | Output;
}

/** A durable task: it gives its slot back whenever it waits. */
export interface DurableTaskOptions<Input, Output, Parsed = Input>
  extends CommonOptions<Input, Parsed> {
  /**
   * What the task's steps do when they fail, unless they say otherwise. The run itself fails when
   * `run` throws; it is not attempted again, because its steps were.
   * @defaultValue 3 more attempts, about 1, 2 and 4 seconds apart.
   */
  readonly retries?: RetryOptions | number;
  /**
   * Does the work and returns the run's output: plain data, or nothing. It is called again from its
   * beginning whenever the run goes on at another worker, so between the calls of `ctx` it must do
   * the same every time.
   */
  readonly run: (input: Parsed, ctx: DurableContext) => Promise<Output> | Output;
}

/** What a worker needs to know of a task. */
export interface TaskDefinition {
  readonly name: string;
  readonly kind: TaskKind;
  /** The user's function. That of a regular task is given a RegularContext. */
  readonly run: (input: unknown, ctx: DurableContext) => unknown;
  readonly schema: Schema | undefined;
  /** Of the run, or, in a durable task, of steps that do not say. */
  readonly retries: RetryPolicy;
  /** Of one attempt of a regular task. */
  readonly timeoutMs: number | undefined;
  /** Between two heartbeats of a regular task. */
  readonly heartbeatTimeoutMs: number | undefined;
  /** Of the whole run. */
  readonly runTimeoutMs: number | undefined;
  /** Of the time before the first claim. */
  readonly queueTimeoutMs: number | undefined;
  readonly cleanupTimeoutMs: number;
  readonly version: string | undefined;
  /** Other versions whose runs it can go on with; "" is none. */
  readonly compatibleWith: readonly string[] | ((version: string) => boolean);
}

const COMMON_FIELDS = [
  "name",
  "input",
  "retries",
  "runTimeout",
  "queueTimeout",
  "cleanupTimeout",
  "version",
  "compatibleWith",
  "run",
];

/** How long cleanup may take after a cancellation, unless the task says otherwise. */
const CLEANUP_TIMEOUT_MS = 30_000;

/**
 * Defines a regular task: a function that holds its slot for as long as it runs. The types of its
 * input and output flow to whoever starts it.
 * @throws {InvalidInputError} When an option cannot be used; names it.
 * @example
 * export const packItem = task({
 *   name: "pack-item",
 *   retries: { limit: 3, backoff: { initial: "1s", factor: 2, max: "1m" } },
 *   timeout: "30s",
 *   run: async (input: { sku: string }) => ({ parcel: `P-${input.sku}` }),
 * });
 */
export function task<Parsed, Output, Input = Parsed>(
  options: TaskOptions<Input, Output, Parsed>,
): Task<Input, Output, "regular"> {
  const what = checkOptions(options, "task", [...COMMON_FIELDS, "timeout", "heartbeatTimeout"]);
  return define(options as TaskOptions<unknown, Output>, "regular", what);
}

/**
 * Defines a durable task: a function that gives its slot back whenever it waits, and goes on later,
 * at any worker, from where it stood. The types of its input and output flow to whoever starts it.
 * @throws {InvalidInputError} When an option cannot be used; names it.
 * @example
 * export const remind = durableTask({
 *   name: "remind",
 *   run: async (order: { id: string }, ctx) => {
 *     await ctx.sleepFor({ hours: 24 });
 *     await ctx.step("send mail", () => mail.send(order.id));
 *   },
 * });
 */
export function durableTask<Parsed, Output, Input = Parsed>(
  options: DurableTaskOptions<Input, Output, Parsed>,
): Task<Input, Output, "durable"> {
  const what = checkOptions(options, "durableTask", COMMON_FIELDS);
  return define(options as DurableTaskOptions<unknown, Output>, "durable", what);
}

/** What `task` or `durableTask` made of its options; of this copy of the package or another. */
export function definitionOf(value: AnyTask): TaskDefinition {
  if (!isTask(value))
    throw new InvalidInputError(
      `Expected a task made by task() or durableTask(), got ${describe(value)}.`,
      { value },
    );
  return (value as unknown as { readonly [taskBrand]: TaskDefinition })[taskBrand];
}

function define<Kind extends TaskKind>(
  options: TaskOptions<unknown, unknown> | DurableTaskOptions<unknown, unknown>,
  kind: Kind,
  what: string,
): Task<unknown, never, Kind> {
  const { name, input: schema, run, runTimeout, queueTimeout, cleanupTimeout } = options;
  const { timeout, heartbeatTimeout } = options as TaskOptions<unknown, unknown>;
  const limit = (value: DurationInput | undefined, of: string): number | undefined =>
    value === undefined ? undefined : toTimeoutMs(value, `${of} of ${what}`);
  const definition: TaskDefinition = Object.freeze({
    name,
    kind,
    run: run as TaskDefinition["run"],
    schema,
    retries: Object.freeze(normalizeRetries(options.retries, `retries of ${what}`)),
    timeoutMs: limit(timeout, "timeout"),
    heartbeatTimeoutMs: limit(heartbeatTimeout, "heartbeatTimeout"),
    runTimeoutMs: limit(runTimeout, "runTimeout"),
    queueTimeoutMs: limit(queueTimeout, "queueTimeout"),
    cleanupTimeoutMs: limit(cleanupTimeout, "cleanupTimeout") ?? CLEANUP_TIMEOUT_MS,
    ...checkVersions(options, what),
  });
  return taskOf(definition) as Task<unknown, never, Kind>;
}

/** The task that has this definition. @internal */
export function taskOf(definition: TaskDefinition): AnyTask {
  const { name, kind } = definition;
  return Object.freeze(Object.defineProperty({ name, kind }, taskBrand, { value: definition }));
}

function checkVersions(
  { version, compatibleWith }: { readonly version?: unknown; readonly compatibleWith?: unknown },
  what: string,
): Pick<TaskDefinition, "version" | "compatibleWith"> {
  if (compatibleWith !== undefined && version === undefined)
    throw new InvalidInputError(
      `The ${what} has compatibleWith and no version. Give it the version that follows those.`,
      { value: compatibleWith },
    );
  if (version === undefined) return { version, compatibleWith: NO_VERSIONS };
  const checked = toVersion(version, `version of ${what}`);
  if (compatibleWith === undefined) return { version: checked, compatibleWith: NO_VERSIONS };
  if (typeof compatibleWith === "function")
    return { version: checked, compatibleWith: compatibleWith as (version: string) => boolean };
  if (!Array.isArray(compatibleWith))
    throw new InvalidInputError(
      `The ${what} has ${describe(compatibleWith)} as compatibleWith. Expected a list of versions, or a function that says whether a version is one of them.`,
      { value: compatibleWith },
    );
  const versions = compatibleWith.map((other: unknown) =>
    other === "" ? "" : toVersion(other, `compatibleWith of ${what}`),
  );
  return { version: checked, compatibleWith: Object.freeze(versions) };
}

const NO_VERSIONS: readonly string[] = Object.freeze([]);

function toVersion(value: unknown, what: string): string {
  const text = typeof value === "number" && Number.isFinite(value) ? String(value) : value;
  const isVersion =
    typeof text === "string" &&
    text !== "" &&
    Buffer.byteLength(text) <= NAME_BYTES &&
    /^[\x20-\x7e]+$/.test(text);
  if (!isVersion)
    throw new InvalidInputError(
      `The ${what} is ${describe(value)}. Expected a number, or a text of 1 to ${NAME_BYTES} printable ASCII characters.`,
      { value },
    );
  return text as string;
}

/** Checks what both kinds have in common, and returns what to call the task in other errors. */
function checkOptions(
  options: { readonly name: unknown; readonly input?: unknown; readonly run: unknown },
  maker: string,
  allowed: readonly string[],
): string {
  checkFields(options, `argument of ${maker}()`, allowed);
  const { name, input, run } = options;
  checkName(name, "task name");
  const what = `task ${describe(name)}`;
  const refuse = (problem: string, value: unknown): InvalidInputError =>
    new InvalidInputError(`The ${what} ${problem}.`, { value });
  if (/\p{Cc}/u.test(name)) throw refuse("has a control character in its name", name);
  if (typeof run !== "function")
    throw refuse(`has ${describe(run)} as run. Expected its function, (input, ctx) => output`, run);
  if (input !== undefined && !isSchema(input))
    throw refuse(
      `has ${describe(input)} as input. Expected a Standard Schema, for instance z.object(); without a schema the type of the input is that of run's first parameter`,
      input,
    );
  return what;
}

/**
 * How long a run of this task may wait in the queue: as its starter says, or the task, and no longer
 * than the whole run may take.
 */
export function queueLimitOf(
  definition: TaskDefinition | undefined,
  asked?: number,
): number | undefined {
  const { queueTimeoutMs, runTimeoutMs } = definition ?? {};
  const queue = asked ?? queueTimeoutMs;
  if (queue === undefined || runTimeoutMs === undefined) return queue ?? runTimeoutMs;
  return Math.min(queue, runTimeoutMs);
}
