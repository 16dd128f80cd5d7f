/**
 * `npm run simulate`: simulations for as long as one likes, each with a seed of its own. Whatever fails
 * prints the command that repeats it.
 */
import { Command } from "commander";

const { seeds, minutes } = new Command("simulate")
  .option("--seeds <count>", "so many of each kind at the most", Number, 1_000_000)
  .option("--minutes <minutes>", "so long at the most, all kinds together", Number, 10)
  .parse()
  .opts<{ readonly seeds: number; readonly minutes: number }>();
/** Places to die take two parts of the time, and each of three kinds of seeds takes one. */
const PARTS = 5;
process.env["CONTRAIL_SIMULATION_SEEDS"] = String(seeds);
process.env["CONTRAIL_SIMULATION_MS"] = String(Math.ceil((minutes * 60_000) / PARTS));
const file = "dist/test/shared/memory/simulation.test.js";
process.argv.splice(2, Number.POSITIVE_INFINITY, file, `--timeout=${Math.ceil(minutes) + 10}m`);
await import("../../run.ts");
