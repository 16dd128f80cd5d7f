/** What a test says that steps and children come to, instead of executing them. */
import type { StepContext, TaskContext } from "../shared/contexts.ts";
import { task } from "../shared/task.ts";
import type { AnyTask } from "../shared/task-reference.ts";

/** Which step of which run is scripted. */
export interface ScriptedStep extends StepContext {
  readonly taskName: string;
  readonly runId: string;
  readonly step: string;
}

/** Which child run is scripted. */
export interface ScriptedChild extends TaskContext {
  readonly input: unknown;
}

/**
 * What something comes to: a function is called for each attempt and returns or throws it, an error
 * is thrown, anything else is the result.
 */
export type Script<Call> = ((call: Call) => unknown) | Error | unknown;

/** Scripts by name. `"*"` is for all names that have none of their own. */
export interface Scripts<Call> {
  readonly [name: string]: Script<Call>;
}

/** What a name's script does, or nothing when there is none. */
export function scriptOf<Call>(
  scripts: Scripts<Call>,
  name: string,
): ((call: Call) => unknown) | undefined {
  const known = [name, "*"].find((key) => Object.hasOwn(scripts, key));
  if (known === undefined) return undefined;
  const script = scripts[known];
  if (typeof script === "function") return script as (call: Call) => unknown;
  return () => {
    if (script instanceof Error) throw script;
    return script;
  };
}

/** The tasks that stand in for scripted children. */
export function scriptedTasks(scripts: Scripts<ScriptedChild>): AnyTask[] {
  return Object.keys(scripts).map((name) => {
    const script = scriptOf(scripts, name) as (call: ScriptedChild) => unknown;
    return task({
      name,
      retries: 0,
      run: (input: unknown, { taskName, runId, attempt, signal, log }) =>
        script({ taskName, runId, attempt, signal, log, input }),
    });
  });
}
