/** Finds the run that somebody means by `TASK/RUN`, or by the run's id alone. */
import {
  type Client,
  InvalidInputError,
  type RunHandle,
  RunNotFoundError,
  type RunSummary,
} from "../../shared/index.ts";
import { shorten } from "./format.ts";

/** Which run. */
export interface RunReference {
  /** `TASK/RUN`, or an id. */
  readonly text: string;
  /** The task, where it was named apart: then the text is the id. */
  readonly task?: string;
}

/** What a reference may mean. Without a task the id belongs to whichever task has it. */
export interface RunCandidate {
  readonly taskName?: string;
  readonly runId: string;
}

/** How a run is written: what `candidates` reads back. */
export function runText(run: { readonly taskName: string; readonly runId: string }): string {
  return `${run.taskName}/${run.runId}`;
}

/** Everything that a reference may mean: names of tasks and ids may have slashes themselves. */
export function candidates({ text, task }: RunReference): RunCandidate[] {
  if (task !== undefined) return [{ taskName: task, runId: text }];
  const meant: RunCandidate[] = [{ runId: text }];
  for (let at = text.indexOf("/"); at >= 0; at = text.indexOf("/", at + 1))
    if (at > 0 && at < text.length - 1)
      meant.push({ taskName: text.slice(0, at), runId: text.slice(at + 1) });
  return meant;
}

/**
 * The one run that is meant.
 * @throws {RunNotFoundError} When there is none.
 * @throws {InvalidInputError} When there are several, or there can be none of this name.
 */
export async function findRun(client: Client, reference: RunReference): Promise<RunHandle> {
  const shown = JSON.stringify(shorten(reference.text, 140));
  const found = new Map<string, RunSummary>();
  for (const candidate of possible(client, candidates(reference)))
    for (const run of await client.list({ ...candidate, limit: 20 }))
      found.set(JSON.stringify([run.taskName, run.runId]), run);
  const [first, ...others] = found.values();
  if (!first)
    throw new RunNotFoundError(
      `There is no run ${shown}: it was never started in namespace "${client.namespace}", or purged after its keep time. "contrail runs" lists those that are there.`,
    );
  if (others.length > 0) {
    const all = [first, ...others].map(
      (run) => `${JSON.stringify(run.runId)} of task ${JSON.stringify(run.taskName)}`,
    );
    throw new InvalidInputError(
      `${shown} may mean several runs: ${all.join("; ")}. Say which with --task NAME and the id alone.`,
    );
  }
  return client.get(first.taskName, first.runId);
}

/**
 * Leaves out what is no name of a task or a run.
 * @throws {InvalidInputError} When nothing is left.
 */
function possible(client: Client, all: readonly RunCandidate[]): RunCandidate[] {
  let refusal: unknown;
  const left = all.filter(({ taskName = "any", runId }) => {
    try {
      client.get(taskName, runId);
      return true;
    } catch (error) {
      refusal ??= error;
      return false;
    }
  });
  if (left.length === 0) throw refusal;
  return left;
}
