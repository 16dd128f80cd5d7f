/**
 * `npm run chaos`: breaks everything that can break, on real servers, writes down what happened, and
 * judges it. Where it may have a network namespace of its own it goes on inside, in a process of the same
 * command. docs/chaos.md says what it does and how a run is judged. The exit code is 0 only when
 * every chaos run came to rest and every promise is known to have held.
 */
import { randomInt } from "node:crypto";
import { mkdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { Command, InvalidArgumentError, Option } from "commander";
import { findServer } from "../../engine/server/index.ts";
import { FAMILIES, type Family } from "./faults/fault.ts";
import { findEntrance, goOnInside, isInNamespace, type Network, openLoopback } from "./network.ts";
import { EMPTY_RULES } from "./packet-filter.ts";
import { commandOf, type Survival, survive, totalText } from "./survival.ts";
import type { TopologyName } from "./topology.ts";

interface Given {
  readonly topology: TopologyName;
  readonly minutes: number;
  readonly seconds?: number;
  readonly seed: string;
  readonly seeds: number;
  readonly faults: readonly Family[];
  readonly network: Network | "auto";
  readonly dir?: string;
  readonly patience: number;
}

const command = new Command("chaos")
  .description("Lets things go wrong for a while, heals them, and judges what is left.")
  .addOption(
    new Option("--topology <name>", "one server, or a cluster of three")
      .choices(["r1", "r3"])
      .default("r1"),
  )
  .option("--minutes <minutes>", "how long faults are injected", positive, 1)
  .option("--seconds <seconds>", "the same in seconds", positive)
  .option("--seed <seed>", "which schedule and which workload", String(randomInt(1_000_000)))
  .option("--seeds <count>", "so many chaos runs, each with a seed of its own", positive, 1)
  .addOption(
    new Option("--faults <families>", `some of ${FAMILIES.join(",")}`)
      .argParser(families)
      .default(FAMILIES, "all that a run is to survive"),
  )
  .addOption(
    new Option("--network <way>", "packets lost in a network namespace, or bytes held by proxies")
      .choices(["auto", "namespace", "proxies"])
      .default("auto", "a namespace where the machine allows one"),
  )
  .option("--dir <folder>", "where to write; by default a new folder for temporary files")
  .option("--patience <seconds>", "how long runs may take to end after the healing", positive, 120);

const given = command.parse().opts<Given>();
const { topology } = given;
const totalMs = Math.round((given.seconds ?? given.minutes * 60) * 1000);
const root = resolve(
  given.dir ?? join(tmpdir(), `contrail-chaos-${topology}-${given.seed}-${process.pid}`),
);
const startedAt = performance.now();
// Whoever started this wants it no more.
if (process.connected) process.once("disconnect", () => process.exit(1));
const isInside = isInNamespace();
const isTried = !isInside && given.network !== "proxies";
const { command: entrance, why } = isTried ? await findEntrance(EMPTY_RULES) : {};
if (why !== undefined) {
  const missing = `there is no network namespace to lose packets in: ${why}`;
  if (given.network === "namespace") fail(`No chaos: ${missing}.`);
  say(`Proxies make the partitions, as ${missing}.`);
}
// Inside there is nobody to fetch a server from.
const { binary } = await findServer({ report: say });
process.env["CONTRAIL_NATS_SERVER"] = binary;
if (entrance) {
  const same = ["--seed", given.seed, "--dir", root, "--network", "namespace"];
  process.exit(await goOnInside(entrance, [...process.argv.slice(1), ...same]));
}
if (isInside) await openLoopback();
const network = isInside ? "namespace" : "proxies";

const all: Survival[] = [];
for (let i = 0; i < given.seeds; i++) {
  const seed = i === 0 ? given.seed : `${given.seed}-${i + 1}`;
  const folder = given.seeds === 1 ? root : join(root, seed);
  mkdirSync(folder, { recursive: true });
  const options = { topology, totalMs, seed, families: given.faults, network, folder } as const;
  say(commandOf(options));
  const survival = await survive({ ...options, patienceMs: given.patience * 1000, tell: say });
  all.push(survival);
  process.stdout.write(`${survival.text}\n`);
  say(`${survival.hasSurvived ? "Survived" : "NOT survived"}: ${folder}`);
}
process.stdout.write(`${totalText(topology, all)}\n`);
process.exit(all.every(({ hasSurvived }) => hasSurvived) ? 0 : 1);

function say(text: string): void {
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
  process.stdout.write(`${seconds.padStart(7)} s  ${text}\n`);
}

function fail(text: string): never {
  process.stderr.write(`${text}\n`);
  process.exit(1);
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
