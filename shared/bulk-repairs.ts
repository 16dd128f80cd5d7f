/** Repairs of all runs that a filter selects. */
import { describe } from "./describe.ts";
import { ContrailError, InvalidInputError } from "./errors.ts";
import { checkFields, checkText } from "./option-fields.ts";
import type { RunSummary } from "./run-list.ts";
import type { RunStatus } from "./run-status.ts";
import type { RunView } from "./run-view.ts";

/** What can be asked for many runs at once. */
export type BulkAction = "resume" | "retry" | "cancel" | "terminate";

/** Which runs. */
export interface BulkFilter {
  readonly taskName?: string;
  /**
   * Runs in this status.
   * @defaultValue paused for `resume`, failed for `retry`, all that have not ended for the others.
   */
  readonly status?: RunStatus;
  /** Runs whose history has changed since, in milliseconds since the epoch. */
  readonly since?: number;
  /** A part of the text that says why the run is paused, or of its error. Costs a read of each run. */
  readonly because?: string;
}

/** How to go about it. */
export interface BulkOptions {
  /** Counts and changes nothing. */
  readonly isDryRun?: boolean;
  /** Recorded with each run. */
  readonly reason?: string;
}

/** What became of it. */
export interface BulkResult {
  /** Runs that the filter selects. */
  readonly matched: number;
  /** Those of them that were asked; none in a dry run. */
  readonly done: number;
  /** Those that could not be, and why. The others were asked all the same. */
  readonly refused: readonly {
    readonly taskName: string;
    readonly runId: string;
    readonly error: ContrailError;
  }[];
}

/** How many runs are asked at once. */
const AT_ONCE = 16;
const STATUS_FOR: { readonly [A in BulkAction]?: RunStatus } = {
  resume: "paused",
  retry: "failed",
};

/** What a bulk repair works with. */
export interface BulkRuns {
  list(filter: { taskName?: string; status?: RunStatus; limit: number }): Promise<RunSummary[]>;
  view(run: RunSummary): Promise<RunView>;
  act(run: RunSummary): Promise<void>;
}

const ACTIONS: readonly BulkAction[] = ["resume", "retry", "cancel", "terminate"];

/**
 * Checks what to ask for and of which runs: a misspelled filter would select all of them.
 * @throws {InvalidInputError} When something of it cannot be used.
 */
export function checkBulk(action: unknown, filter: unknown, options: BulkOptions): void {
  if (!ACTIONS.some((known) => known === action))
    throw new InvalidInputError(
      `The action is ${describe(action)}. Expected one of ${ACTIONS.join(", ")}.`,
      { value: action },
    );
  checkFields(filter, "filter of bulk()", ["taskName", "status", "since", "because"]);
  checkFields(options, "options of bulk()", ["isDryRun", "reason"]);
  if (options.reason !== undefined) checkText(options.reason, "reason");
}

/** Asks for the same of every run that the filter selects. */
export async function repairAll(
  runs: BulkRuns,
  action: BulkAction,
  filter: BulkFilter,
  { isDryRun = false }: BulkOptions,
): Promise<BulkResult> {
  const { taskName, status = STATUS_FOR[action], since = 0, because } = filter;
  const listed = await runs.list({
    ...(taskName === undefined ? {} : { taskName }),
    ...(status === undefined ? {} : { status }),
    limit: Number.POSITIVE_INFINITY,
  });
  const left = listed.filter((run) => run.changedAt >= since && (status || !hasEnded(run)));
  const refused: { taskName: string; runId: string; error: ContrailError }[] = [];
  let matched = 0;
  let done = 0;
  const work = async (): Promise<void> => {
    for (let run = left.shift(); run; run = left.shift()) {
      const { taskName, runId } = run;
      try {
        if (because !== undefined && !reasonOf(await runs.view(run)).includes(because)) continue;
        matched++;
        if (isDryRun) continue;
        await runs.act(run);
        done++;
      } catch (error) {
        if (!(error instanceof ContrailError)) throw error;
        refused.push({ taskName, runId, error });
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return { matched, done, refused };
}

function hasEnded({ status }: RunSummary): boolean {
  return status === "completed" || status === "failed" || status === "canceled";
}

/** Why it is paused, or how it failed, with all causes. */
function reasonOf({ state }: RunView): string {
  if (state.paused) return state.paused.reason;
  const parts: string[] = [];
  let error = state.outcome && "error" in state.outcome ? state.outcome.error : undefined;
  for (; error; error = error.cause) parts.push(`${error.name}: ${error.message}`);
  return parts.join("\n");
}
