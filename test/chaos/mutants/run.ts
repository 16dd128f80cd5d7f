/**
 * `npm run chaos:mutants [NAME...]`: plants one bug after the other in a copy of the build, lets a short
 * chaos run lead into it, and shows what the judge says. `none` is the product as it is: the judge must
 * find nothing. The exit code is 0 only when every bug is found, by a rule that it breaks. docs/chaos.md
 * has the table.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildMutant, PRODUCT } from "../../mutants/mutant.ts";
import { judgeAll } from "../check/judgment.ts";
import { PLACES_VARIABLE } from "../faults/failpoints.ts";
import { PLANTED_BUGS, type PlantedBug } from "./chaos-mutants.ts";

const SECONDS = 12;
/** Long enough for a busy machine, or the wrong rules would seem to be broken. */
const PATIENCE = 20;
/** A bug may need luck: so many seeds are tried before it has got away. */
const SEEDS = 6;

const asked = process.argv.slice(2);
const isVerbose = asked.includes("--verbose");
const names = asked.filter((name) => !name.startsWith("-"));
const bugs = PLANTED_BUGS.filter(({ name }) => names.length === 0 || names.includes(name));
const scratch = mkdtempSync(join(tmpdir(), "contrail-chaos-mutants-"));
process.once("exit", () => rmSync(scratch, { recursive: true, force: true }));
say("| Bug | Rule | Faults | Violated | Seeds | Seconds |");
say("| --- | --- | --- | --- | --- | --- |");
let escaped = 0;
if (names.length === 0 || names.includes("none")) await control();
for (const bug of bugs) {
  const startedAt = performance.now();
  const { violated, seeds } = await hunt(bug);
  const isFound = isFor(bug, violated);
  if (!isFound) escaped++;
  const seconds = Math.round((performance.now() - startedAt) / 1_000);
  const faults = [...(bug.topology ? [bug.topology] : []), ...bug.faults].join(", ");
  const found = violated.join(", ") || "nothing";
  const told = isFound ? found : `**${found}**`;
  say(`| \`${bug.name}\` | ${bug.rule} | ${faults} | ${told} | ${seeds} | ${seconds} |`);
}
say(`${bugs.length - escaped} of ${bugs.length} bugs were found.`);
process.exitCode = escaped === 0 ? 0 : 1;

/** Nothing is found where nothing is planted. */
async function control(): Promise<void> {
  const violated = await judged(PRODUCT, { name: "none", faults: ["kill"] }, 1);
  if (violated.length > 0) escaped++;
  say(`| none | | kill | ${violated.join(", ") || "nothing"} | 1 | |`);
}

/** Whether what is violated is what the bug breaks. */
function isFor({ shows }: PlantedBug, violated: readonly string[]): boolean {
  return shows.some((rule) => violated.includes(rule));
}

/** Tries seeds until the judge finds something. */
async function hunt(bug: PlantedBug): Promise<{ violated: string[]; seeds: number }> {
  const folder = buildMutant(bug);
  for (const part of ["chaos", "helpers"])
    cpSync(join(PRODUCT, "test", part), join(folder, "test", part), { recursive: true });
  cpSync(join(PRODUCT, "..", "package.json"), join(folder, "package.json"));
  const first = bug.seed ?? 1;
  for (let seed = first; ; seed++) {
    const violated = await judged(folder, bug, seed);
    if (isFor(bug, violated) || seed - first === SEEDS - 1)
      return { violated, seeds: seed - first + 1 };
  }
}

async function judged(
  folder: string,
  bug: Pick<PlantedBug, "name" | "faults" | "places" | "topology" | "seconds">,
  seed: number,
): Promise<string[]> {
  const directory = join(scratch, `${bug.name}-${seed}`);
  const options = {
    ...{ topology: bug.topology ?? "r1", seconds: bug.seconds ?? SECONDS, seed },
    ...{ faults: bug.faults.join(","), patience: PATIENCE, dir: directory },
  };
  const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, `${value}`]);
  const runner = spawn(process.execPath, [join(folder, "test", "chaos", "run.js"), ...args], {
    env: { ...process.env, [PLACES_VARIABLE]: bug.places?.join(",") ?? "" },
    stdio: ["ignore", isVerbose ? "inherit" : "ignore", "inherit"],
  });
  await once(runner, "exit");
  const judge = judgeAll(directory);
  rmSync(directory, { recursive: true, force: true });
  const found = judge.verdicts().filter(({ verdict }) => verdict === "violated");
  const { ended, reason } = judge.facts.evidence.summary;
  if (ended === "healed") return found.map(({ rule }) => rule);
  say(`The chaos run of ${bug.name} came to no end: ${reason?.split("\n")[0]}`);
  return [];
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}
