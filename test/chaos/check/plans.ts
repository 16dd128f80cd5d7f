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
export function isAsPlanned(run: Run, output: unknown): boolean {
  const { taskName, input } = run;
  const { plan, value } = input as { readonly plan?: readonly Op[]; readonly value?: unknown };
  const given = output as { readonly results?: unknown; readonly value?: unknown };
  if (taskName === "chaos-job" || taskName === "chaos-limited") return given?.value === value;
  if (!taskName.startsWith("chaos-") || !plan) return true;
  return areResults(plan, given?.results, run);
}

function areResults(plan: readonly Op[], results: unknown, run: Run): boolean {
  return (
    Array.isArray(results) &&
    results.length === plan.length &&
    plan.every((op, i) => isResult(op, results[i], run))
  );
}

function isResult(op: Op, result: unknown, run: Run): boolean {
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
    case "guarded": // whoever was told to stop may return all the same
      if (result === "caught") return run.interruptedAt !== undefined;
      return areResults(op.of, result, run);
    case "parallel":
      return areResults(op.of, result, run);
    default:
      return result !== undefined;
  }
}
