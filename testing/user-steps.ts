/** Puts the kit between tasks and what their steps do: scripts, a record of what was executed. */
import type { DurableContext, StepContext, StepOptions } from "../shared/contexts.ts";
import { definitionOf, taskOf } from "../shared/task-definition.ts";
import type { AnyTask } from "../shared/task-reference.ts";
import type { OutsideWork } from "./outside-work.ts";
import { type ScriptedStep, type Scripts, scriptOf } from "./scripts.ts";

/** An attempt of a step, or of its undo, that was begun. */
export interface ExecutedStep {
  readonly taskName: string;
  readonly runId: string;
  readonly step: string;
  /** From 1. */
  readonly attempt: number;
}

/** The process in which a task is executed. */
export interface HostProcess {
  readonly isAlive: boolean;
}

/** What a kit does around user code. */
export interface StepHooks {
  readonly scripts: Scripts<ScriptedStep>;
  readonly work: OutsideWork;
  /** A step begins. */
  readonly onStep: (step: ExecutedStep, idempotencyKey: string) => void;
}

type Action = (step: StepContext) => unknown;
type Undo = (value: unknown, step: StepContext) => unknown;

/** A dead process does nothing more, and nobody gets an answer of it. */
const NEVER = new Promise<never>(() => {});

/** The task as one process executes it. */
export function hooked(task: AnyTask, process: HostProcess, hooks: StepHooks): AnyTask {
  const definition = definitionOf(task);
  const run: typeof definition.run =
    definition.kind === "regular"
      ? (input, ctx) => (process.isAlive ? hooks.work.do(() => definition.run(input, ctx)) : NEVER)
      : (input, ctx) => definition.run(input, hookedContext(ctx, process, hooks) as typeof ctx);
  return taskOf(Object.freeze({ ...definition, run }));
}

function hookedContext(
  ctx: DurableContext,
  process: HostProcess,
  hooks: StepHooks,
): DurableContext {
  const { taskName, runId } = ctx;
  const execute = (step: string, call: StepContext, action: () => unknown): unknown => {
    if (!process.isAlive) return NEVER;
    const { attempt, idempotencyKey } = call;
    hooks.onStep({ taskName, runId, step, attempt }, idempotencyKey);
    const script = scriptOf(hooks.scripts, step);
    const { signal, fencingToken, lastHeartbeat } = call;
    const heartbeat = (details?: unknown): void => call.heartbeat(details);
    return hooks.work.do(() =>
      script
        ? script({
            ...{ attempt, idempotencyKey, signal, fencingToken, heartbeat, lastHeartbeat },
            ...{ taskName, runId, step },
          })
        : action(),
    );
  };
  const step = (name: string, action: Action, options?: StepOptions<unknown>): unknown => {
    const isScripted = scriptOf(hooks.scripts, name) !== undefined;
    const isCallable = typeof action === "function";
    const hookedAction =
      isCallable || isScripted
        ? (call: StepContext) => execute(name, call, () => action(call))
        : action;
    const undo: unknown = options?.undo;
    if (typeof undo !== "function") return ctx.step(name, hookedAction, options);
    const hookedUndo: Undo = (value, call) =>
      execute(`undo ${name}`, call, () => (undo as Undo)(value, call));
    return ctx.step(name, hookedAction, { ...options, undo: hookedUndo as never });
  };
  // Whatever else a context has is its own.
  return new Proxy(ctx, {
    get(target, property) {
      if (property === "step") return step;
      const value: unknown = Reflect.get(target, property, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}
