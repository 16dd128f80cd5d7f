/** The `ctx` of a durable task: each call becomes an operation of the run's execution. */
import { type ChildOptions, isLeftWhenCanceled } from "../shared/child-options.ts";
import { applySchemas } from "../shared/condition-schemas.ts";
import {
  anyOf,
  type Condition,
  child as childCondition,
  event as eventCondition,
  isCondition,
  sleep as sleepCondition,
  sleepUntil as sleepUntilCondition,
} from "../shared/conditions.ts";
import type {
  DurableContext,
  Logger,
  StepContext,
  StepOptions,
  WaitForEventOptions,
} from "../shared/contexts.ts";
import { continuations, operationId } from "../shared/continuation.ts";
import { describe } from "../shared/describe.ts";
import {
  type DurationInput,
  type InstantInput,
  instantFromMs,
  toTimeoutMs,
} from "../shared/durations.ts";
import { InvalidInputError } from "../shared/errors.ts";
import { type RandomSource, seededRandom } from "../shared/ids.ts";
import { CHILDREN_PER_RUN, STEP_NAME_BYTES } from "../shared/limits.ts";
import { checkFields } from "../shared/option-fields.ts";
import { normalizeRetries } from "../shared/retry.ts";
import { validateInput } from "../shared/schema.ts";
import { checkName } from "../shared/subjects.ts";
import { definitionOf, type TaskDefinition } from "../shared/task-definition.ts";
import type { AnyTask, ChildHandle } from "../shared/task-reference.ts";
import { isSameButForTimes } from "./condition-match.ts";
import type { Execution } from "./execution.ts";
import {
  describeCondition,
  type ManyChildren,
  ordinalsOf,
  type StartWork,
  type Work,
} from "./work.ts";

/** What a context needs of the run it belongs to. */
export interface ContextRun {
  readonly runId: string;
  readonly startSequence: number;
  /** What random values come from; by default the run and its start. */
  readonly seed?: string | undefined;
  readonly definition: TaskDefinition;
  readonly execution: Execution<Work>;
  readonly log: Logger;
  /** The present pass's signal; a continuation kept in memory outlives passes. */
  readonly signal: () => AbortSignal;
  /** The clock of this process that never goes back. */
  readonly monotonic: () => number;
  /** When the run was started, or continued last. */
  readonly startedAt: number;
}

/** Makes the `ctx` of one run. */
export function makeContext(run: ContextRun): DurableContext {
  return new Context(run) as unknown as DurableContext; // overloads cannot be implemented by name
}

class Context {
  readonly runId: string;
  readonly taskName: string;
  readonly attempt = 1;
  readonly log: Logger;
  readonly #run: ContextRun;
  #random: RandomSource | undefined;
  #ordinal: number;
  #children = 0;

  constructor(run: ContextRun) {
    this.#run = run;
    this.#ordinal = run.execution.state.beginning?.firstOrdinal ?? 0;
    this.runId = run.runId;
    this.taskName = run.definition.name;
    this.log = run.log;
  }

  get signal(): AbortSignal {
    return this.#run.signal();
  }

  step(
    name: string,
    action: (step: StepContext) => unknown,
    options?: StepOptions<unknown>,
  ): unknown {
    return quiet(this.#step(name, action, options));
  }

  sleepFor(duration: DurationInput): unknown {
    return quiet(this.#sleep(() => sleepCondition(duration)));
  }

  sleepUntil(instant: InstantInput): unknown {
    return quiet(this.#sleep(() => sleepUntilCondition(instant)));
  }

  waitForEvent(name: string, options?: WaitForEventOptions): unknown {
    return quiet(this.#waitForEvent(name, options));
  }

  waitFor(condition: Condition): unknown {
    return quiet(this.#waitFor(condition));
  }

  run(task: AnyTask, input: unknown, options?: ChildOptions): unknown {
    return quiet(this.#runChild(task, input, options));
  }

  start(task: AnyTask, input: unknown, options?: ChildOptions): unknown {
    return quiet(this.#start(task, input, options));
  }

  continueAs(input: unknown): unknown {
    return quiet(this.#continueAs(input));
  }

  async #continueAs(input: unknown): Promise<unknown> {
    const { definition, execution } = this.#run;
    const what = `input that run "${this.runId}" of task "${this.taskName}" continues with`;
    const { schema } = definition;
    const checked = schema ? await validateInput(schema, input, what) : input;
    const work = { kind: "continue", input: checked, firstOrdinal: this.#ordinal } as const;
    return execution.ask("n", "continue", work, itself);
  }

  async #step(
    name: string,
    action: (step: StepContext) => unknown,
    options?: StepOptions<unknown>,
  ): Promise<unknown> {
    checkStep(name, action);
    const { definition, execution } = this.#run;
    if (options === undefined) {
      const work = {
        kind: "step",
        name,
        action,
        retries: definition.retries,
        ...NO_LIMITS,
      } as const;
      return execution.ask("s", name, work, itself);
    }
    const what = `step ${describe(name)}`;
    checkFields(options, `options of ${what}`, [
      ...["retries", "timeout", "totalTimeout", "heartbeatTimeout", "undo"],
    ]);
    const retries = normalizeRetries(options.retries, `retries of ${what}`, definition.retries);
    const limit = (option: "timeout" | "totalTimeout" | "heartbeatTimeout"): number | undefined => {
      const { [option]: value } = options;
      return value === undefined ? undefined : toTimeoutMs(value, `${option} of ${what}`);
    };
    const work = {
      kind: "step",
      ...{ name, action, retries },
      timeoutMs: limit("timeout"),
      totalTimeoutMs: limit("totalTimeout"),
      heartbeatTimeoutMs: limit("heartbeatTimeout"),
    } as const;
    const { undo } = options;
    if (undo === undefined) return execution.ask("s", name, work, itself);
    if (typeof undo !== "function")
      throw new InvalidInputError(
        `The undo of ${what} is ${describe(undo)}. Expected a function.`,
        { value: undo },
      );
    return execution.ask("s", name, work, (value) => {
      const undoName = `undo ${name}`;
      const undoing = { ...work, name: undoName, action: (step: StepContext) => undo(value, step) };
      execution.addUndo(undoName, undoing);
      return value;
    });
  }

  async #sleep(condition: () => Condition): Promise<void> {
    await this.#wait(condition());
  }

  async #waitForEvent(name: string, options: WaitForEventOptions = {}): Promise<unknown> {
    const { timeout, ...rest } = options;
    const waited = eventCondition(name, rest);
    if (timeout === undefined) return applySchemas(waited, await this.#wait(waited));
    toTimeoutMs(timeout, `timeout of the wait for event ${describe(name)}`);
    const condition = anyOf({ event: waited, timeout: sleepCondition(timeout) });
    const result = (await this.#wait(condition)) as { readonly kind: string; key?: string };
    if (result.kind === "sleep") return null;
    const { key: _, ...found } = result;
    return applySchemas(waited, found);
  }

  async #waitFor(condition: Condition): Promise<unknown> {
    if (!isCondition(condition))
      throw new InvalidInputError(
        `waitFor() got ${describe(condition)}. Expected what sleep(), sleepUntil(), event(), child(), anyOf() or allOf() returns.`,
        { value: condition },
      );
    return applySchemas(condition, await this.#wait(condition));
  }

  async #runChild(task: AnyTask, input: unknown, options: ChildOptions = {}): Promise<unknown> {
    definitionOf(task);
    if (Array.isArray(input)) {
      if (input.length === 0) return [];
      const isLeft = isLeftWhenCanceled(options);
      const many: ManyChildren = { kind: "children", task, inputs: input, isLeft };
      return ((await this.#wait(many)) as { outputs: unknown[] }).outputs;
    }
    const condition = childCondition(task as never, input as never, options);
    return ((await this.#wait(condition)) as { output: unknown }).output;
  }

  async #start(task: AnyTask, input: unknown, options: ChildOptions = {}): Promise<unknown> {
    definitionOf(task);
    const isMany = Array.isArray(input);
    const inputs = isMany ? (input as unknown[]) : [input];
    if (options.id !== undefined) checkName(options.id, "run id");
    if (isMany && options.id !== undefined)
      throw new InvalidInputError(
        `start() got ${inputs.length} inputs and one id, ${describe(options.id)}. Leave the id out, or start the children one by one.`,
        { value: options.id },
      );
    if (inputs.length === 0) return [];
    const work: StartWork = {
      kind: "start",
      task,
      inputs,
      id: options.id,
      isLeft: isLeftWhenCanceled(options),
      firstOrdinal: this.#takeOrdinals(options.id === undefined ? inputs.length : 0),
      childrenBefore: this.#countChildren(inputs.length),
    };
    const runIds = await this.#run.execution.ask(
      "c",
      task.name,
      work,
      (value) => value as readonly string[],
      { difference: ({ runIds }) => differentChildren(runIds, work) },
    );
    const handles = runIds.map((runId) => this.#handle(task.name, runId));
    return isMany ? handles : handles[0];
  }

  now(): unknown {
    return instantFromMs(Math.round(this.#run.execution.receivedAt ?? this.#run.startedAt));
  }

  random(): number {
    const { runId, startSequence, seed, execution } = this.#run;
    const own = seed ?? `${this.taskName}/${runId}/${startSequence}`;
    this.#random ??= seededRandom(operationId(own, continuations(execution.state)));
    return this.#random();
  }

  uuid(): string {
    const bytes = Uint8Array.from({ length: 16 }, () => Math.floor(this.random() * 256));
    bytes[6] = ((bytes[6] as number) & 0x0f) | 0x40; // version 4
    bytes[8] = ((bytes[8] as number) & 0x3f) | 0x80; // the variant of RFC 9562
    const hex = Buffer.from(bytes).toString("hex");
    return [
      hex.slice(0, 8),
      hex.slice(8, 12),
      hex.slice(12, 16),
      hex.slice(16, 20),
      hex.slice(20),
    ].join("-");
  }

  changed(name: string): boolean {
    checkChange(name);
    return this.#run.execution.hasChanged(name);
  }

  #handle(taskName: string, runId: string): ChildHandle {
    const handle: ChildHandle = {
      taskName,
      runId,
      result: () => quiet(this.#resultOf(handle)),
    };
    return handle;
  }

  async #resultOf(handle: ChildHandle): Promise<never> {
    const result = await this.#wait(childCondition(handle));
    return (result as { output: never }).output;
  }

  #wait(condition: Condition | ManyChildren): Promise<unknown> {
    const count = ordinalsOf(condition);
    const work: Work = {
      kind: "wait",
      condition,
      askedAt: this.#run.monotonic(),
      firstOrdinal: this.#takeOrdinals(count),
      childrenBefore: this.#countChildren(count),
    };
    const name = describeCondition(condition);
    return this.#run.execution.ask("w", name, work, itself, {
      isLike: (recorded) => isSameButForTimes(condition, recorded),
    });
  }

  #takeOrdinals(count: number): number {
    const first = this.#ordinal;
    this.#ordinal += count;
    return first;
  }

  /** Counts children that the code asks for, but for those that are refused. The same in a replay. */
  #countChildren(count: number): number {
    const before = this.#children;
    if (before + count <= CHILDREN_PER_RUN) this.#children += count;
    return before;
  }
}

/** How started children differ from what is recorded; their order among others does not count. */
function differentChildren(runIds: readonly string[], work: StartWork): string | undefined {
  const { inputs, id } = work;
  if (runIds.length !== inputs.length)
    return `it starts ${inputs.length} children now and started ${runIds.length} then`;
  if (id !== undefined && runIds[0] !== id) return "the id of the child was changed";
  return undefined;
}

/**
 * A promise that the code may leave unawaited: its failure would end the whole process, and with it
 * the other runs of the worker.
 */
function quiet<T>(promise: Promise<T>): Promise<T> {
  promise.catch(nothing);
  return promise;
}

function nothing(): void {}

function itself<T>(value: T): T {
  return value;
}

const NO_LIMITS = {
  timeoutMs: undefined,
  totalTimeoutMs: undefined,
  heartbeatTimeoutMs: undefined,
} as const;

function checkStep(name: unknown, action: unknown): void {
  const isName =
    typeof name === "string" && name !== "" && Buffer.byteLength(name) <= STEP_NAME_BYTES;
  if (!isName)
    throw new InvalidInputError(
      `A step is named ${describe(name)}. Expected a text of 1 to ${STEP_NAME_BYTES} bytes that is the same in every execution.`,
      { value: name },
    );
  if (typeof action !== "function")
    throw new InvalidInputError(
      `Step ${describe(name)} got ${describe(action)} as its action. Expected a function.`,
      { value: action },
    );
}

function checkChange(name: unknown): void {
  if (typeof name === "string" && name !== "" && Buffer.byteLength(name) <= STEP_NAME_BYTES) return;
  throw new InvalidInputError(
    `changed() got ${describe(name)}. Expected a name of 1 to ${STEP_NAME_BYTES} bytes for the change.`,
    { value: name },
  );
}
