/** What the operations of a durable run do when the history does not hold them yet. */
import type { Condition } from "../shared/conditions.ts";
import type { RetryPolicy } from "../shared/retry.ts";
import type { StepContext } from "../shared/task.ts";
import type { AnyTask } from "../shared/task-reference.ts";

/** Runs user code once and records its result. */
export interface StepWork {
  readonly kind: "step";
  readonly name: string;
  readonly action: (context: StepContext) => unknown;
  readonly retries: RetryPolicy;
  /** Of one attempt. */
  readonly timeoutMs: number | undefined;
  /** Of all of them. */
  readonly totalTimeoutMs: number | undefined;
  readonly heartbeatTimeoutMs: number | undefined;
}

/** Waits for a condition; its children are started first. */
export interface WaitWork {
  readonly kind: "wait";
  readonly condition: Condition | ManyChildren;
  /** Monotonic time of this process when the code asked: sleeps are counted from then. */
  readonly askedAt: number;
  /** Ordinal of the first derived child id of this wait. */
  readonly firstOrdinal: number;
  /** How many children the run has started before. */
  readonly childrenBefore: number;
}

/** Starts children and goes on. */
export interface StartWork {
  readonly kind: "start";
  readonly task: AnyTask;
  readonly inputs: readonly unknown[];
  readonly id: string | undefined;
  readonly firstOrdinal: number;
  /** How many children the run has started before. */
  readonly childrenBefore: number;
  /** They go on when this run is canceled. */
  readonly isLeft: boolean;
}

/** Continues the run with another input. */
export interface ContinueWork {
  readonly kind: "continue";
  readonly input: unknown;
  /** Ordinal of the next child with a derived id. */
  readonly firstOrdinal: number;
}

/** Many children of one task, awaited as one. */
export interface ManyChildren {
  readonly kind: "children";
  readonly task: AnyTask;
  readonly inputs: readonly unknown[];
  readonly isLeft: boolean;
}

/** Any of them. */
export type Work = StepWork | WaitWork | StartWork | ContinueWork;

/** How many children a condition starts, each of which may take a derived id. */
export function ordinalsOf(condition: Condition | ManyChildren): number {
  if (condition.kind === "children") return condition.inputs.length;
  if ("of" in condition) return condition.of.reduce((sum, [, part]) => sum + ordinalsOf(part), 0);
  return condition.kind === "child" && "task" in condition.child ? 1 : 0;
}

/** A short text that tells conditions apart: the name of the wait in the history. */
export function describeCondition(condition: Condition | ManyChildren): string {
  switch (condition.kind) {
    case "sleep":
      return "afterMs" in condition.until
        ? `sleep ${condition.until.afterMs} ms`
        : `sleep until ${new Date(condition.until.at).toISOString()}`;
    case "event": {
      const where = condition.where === undefined ? "" : ` ${JSON.stringify(condition.where)}`;
      return `event ${condition.name}${where}${condition.from === "now" ? " from now" : ""}`;
    }
    case "child":
      return "task" in condition.child
        ? `run ${condition.child.task.name}${condition.child.id === undefined ? "" : ` ${condition.child.id}`}`
        : `result of ${condition.child.taskName} ${condition.child.runId}`;
    case "children":
      return `run ${condition.inputs.length} of ${condition.task.name}`;
    case "anyOf":
    case "allOf": {
      const parts = condition.of.map(([key, part]) => {
        const text = describeCondition(part);
        return typeof key === "string" ? `${key}: ${text}` : text;
      });
      return `${condition.kind}(${parts.join(", ")})`;
    }
  }
}
