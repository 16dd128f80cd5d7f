/** Pauses a run whose code has parted from its history (P7). Nothing new was begun before. */
import {
  type DivergenceDetails,
  type DivergenceSide,
  divergenceReason,
  recordedSide,
} from "../shared/divergence.ts";
import { decodeCommit, type StoredCommit } from "../shared/entries.ts";
import type { RunState } from "../shared/run-state.ts";
import type { PassRun } from "./pass-run.ts";
import type { Divergence } from "./replay-cursor.ts";

/**
 * Records the divergence with both sides and gives the run up.
 * @param sourceOf Where the code asks for an operation now.
 */
export async function pauseDiverged(
  run: PassRun,
  divergence: Divergence,
  sourceOf: (key: string) => string | undefined,
): Promise<"paused" | "lost"> {
  const { address, services, committer } = run;
  const commits = await readHistory(run);
  const { kind, likelyCause } = divergence;
  const recorded =
    divergence.recorded === undefined ? undefined : recordedSide(commits, divergence.recorded);
  const asked = divergence.asked.map((key): DivergenceSide => {
    const source = sourceOf(key);
    return source === undefined ? { key } : { key, source };
  });
  const details: DivergenceDetails = {
    code: "replay-diverged",
    kind,
    ...(recorded ? { recorded } : {}),
    asked,
    likelyCause,
  };
  const reason = divergenceReason(address, details);
  services.log.error(reason, { ...address, ...details });
  committer.add({ kind: "paused", reason, details });
  const before = services.failpoint("before-commit");
  if (before) await before;
  if ((await committer.commit()) === "lost") return "lost";
  run.release();
  run.acknowledge();
  return "paused";
}

/** What tells that a run was durable, if its task is regular now. */
export function durableBefore(state: RunState): Divergence | undefined {
  const { steps, waits, children } = state;
  const [recorded] = [...steps, ...waits.keys(), ...children.keys()];
  if (recorded === undefined) return undefined;
  const likelyCause = "the task was durable when this was recorded and is regular now";
  return { kind: "different", recorded, asked: [], likelyCause };
}

async function readHistory(run: PassRun): Promise<StoredCommit[]> {
  const { services, stream, history, state } = run;
  const { reader } = services.link;
  const messages = await reader.readSubject(stream, history, state.beginning?.sequence);
  return messages.map(({ data, sequence }) => decodeCommit(data, sequence, history));
}
