/**
 * `npm run chaos`: breaks everything that can break, on real servers, and writes down what happened.
 * docs/chaos.md says what it does and how a run is judged.
 */
import { randomInt } from "node:crypto";
import { mkdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { Command, InvalidArgumentError, Option } from "commander";
import { chaos } from "./chaos.ts";
import { FAMILIES, type Family } from "./faults/fault.ts";
import type { TopologyName } from "./topology.ts";

interface Given {
  readonly topology: TopologyName;
  readonly minutes: number;
  readonly seconds?: number;
  readonly seed: string;
  readonly faults: readonly Family[];
  readonly dir?: string;
  readonly patience: number;
}

const command = new Command("chaos")
  .description("Lets things go wrong for a while, heals them, and dumps what is left.")
  .addOption(
    new Option("--topology <name>", "one server, or a cluster of three")
      .choices(["r1", "r3"])
      .default("r1"),
  )
  .option("--minutes <minutes>", "how long faults are injected", positive, 1)
  .option("--seconds <seconds>", "the same in seconds", positive)
  .option("--seed <seed>", "which schedule and which workload", String(randomInt(1_000_000)))
  .addOption(
    new Option("--faults <families>", `some of ${FAMILIES.join(",")}`)
      .argParser(families)
      .default(FAMILIES, "all that a run is to survive"),
  )
  .option("--dir <folder>", "where to write; by default a new folder for temporary files")
  .option("--patience <seconds>", "how long runs may take to end after the healing", positive, 120);

const given = command.parse().opts<Given>();
const { topology, seed, faults } = given;
const totalMs = Math.round((given.seconds ?? given.minutes * 60) * 1000);
const folder = resolve(
  given.dir ?? join(tmpdir(), `contrail-chaos-${topology}-${seed}-${process.pid}`),
);
mkdirSync(folder, { recursive: true });
const startedAt = performance.now();
const replay = `npm run chaos -- --topology ${topology} --seconds ${totalMs / 1000} --seed ${seed} --faults ${faults.join(",") || "none"}`;
say(replay);
const result = await chaos({
  ...{ topology, totalMs, seed, families: faults, folder, patienceMs: given.patience * 1000 },
  tell: say,
});
for (const { taskName, runId, status, why } of result.stuck)
  say(`Stuck: ${taskName} ${runId} is ${status}: ${why}`);
if (result.reason !== undefined) say(result.reason);
say(`${result.ended}, ${result.isQuiet ? "quiet" : "NOT quiet"}: ${folder}`);
process.exit(result.ended === "healed" && result.isQuiet ? 0 : 1);

function say(text: string): void {
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
  process.stdout.write(`${seconds.padStart(7)} s  ${text}\n`);
}

function positive(text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new InvalidArgumentError("Expected a number above 0.");
  return value;
}

function families(text: string): Family[] {
  if (text === "" || text === "none") return [];
  return text.split(",").map((name) => {
    const family = FAMILIES.find((known) => known === name.trim());
    if (!family) throw new InvalidArgumentError(`Expected some of ${FAMILIES.join(", ")}.`);
    return family;
  });
}
