/** Waits until nothing moves any more: what was accepted has ended, or waits for what never comes. */

import type { Client, RunSummary } from "../../shared/index.ts";
import type { Operations } from "./operations.ts";
import { pause } from "./pause.ts";

/** A run that neither ended nor waits for something that never comes. */
export interface StuckRun {
  readonly taskName: string;
  readonly runId: string;
  readonly status: string;
  readonly why: string;
}

const MOST_RUNS = 1_000_000;
const LOOK_EVERY_MS = 500;
const ENDED: readonly string[] = ["completed", "failed", "canceled"];

/** What was found when patience was over, or before. */
export interface Quiet {
  readonly stuck: StuckRun[];
  readonly runs: readonly RunSummary[];
  readonly tookMs: number;
}

/** Waits for the ends of runs; paused ones are resumed. */
export async function untilQuiet(
  client: Client,
  operations: Operations,
  patienceMs: number,
): Promise<Quiet> {
  const startedAt = performance.now();
  const waitsForNever = new Set<string>();
  for (;;) {
    const runs = await client.list({ limit: MOST_RUNS });
    const open = runs.filter(
      ({ status, runId }) => !ENDED.includes(status) && !waitsForNever.has(runId),
    );
    const left: RunSummary[] = [];
    for (const run of open) {
      if (run.status === "paused") await resume(client, operations, run);
      if (run.status === "waiting" && (await isForNever(client, run))) waitsForNever.add(run.runId);
      else left.push(run);
    }
    const tookMs = performance.now() - startedAt;
    if (left.length === 0) return { stuck: [], runs, tookMs };
    if (tookMs > patienceMs) {
      const stuck = await Promise.all(left.map((run) => explained(client, run)));
      return { stuck, runs, tookMs };
    }
    await pause(LOOK_EVERY_MS);
  }
}

/** Why a run is where it is. */
export async function explained(client: Client, run: RunSummary): Promise<StuckRun> {
  const { taskName, runId, status } = run;
  const told = await client
    .get(taskName, runId)
    .why()
    .then(
      (explanation) => JSON.stringify(explanation),
      (error: unknown) => String(error),
    );
  return { taskName, runId, status, why: told };
}

/** Whether all that the run waits for is the event that nobody publishes. */
async function isForNever(client: Client, { taskName, runId }: RunSummary): Promise<boolean> {
  const { state, cancelRequest, repairRequest } = await client.get(taskName, runId).view();
  if (cancelRequest !== undefined || repairRequest !== undefined || state.pending.size === 0)
    return false;
  return [...state.pending.values()].every(({ leaves }) =>
    leaves.every((leaf) => leaf.kind === "event" && leaf.name === "chaos.never"),
  );
}

async function resume(client: Client, operations: Operations, run: RunSummary): Promise<void> {
  const { taskName, runId } = run;
  await operations.record("repair", { taskName, runId, key: "resume" }, () =>
    client.get(taskName, runId).resume({ reason: "chaos is over" }),
  );
}
