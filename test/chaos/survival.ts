/** A chaos run with its judgment: whether everything held, and what to say of it. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { type ChaosOptions, type ChaosResult, chaos } from "./chaos.ts";
import { type Judge, judgeAll } from "./check/judgment.ts";
import { report } from "./check/report.ts";
import { type Recovery, recoveryOf, timesOf } from "./recovery.ts";
import type { TopologyName } from "./topology.ts";

/** What a chaos run came to, judged. */
export interface Survival {
  /** It came to its end, everything came to rest, and every promise is known to have held. */
  readonly hasSurvived: boolean;
  /** The judge's report, with what did not come to rest. */
  readonly text: string;
  readonly result: ChaosResult;
  /** Absent when it came to no end. */
  readonly judge?: Judge;
  readonly recovery?: Recovery;
}

/** The command that repeats a chaos run. */
export function commandOf(
  options: Pick<ChaosOptions, "topology" | "totalMs" | "seed" | "families" | "network">,
): string {
  const { topology, totalMs, seed, families, network } = options;
  return `npm run chaos -- --topology ${topology} --seconds ${totalMs / 1000} --seed ${seed} --faults ${families.join(",") || "none"} --network ${network}`;
}

/** Does one chaos run and judges what it has left. */
export async function survive(options: ChaosOptions): Promise<Survival> {
  const result = await chaos(options);
  const { folder } = options;
  const { ended, reason, isQuiet, stuck } = result;
  const lines = stuck.map(
    ({ taskName, runId, status, why }) =>
      `Stuck: ${taskName} ${runId} is ${status}: ${why || "nobody says why"}`,
  );
  if (reason !== undefined) lines.push(`It came to no end: ${reason}`);
  if (!existsSync(join(folder, "dump", "streams.json")))
    return { hasSurvived: false, text: lines.join("\n"), result };
  const judge = judgeAll(folder);
  const hasHeld = judge.verdicts().every(({ verdict }) => verdict === "held");
  const recovery = recoveryOf(folder);
  const text = [...lines, report(judge), recoveryText([recovery])].join("\n");
  return { hasSurvived: ended === "healed" && isQuiet && hasHeld, text, result, judge, recovery };
}

/** How long it took to recover, over some chaos runs. */
export function recoveryText(recoveries: readonly Recovery[]): string {
  const whose = { worker: "a worker", engine: "the leading engine", leader: "a stream's leader" };
  const kinds = Object.keys(whose) as (keyof Recovery)[];
  const lines = kinds.map((kind) => {
    const { count, p50, p99, worst } = timesOf(recoveries.flatMap((each) => each[kind]));
    if (count === 0) return `Recovery from the death of ${whose[kind]}: none died`;
    return `Recovery from the death of ${whose[kind]}: ${count} times, p50 ${p50} ms, p99 ${p99} ms, worst ${worst} ms`;
  });
  return lines.join("\n");
}

/** What several chaos runs came to together: runs, operations, faults of each kind, times to recover. */
export function totalText(topology: TopologyName, all: readonly Survival[]): string {
  const runs = all.reduce((sum, { judge }) => sum + (judge?.facts.runs.length ?? 0), 0);
  const operations = all.reduce(
    (sum, { judge }) => sum + (judge?.facts.evidence.told.length ?? 0),
    0,
  );
  const faults = new Map<string, number>();
  for (const { result } of all)
    for (const [kind, count] of Object.entries(result.faults))
      faults.set(kind, (faults.get(kind) ?? 0) + count);
  const counted = [...faults].toSorted().map(([kind, count]) => `${kind} ${count}`);
  const sum = [...faults.values()].reduce((before, count) => before + count, 0);
  const survived = all.filter(({ hasSurvived }) => hasSurvived).length;
  return [
    `${survived} of ${all.length} chaos runs on ${topology} were survived: ${runs} runs, ${operations} operations, ${sum} faults.`,
    `Faults: ${counted.join(", ")}`,
    recoveryText(all.flatMap(({ recovery }) => recovery ?? [])),
  ].join("\n");
}
