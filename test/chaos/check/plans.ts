/** What a run must result in, by its input alone: the workload's inputs are programs. */
import type { Run } from "./history.ts";

interface Op {
  readonly op: string;
  readonly name: string;
  readonly count: number;
  readonly timeoutMs?: number;
  readonly plan: readonly Op[];
  readonly of: readonly Op[];
}

/** Whether a completed run returned what its input asked for. Tasks of others are not judged. */
export function isAsPlanned(
  { taskName, runId, input, interruptedAt }: Run,
  output: unknown,
): boolean {
  const { plan, value } = input as { readonly plan?: readonly Op[]; readonly value?: unknown };
  const given = output as { readonly results?: unknown; readonly value?: unknown };
  if (taskName === "chaos-job" || taskName === "chaos-limited") return given?.value === value;
  if (!taskName.startsWith("chaos-") || !plan) return true;
  const run = { runId, wasTold: interruptedAt !== undefined };
  return areResults(plan, given?.results, run);
}

/** The run, and whether it was told to stop: then its code may have caught that. */
interface Told {
  readonly runId: string;
  readonly wasTold: boolean;
}

function areResults(plan: readonly Op[], results: unknown, run: Told): boolean {
  return (
    Array.isArray(results) &&
    results.length === plan.length &&
    plan.every((op, i) => isResult(op, results[i], run))
  );
}

function isResult(op: Op, result: unknown, run: Told): boolean {
  switch (op.op) {
    case "step":
      return result === `${run.runId}/${op.name}`;
    case "sleep":
      return result === "slept";
    case "left":
      return result === "left";
    case "event":
      return Number.isInteger(result) || (result === null && op.timeoutMs !== undefined);
    case "events": // an event of unknown outcome was published again, so a number may come twice
      return Array.isArray(result) && result.length === op.count && result.every(Number.isInteger);
    case "race":
      return result === "slept" || Number.isInteger((result as { came?: unknown })?.came);
    case "both":
      return Number.isInteger((result as { came?: unknown })?.came);
    case "children":
    case "singles":
      return (
        JSON.stringify(result) === JSON.stringify(Array.from({ length: op.count }, (_, i) => i))
      );
    case "child": // judged as a run of its own, and its end as what its parent recorded
      return Array.isArray((result as { results?: unknown })?.results);
    case "guarded":
      return (run.wasTold && result === "caught") || areResults(op.of, result, run);
    case "parallel":
      return areResults(op.of, result, run);
    default:
      return result !== undefined;
  }
}
