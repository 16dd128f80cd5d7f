/** Waits until nothing moves any more: what was accepted has ended, or waits for what never comes. */

import type { DivergenceDetails } from "../../shared/divergence.ts";
import type { Client, RunSummary } from "../../shared/index.ts";
import { trueNow } from "./journal.ts";
import type { Operations } from "./operations.ts";
import { pause } from "./pause.ts";
import { NEVER } from "./plans.ts";

/** A run that neither ended nor waits for something that never comes. */
export interface StuckRun {
  readonly taskName: string;
  readonly runId: string;
  readonly status: string;
  readonly why: string;
}

const MOST_RUNS = 1_000_000;
const LOOK_EVERY_MS = 500;
/** What is due so late is not waited for. */
const LATE_MS = 600_000;
const ENDED: readonly string[] = ["completed", "failed", "canceled"];

/** How long to wait, and for whom not. */
export interface QuietOptions {
  readonly patienceMs: number;
  readonly isExcused: (run: RunSummary) => boolean;
  /** Whether nobody asks for anything more. */
  readonly isAsked: () => boolean;
}

/** What was found when patience was over, or before. */
export interface Quiet {
  readonly stuck: StuckRun[];
  readonly runs: readonly RunSummary[];
  /** When they were listed. */
  readonly listedAt: number;
  readonly tookMs: number;
}

/**
 * Waits for the ends of runs; paused ones are resumed, but for those that no code of ours can go on with.
 * @param isExcused Whether a run may stay as it is: somebody wrote into its history.
 */
export async function untilQuiet(
  client: Client,
  operations: Operations,
  { patienceMs, isExcused, isAsked }: QuietOptions,
): Promise<Quiet> {
  const startedAt = performance.now();
  const waitsForNever = new Set<string>();
  for (;;) {
    const listedAt = trueNow();
    const runs = await client.list({ limit: MOST_RUNS });
    const open = runs.filter(
      ({ status, runId }) => !ENDED.includes(status) && !waitsForNever.has(runId),
    );
    const left: RunSummary[] = [];
    for (const run of open) {
      if (run.status === "paused") {
        if (await isForGood(client, run)) continue;
        await resume(client, operations, run);
      }
      if (isExcused(run) && run.status !== "running") continue;
      if (run.status === "waiting" && (await isForNever(client, run, waitsForNever)))
        waitsForNever.add(run.runId);
      else left.push(run);
    }
    const tookMs = performance.now() - startedAt;
    if (left.length === 0 && isAsked()) return { stuck: [], runs, listedAt, tookMs };
    if (tookMs > patienceMs) {
      const stuck = await Promise.all(left.map((run) => explained(client, run)));
      return { stuck, runs, listedAt, tookMs };
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
      ({ sentence }) => sentence,
      () => "", // nobody says why
    );
  return { taskName, runId, status, why: told };
}

/** Whether nothing that the run waits for comes while the chaos run lasts. */
async function isForNever(
  client: Client,
  { taskName, runId }: RunSummary,
  known: ReadonlySet<string>,
): Promise<boolean> {
  const { state, cancelRequest, repairRequest } = await client.get(taskName, runId).view();
  if (cancelRequest !== undefined || repairRequest !== undefined || state.pending.size === 0)
    return false;
  const late = trueNow() + LATE_MS;
  return [...state.pending.values()].every(({ leaves }) =>
    leaves.every(
      (leaf) =>
        (leaf.kind === "event" && leaf.name === NEVER) ||
        (leaf.kind === "sleep" && leaf.dueAt > late) ||
        (leaf.kind === "child" && known.has(leaf.runId)),
    ),
  );
}

/** Whether it was told to stop in a step of changed code: that is in its history, and in no other code. */
async function isForGood(client: Client, { taskName, runId }: RunSummary): Promise<boolean> {
  const { state } = await client.get(taskName, runId).view();
  const { recorded } = (state.paused?.details ?? {}) as Partial<DivergenceDetails>;
  return recorded !== undefined && / changed /.test(recorded.key);
}

async function resume(client: Client, operations: Operations, run: RunSummary): Promise<void> {
  const { taskName, runId } = run;
  await operations.record("repair", { taskName, runId, key: "resume" }, () =>
    client.get(taskName, runId).resume({ reason: "chaos is over" }),
  );
}
