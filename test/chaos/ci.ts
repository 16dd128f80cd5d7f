/**
 * `npm run chaos:ci`: one chaos run on one server and one on three, with a fresh seed that is printed,
 * each judged at once. The last line counts. The exit code is 1 when a promise was violated.
 */
import { randomInt } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Command } from "commander";
import { chaos } from "./chaos.ts";
import { judgeOf } from "./check/judge.ts";
import { report } from "./check/report.ts";
import { judgeRuns } from "./check/runs.ts";
import { judgeWhole } from "./check/whole.ts";
import { FAMILIES } from "./faults/fault.ts";
import type { TopologyName } from "./topology.ts";

const command = new Command("chaos:ci")
  .option("--seed <seed>", "default: a new one", String(randomInt(1_000_000)))
  .option("--r1-seconds <seconds>", "how long on one server; 0 leaves it out", Number, 60)
  .option("--r3-seconds <seconds>", "how long on three servers; 0 leaves it out", Number, 120)
  .option("--patience <seconds>", "how long runs may take to end after the healing", Number, 180);
const { seed, r1Seconds, r3Seconds, patience } = command.parse().opts<{
  readonly seed: string;
  readonly r1Seconds: number;
  readonly r3Seconds: number;
  readonly patience: number;
}>();

let passed = 0;
let failed = 0;
const planned = [
  ["r1", r1Seconds],
  ["r3", r3Seconds],
] as const;
for (const [topology, seconds] of planned) {
  if (!(seconds > 0)) continue;
  if (await survives(topology, seconds)) passed++;
  else failed++;
}
say(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);

/** Whether nothing was violated and everything came to rest. What is not known is only told. */
async function survives(topology: TopologyName, seconds: number): Promise<boolean> {
  const folder = mkdtempSync(join(tmpdir(), `contrail-chaos-${topology}-${seed}-`));
  say(`npm run chaos -- --topology ${topology} --seconds ${seconds} --seed ${seed}`);
  const { ended, isQuiet, reason } = await chaos({
    ...{ topology, totalMs: seconds * 1000, seed, families: FAMILIES, folder },
    ...{ patienceMs: patience * 1000, tell: say },
  });
  if (ended === "aborted") {
    say(`The chaos run came to no end: ${reason} Its files are in ${folder}.`);
    return false;
  }
  const judge = judgeOf(folder);
  judgeRuns(judge);
  judgeWhole(judge);
  say(report(judge));
  const isViolated = judge.verdicts().some(({ verdict }) => verdict === "violated");
  if (isViolated || !isQuiet) {
    say(`${isViolated ? "Violated" : "Not quiet"}. What is left is in ${folder}.`);
    return false;
  }
  rmSync(folder, { recursive: true, force: true });
  return true;
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}
