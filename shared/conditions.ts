/**
 * What a durable task can wait for, written as values: `sleep`, `event`, `child`, and any nesting of
 * `anyOf` and `allOf`. A condition does nothing by itself; `ctx.waitFor` waits for it.
 */
import { type ChildOptions, isLeftWhenCanceled } from "./child-options.ts";
import { describe } from "./describe.ts";
import { type DurationInput, type InstantInput, toDurationMs, toInstantMs } from "./durations.ts";
import { InvalidInputError, LimitExceededError } from "./errors.ts";
import { checkEventPattern } from "./event-names.ts";
import { checkFilter, type Filter } from "./filters.ts";
import { checkFields } from "./option-fields.ts";
import { isSchema, type Schema } from "./schema.ts";
import { checkName } from "./subjects.ts";
import { type AnyTask, type ChildHandle, isTask, type Task } from "./task-reference.ts";

/** How deep conditions may be nested: the outermost `anyOf` or `allOf` is at depth 1. */
export const CONDITION_DEPTH = 32;
/** Sleeps, events and children in one condition. For more children use `ctx.run(task, inputs)`. */
export const CONDITION_LEAVES = 1_000;

/** The time has come. */
export interface SleepResult {
  readonly kind: "sleep";
}

/** The event that was consumed. */
export interface EventResult<out Data = unknown, out Name extends string = string> {
  readonly kind: "event";
  /** The name it was published under, which a pattern does not tell. */
  readonly name: Name;
  /** Its payload; of type `unknown` unless a schema says what it is. */
  readonly data: Data;
  /** Its place among all events of the namespace. Counts up, with gaps. */
  readonly sequence: number;
  /**
   * When the server stored it, in milliseconds since the epoch. A number, not a `Date` or a Temporal
   * value, so that a result reads the same in the log, over JSON and in the code.
   */
  readonly publishedAt: number;
}

/** The child run that completed. */
export interface ChildResult<out Output = unknown> {
  readonly kind: "child";
  readonly taskName: string;
  readonly runId: string;
  readonly output: Output;
}

/** A part of a condition. `"~result"` carries the type of what it results in; there is no such value. */
interface Resulting<out Result> {
  readonly "~result"?: Result;
}

/** Holds from a point in time on. */
export interface SleepCondition extends Resulting<SleepResult> {
  readonly kind: "sleep";
  /** Either so long after the wait began, or at a point in time; both in milliseconds. */
  readonly until: { readonly afterMs: number } | { readonly at: number };
}

/** Holds when an event that matches has been published. */
export interface EventCondition<out Data = unknown, out Name extends string = string>
  extends Resulting<EventResult<Data, Name>> {
  readonly kind: "event";
  /** Name of the event, or a pattern. */
  readonly name: string;
  readonly where?: Filter;
  readonly from?: "now";
  readonly schema?: Schema<unknown, Data>;
}

/** Holds when a child run has completed. */
export interface ChildCondition<out Output = unknown> extends Resulting<ChildResult<Output>> {
  readonly kind: "child";
  /** The child to start when the wait begins, or the one that was started before. */
  readonly child:
    | {
        readonly task: AnyTask;
        readonly input: unknown;
        readonly id?: string;
        readonly isLeft?: boolean;
      }
    | { readonly taskName: string; readonly runId: string };
}

/** Holds as soon as one of its parts does. */
export interface AnyOf<out Result = unknown> extends Resulting<Result> {
  readonly kind: "anyOf";
  /** The parts with their names, or their positions. */
  readonly of: readonly ConditionPart[];
}

/** Holds when all of its parts do. */
export interface AllOf<out Result = unknown> extends Resulting<Result> {
  readonly kind: "allOf";
  /** The parts with their names, or their positions. */
  readonly of: readonly ConditionPart[];
}

/** Anything a durable task can wait for. Told apart by `kind`. */
export type Condition = SleepCondition | EventCondition | ChildCondition | AnyOf | AllOf;

/** A part of `anyOf` or `allOf` with what the user calls it. */
export type ConditionPart = readonly [key: string | number, condition: Condition];

/** What waiting for the condition returns. */
export type ResultOf<C extends Condition> = C extends { readonly "~result"?: infer Result }
  ? Result
  : never;

/**
 * What one part of `anyOf` contributes, with its `index` or `key`. A sleep, event or child gives its
 * fields; a part that is itself an `anyOf` or `allOf` gives its own result as `value`.
 */
type PartResult<C extends Condition, Which> = C extends
  | SleepCondition
  | EventCondition
  | ChildCondition
  ? Flat<ResultOf<C> & Which>
  : C extends AnyOf | AllOf
    ? Flat<{ readonly kind: C["kind"]; readonly value: ResultOf<C> } & Which>
    : never;

/** The same type with its fields written out, which narrows and reads better than an intersection. */
type Flat<T> = { readonly [Field in keyof T]: T[Field] };

/** The result of `anyOf` over a list. */
export type FirstOf<Parts extends readonly Condition[]> = number extends Parts["length"]
  ? PartResult<Parts[number], { readonly index: number }>
  : {
      [Position in keyof Parts]: Position extends `${infer Index extends number}`
        ? PartResult<Parts[Position], { readonly index: Index }>
        : never;
    }[number];

/** The result of `anyOf` over named parts. */
export type FirstNamed<Parts extends { readonly [key: string]: Condition }> = {
  [Key in keyof Parts]: PartResult<Parts[Key], { readonly key: Key }>;
}[keyof Parts];

/** The result of `allOf`: a list for a list, an object for named parts. */
export type ResultsOf<Parts> = {
  -readonly [Key in keyof Parts]: Parts[Key] extends Condition ? ResultOf<Parts[Key]> : never;
};

/** How to choose among the events of a name. */
export interface EventOptions<out Data = unknown> {
  /**
   * What the payload has to be: `{ orderId: "42" }`, or with operators `{ total: { $gte: 100 } }`.
   * Without it every event of that name matches. `contrail/task` exports its type, `Filter`.
   */
  readonly where?: Filter;
  /**
   * `"now"` ignores what was published before the wait began. By default nothing published after the
   * run began is missed, and each run consumes each event once, in order of publication.
   */
  readonly from?: "now";
  /**
   * Checks the payload, and types it. An event that matches and does not fit is consumed all the
   * same, and the wait throws: give `where` what the wait depends on.
   */
  readonly schema?: Schema<unknown, Data>;
}

/** What is known of the name of an event from its pattern. */
export type EventName<Pattern extends string> = Pattern extends `${string}${"*" | ">"}${string}`
  ? string
  : Pattern;

/**
 * Holds when a time has passed, counted from the moment the wait begins.
 * @throws {InvalidInputError} When it is no duration, or longer than 100 years.
 * @example
 * await ctx.waitFor(anyOf(event("order.delivered"), sleep("3 days")));
 */
export function sleep(duration: DurationInput): SleepCondition {
  return made({ kind: "sleep", until: { afterMs: toDurationMs(duration, "sleep") } });
}

/**
 * Holds from a point in time on; at once when it has passed.
 * @throws {InvalidInputError} When it is no instant, or has no zone.
 * @example
 * await ctx.waitFor(anyOf(event("ticket.sold-out"), sleepUntil("2030-01-31T09:00:00+01:00")));
 */
export function sleepUntil(instant: InstantInput): SleepCondition {
  return made({ kind: "sleep", until: { at: toInstantMs(instant, "instant to sleep until") } });
}

/**
 * Holds when an event has been published under `name`, by any NATS client. `*` stands for one token
 * of the name, `>` at its end for one or more.
 * @throws {InvalidInputError} When the name or the filter cannot be used; says what is wrong.
 * @example
 * const paid = await ctx.waitFor(event("order.*", { where: { orderId: order.id } }));
 */
export function event<Data = unknown, const Name extends string = string>(
  name: Name,
  options: EventOptions<Data> = {},
): EventCondition<Data, EventName<Name>> {
  checkEventPattern(name);
  checkFields(options, `argument of event "${name}"`, ["where", "from", "schema"]);
  const { where, from, schema } = options;
  if (from !== undefined && from !== "now") throw badOption(name, "from", from, 'Expected "now"');
  if (schema !== undefined && !isSchema(schema))
    throw badOption(name, "schema", schema, "Expected a Standard Schema, for instance z.object()");
  return made({
    kind: "event",
    name,
    ...(where === undefined ? {} : { where: checkFilter(where, `filter of event "${name}"`) }),
    ...(from === undefined ? {} : { from }),
    ...(schema === undefined ? {} : { schema }),
  });
}

/**
 * Holds when a child run has completed: one that was started before, or a new one of `task`, which
 * is started when the wait begins. A child that fails or is canceled settles its part too, with an
 * error: `anyOf` and `allOf` throw it, like `Promise.race` and `Promise.all`.
 * @example
 * const first = await ctx.waitFor(anyOf(child(packItem, { sku: "a" }), sleep("1h")));
 */
export function child<Output>(handle: ChildHandle<Output>): ChildCondition<Output>;
export function child<Output>(
  task: Task<undefined, Output>,
  input?: undefined,
  options?: ChildOptions,
): ChildCondition<Output>;
export function child<Input, Output>(
  task: Task<Input, Output>,
  input: NoInfer<Input>,
  options?: ChildOptions,
): ChildCondition<Output>;
export function child(
  task: Task<never> | ChildHandle,
  input?: unknown,
  options: ChildOptions = {},
): ChildCondition {
  if (isTask(task)) {
    checkFields(options, "argument of child()", ["id", "whenCanceled"]);
    const { id } = options;
    if (id !== undefined) checkName(id, "run id");
    const isLeft = isLeftWhenCanceled(options);
    return made({
      kind: "child",
      child: { task, input, ...(id === undefined ? {} : { id }), ...(isLeft ? { isLeft } : {}) },
    });
  }
  if (!isHandle(task))
    throw new InvalidInputError(
      `child() got ${describe(task)}. Expected a task made by task() or durableTask(), or what ctx.start() returned.`,
      { value: task },
    );
  return made({ kind: "child", child: { taskName: task.taskName, runId: task.runId } });
}

/**
 * Holds as soon as one of its parts does, and results in that part's result with its `index`, or its
 * `key` when the parts have names. What came first in the log decides, and stays decided. The other
 * parts are given up: their timers are canceled, their events stay unconsumed; children go on.
 * A child that fails first fails the wait.
 * @throws {InvalidInputError} When there are no parts: it would wait forever.
 * @throws {LimitExceededError} When it is nested more than 32 deep or has more than 1,000 parts.
 * @example
 * const first = await ctx.waitFor(anyOf({ paid: event("order.paid"), late: sleep("7 days") }));
 * if (first.key === "paid") return first.data;
 */
export function anyOf<const Parts extends readonly Condition[]>(
  ...parts: Parts
): AnyOf<FirstOf<Parts>>;
export function anyOf<const Parts extends { readonly [key: string]: Condition }>(
  parts: Parts,
): AnyOf<FirstNamed<Parts>>;
export function anyOf(...parts: readonly unknown[]): AnyOf {
  const of = readParts("anyOf", parts);
  if (of.length === 0)
    throw new InvalidInputError(
      "anyOf() has no parts and would wait forever. Give it one or more.",
    );
  return bounded({ kind: "anyOf", of });
}

/**
 * Holds when all of its parts do, and results in the list of their results, or the object of them
 * when the parts have names. Without parts it holds at once. The first child that fails fails the
 * wait.
 * @throws {LimitExceededError} When it is nested more than 32 deep or has more than 1,000 parts.
 * @example
 * const { paid, packed } = await ctx.waitFor(
 *   allOf({ paid: event("order.paid"), packed: child(packItem, { sku: "a" }) }),
 * );
 */
export function allOf<const Parts extends readonly Condition[]>(
  ...parts: Parts
): AllOf<ResultsOf<Parts>>;
export function allOf<const Parts extends { readonly [key: string]: Condition }>(
  parts: Parts,
): AllOf<ResultsOf<Parts>>;
export function allOf(...parts: readonly unknown[]): AllOf {
  return bounded({ kind: "allOf", of: readParts("allOf", parts) });
}

/** Marks conditions; the same symbol in every copy of this package. */
const conditionBrand = Symbol.for("contrail.condition");

/** Whether a value was made by one of the functions above, of this copy of the package or another. */
export function isCondition(value: unknown): value is Condition {
  try {
    return typeof value === "object" && value !== null && Object.hasOwn(value, conditionBrand);
  } catch {
    return false; // a proxy that refuses to be read
  }
}

function made<C extends Condition>(condition: C): C {
  return Object.freeze(Object.defineProperty(condition, conditionBrand, { value: true }));
}

function readParts(name: string, given: readonly unknown[]): ConditionPart[] {
  const [first] = given;
  const isNamed = given.length === 1 && !isCondition(first) && isPlainObject(first);
  const parts: (readonly [string | number, unknown])[] = isNamed
    ? Object.entries(first)
    : given.map((part, index) => [index, part]);
  return parts.map(([key, part]): ConditionPart => {
    if (/\p{Surrogate}/u.test(`${key}`))
      throw new InvalidInputError(
        `The part name ${describe(key)} of ${name}() has half of a surrogate pair, which is not stored as it is. Use another name.`,
        { value: key },
      );
    if (isCondition(part)) return [key, part];
    throw new InvalidInputError(
      `Part ${describe(key)} of ${name}() is ${describe(part)}. Expected what sleep(), sleepUntil(), event(), child(), anyOf() or allOf() returns.`,
      { value: part },
    );
  });
}

function bounded<C extends AnyOf | AllOf>(condition: C): C {
  const { depth, leafCount } = measure(condition);
  if (depth > CONDITION_DEPTH)
    throw new LimitExceededError(
      `${condition.kind}() is nested more than ${CONDITION_DEPTH} deep.`,
      { limitName: "condition-depth", limit: CONDITION_DEPTH, actual: depth },
    );
  if (leafCount > CONDITION_LEAVES)
    throw new LimitExceededError(
      `${condition.kind}() has ${leafCount} sleeps, events and children, more than ${CONDITION_LEAVES}. Many children of one task are awaited as one by ctx.run(task, inputs).`,
      { limitName: "condition-parts", limit: CONDITION_LEAVES, actual: leafCount },
    );
  return made(condition);
}

function measure(condition: Condition): { readonly depth: number; readonly leafCount: number } {
  if (!("of" in condition)) return { depth: 0, leafCount: 1 };
  let depth = 0;
  let leafCount = 0;
  for (const [, part] of condition.of) {
    const inner = measure(part);
    depth = Math.max(depth, inner.depth);
    leafCount += inner.leafCount;
  }
  // an empty part counts as one, so that the size of a condition is bounded too
  return { depth: depth + 1, leafCount: Math.max(leafCount, 1) };
}

function isHandle(value: unknown): value is ChildHandle {
  if (typeof value !== "object" || value === null) return false;
  try {
    const { taskName, runId } = value as Partial<ChildHandle>;
    return typeof taskName === "string" && typeof runId === "string";
  } catch {
    return false; // a proxy that refuses to be read
  }
}

function isPlainObject(value: unknown): value is object {
  if (typeof value !== "object" || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

function badOption(name: string, option: string, value: unknown, help: string): InvalidInputError {
  return new InvalidInputError(
    `The option "${option}" of event "${name}" is ${describe(value)}. ${help}.`,
    { value },
  );
}
