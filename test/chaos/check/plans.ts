/** What a run must result in, by its input alone: the workload's inputs are programs. */
import { isSame } from "./facts.ts";
import type { Run } from "./history.ts";

interface Op {
  readonly op: string;
  readonly name: string;
  readonly count: number;
  readonly timeoutMs?: number;
  readonly of: readonly Op[];
}

/** Whether a completed run returned what its input asked for. Tasks of others are not judged. */
export function isAsPlanned(run: Run, output: unknown): boolean {
  const { taskName, input } = run;
  const { plan, value } = (input ?? {}) as {
    readonly plan?: readonly Op[];
    readonly value?: unknown;
  };
  const given = output as { readonly results?: unknown; readonly value?: unknown } | undefined;
  if (taskName === "chaos-job" || taskName === "chaos-limited") return given?.value === value;
  return !taskName.startsWith("chaos-") || !plan || areResults(plan, given?.results, run);
}

function areResults(plan: readonly Op[], results: unknown, run: Run): boolean {
  if (!Array.isArray(results) || results.length !== plan.length) return false;
  return plan.every((op, i) => RESULTS[op.op]?.(results[i], op, run) ?? results[i] !== undefined);
}

/** Whether a result is one of an operation, by what the operation is called. */
const RESULTS: { readonly [op: string]: (result: unknown, op: Op, run: Run) => boolean } = {
  step: (result, { name }, { runId }) => result === `${runId}/${name}`,
  sleep: (result) => result === "slept",
  left: (result) => result === "left",
  event: (result, { timeoutMs }) =>
    isNumber(result) || (result === null && timeoutMs !== undefined),
  // an event of unknown outcome was published again, so a number may come twice
  events: (result, { count }) =>
    Array.isArray(result) && result.length === count && result.every(isNumber),
  race: (result) => result === "slept" || hasCome(result),
  both: hasCome,
  children: areInOrder,
  singles: areInOrder,
  // judged as a run of its own, and its end as what its parent recorded
  child: (result) => Array.isArray((result as { readonly results?: unknown } | null)?.results),
  // whoever was told to stop may return all the same
  guarded: (result, { of }, run) =>
    result === "caught" ? run.interruptedAt !== undefined : areResults(of, result, run),
  parallel: (result, { of }, run) => areResults(of, result, run),
};

function isNumber(result: unknown): boolean {
  return Number.isInteger(result);
}

function hasCome(result: unknown): boolean {
  return isNumber((result as { readonly came?: unknown } | null)?.came);
}

function areInOrder(result: unknown, { count }: Op): boolean {
  return isSame(
    result,
    Array.from({ length: count }, (_, i) => i),
  );
}
