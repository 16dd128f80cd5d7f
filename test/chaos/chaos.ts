/** One chaos run: opens a world, lets things go wrong in it, heals it, and writes down what is left. */
import { mkdirSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { connect } from "../../shared/index.ts";
import { type LeaseRecord, readLeases } from "../../shared/leases.ts";
import { until } from "../helpers/until.ts";
import { countsOf } from "./counts.ts";
import { dumpConsumers, dumpStreams } from "./dump.ts";
import { examsOf } from "./exams.ts";
import type { Family } from "./faults/fault.ts";
import { faultKinds } from "./faults/index.ts";
import { Injector } from "./injector.ts";
import { trueNow } from "./journal.ts";
import { CHAOS_USER } from "./nats-server.ts";
import type { Network } from "./network.ts";
import { Operations } from "./operations.ts";
import { explained, type Quiet, untilQuiet } from "./quiet.ts";
import { Recorder } from "./recorder.ts";
import { recoveryOf } from "./recovery.ts";
import { scheduleOf } from "./schedule.ts";
import { SETTINGS } from "./settings.ts";
import type { TopologyName } from "./topology.ts";
import { World } from "./world.ts";

/** What a chaos run is told. */
export interface ChaosOptions {
  readonly topology: TopologyName;
  readonly totalMs: number;
  readonly seed: string;
  readonly families: readonly Family[];
  /** Who makes partitions. */
  readonly network: Network;
  readonly folder: string;
  /** So long it waits for runs to end after everything was healed. */
  readonly patienceMs: number;
  /** Where it tells what happens. */
  tell(text: string): void;
}

/** What a chaos run came to. */
export interface ChaosResult {
  readonly ended: "healed" | "aborted";
  readonly reason?: string;
  readonly isQuiet: boolean;
  readonly stuck: Quiet["stuck"];
  /** Runs by status, faults by kind. */
  readonly runs: Readonly<Record<string, number>>;
  readonly faults: Readonly<Record<string, number>>;
  /** Faults that could not be done, by kind. */
  readonly notDone: Readonly<Record<string, number>>;
}

const MAKERS: { readonly [N in Network]: string } = {
  namespace: "losing packets, in a network namespace of this run's own",
  proxies: "proxies between processes, which hold bytes back",
};

/** Does one chaos run, and leaves its files in the folder. */
export async function chaos(options: ChaosOptions): Promise<ChaosResult> {
  const { folder, topology, network, seed, families, totalMs, tell } = options;
  for (const name of ["logs", "dump"]) mkdirSync(join(folder, name), { recursive: true });
  const { namespace, ...settings } = SETTINGS;
  const head = {
    ...{ version: 1, seed, topology, minutes: totalMs / 60_000, faults: families, namespace },
    network,
    ...{ startedAt: trueNow(), versions: { node: process.version } as object },
    settings: { ...settings, replicas: topology === "r1" ? 1 : 3 },
    clockOffsets: {} as Record<string, number>,
  };
  let world: World | undefined;
  let result: ChaosResult;
  const told: object[] = [];
  try {
    world = await World.open({
      ...{ folder, seed, topology, network, hasSmallDisks: families.includes("disk") },
      hasWrongClocks: families.includes("clock"),
    });
    if (families.includes("disk") && world.topology.disks.size === 0)
      tell("No small disk: this process may not mount any, so no disk gets full.");
    tell(`Partitions are made by ${MAKERS[network]}.`);
    head.versions = { ...head.versions, server: world.link.serverVersion };
    for (const lane of world.lanes) head.clockOffsets[lane.name] = lane.clockOffsetMs;
    tell(`The world is open: ${topology}, ${folder}`);
    result = await disturb(world, options, (facts) => void told.push(facts));
  } catch (error) {
    const reason = error instanceof Error ? (error.stack ?? error.message) : String(error);
    result = {
      ended: "aborted",
      reason,
      isQuiet: false,
      stuck: [],
      runs: {},
      faults: {},
      notDone: {},
    };
  } finally {
    const dropped = await world?.topology.dropped().catch(() => undefined);
    if (dropped) told.push({ droppedPackets: dropped });
    await world?.close();
  }
  const { ended, reason, isQuiet, stuck, runs, faults, notDone } = result;
  const counts = { runs, faults, notDone, ...countsOf(folder) };
  const recovery = ended === "healed" ? recoveryOf(folder) : undefined;
  const rest = { endedAt: trueNow(), ended, reason, quiet: isQuiet, stuck, counts, recovery };
  const whole = Object.assign({}, head, rest, ...told) as object;
  writeFileSync(join(folder, "run.json"), JSON.stringify(whole, undefined, 1));
  // What a disk that could not be taken out still holds is no reason to lose the result.
  await rm(join(folder, "stores"), { recursive: true, force: true }).catch(() => {});
  return result;
}

async function disturb(
  world: World,
  { topology, seed, families, totalMs, patienceMs, tell }: ChaosOptions,
  note: (facts: object) => void,
): Promise<ChaosResult> {
  const { folder, link } = world;
  const recorder = new Recorder(link, world.names, folder);
  await world.start();
  const injector = new Injector(world, tell);
  await injector.run(scheduleOf({ seed, topology, totalMs, families, kinds: faultKinds }), totalMs);
  tell("Healing.");
  await world.heal();
  await injector.examine(examsOf(families));
  await world.heal();
  note({ healedAt: trueNow() });
  const clients = world.lanes.filter(({ role }) => role === "client");
  for (const lane of clients) {
    lane.isWanted = false;
    lane.life?.send({ finish: true });
  }
  const access = { ...CHAOS_USER, servers: world.topology.urls, name: "runner" };
  const client = await until(() => connect(access), { withinMs: 30_000, what: "a connection" });
  const operations = new Operations(folder, "runner");
  const quiet = await untilQuiet(client, operations, {
    ...{ patienceMs, isExcused: ({ runId }) => world.excused.has(runId) },
    isAsked: () => clients.every(({ life }) => !life?.isRunning()),
  });
  note({ listedAt: quiet.listedAt });
  tell(`Quiet after ${Math.round(quiet.tookMs)} ms, ${quiet.stuck.length} runs are stuck.`);
  await recorder.close();
  await dumpConsumers(link, folder, "consumers.json");
  for (const { life } of clients) life?.send({ giveUp: true });
  await world.end("client", 2_000);
  await world.end("worker");
  await world.end("engine");
  const runs: Record<string, number> = {};
  const listed: unknown[] = [];
  for (const run of quiet.runs) {
    runs[run.status] = (runs[run.status] ?? 0) + 1;
    const { taskName, runId, status, startedAt, changedAt, isChild } = run;
    const isOpen = !["completed", "failed", "canceled"].includes(status);
    const why = isOpen ? { why: (await explained(client, run)).why } : {};
    listed.push({ taskName, runId, status, startedAt, changedAt, isChild, ...why });
  }
  await client.close();
  writeFileSync(join(folder, "dump", "runs.json"), JSON.stringify(listed, undefined, 1));
  await dumpHeldSlots(world);
  await dumpConsumers(link, folder, "consumers-closed.json");
  await dumpStreams(link, folder);
  const { stuck } = quiet;
  const faults = Object.fromEntries(injector.counts);
  const notDone = Object.fromEntries(injector.failures);
  return { ended: "healed", isQuiet: stuck.length === 0, stuck, runs, faults, notDone };
}

/** What `contrail slots` shows when all workers are gone: nothing, as soon as their records may be over. */
async function dumpHeldSlots({ link, names, folder }: World): Promise<void> {
  let leases: readonly LeaseRecord[] = [];
  const read = async (): Promise<boolean> => {
    leases = await readLeases(link, names);
    return leases.length === 0;
  };
  await until(read, { withinMs: 3_000, what: "no slots are held" }).catch(() => {});
  writeFileSync(join(folder, "dump", "slots.json"), JSON.stringify(leases, undefined, 1));
}
