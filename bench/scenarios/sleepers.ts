/** Very many sleeping runs: what they cost, and how a wave of them wakes. */
import type { PassValues } from "../measurement.ts";
import { type Bench, type Scenario, takeTurns } from "../scenario.ts";
import { scaled } from "../settings.ts";
import type { World } from "../world.ts";
import { until } from "./waiting.ts";

const SLEEPERS = 100_000;
const MILLION = 1_000_000;
const WAVE = 10_000;
/** The runs of a wave have so many times as long to fall asleep as those before them took. */
const WAVE_PATIENCE = 4;
const SHORTEST_WAVE_MS = 5_000;
const FAR_AWAY_MS = 30 * 86_400_000;
/** The memory of a server that collects garbage comes down within this. */
const SETTLE_MS = 10_000;
const LOOK_EVERY_MS = 500;

/** Memory for each sleeper, then waves of them that become due within a second. */
export const sleepers: Scenario = {
  name: "sleepers",
  work: "100,000 sleeping durable runs (1,000,000 with --million); then 10,000 due within 1 s",
  async run(bench) {
    const world = await bench.open({ tasks: ["longSleeper"], rawKinds: ["start"] });
    const { values: memories, msEach } = await putToSleep(bench, world);
    bench.take({ ours: memories, ceiling: [] });
    const count = scaled(WAVE, bench.settings);
    const dueInMs = Math.max(SHORTEST_WAVE_MS, msEach * count * WAVE_PATIENCE);
    const values = (totalMs: number): PassValues => ({
      throughput_per_s: (count / totalMs) * 1_000,
      total_ms: totalMs,
    });
    const passes = await takeTurns(bench, {
      warmUp: [() => world.rawClient.call("burst", count)],
      ours: async () => values(await wave(world, count, dueInMs)),
      ceiling: async () => values(await world.rawClient.call("burst", count)),
    });
    bench.take(passes, "sleepers-wave");
  },
};

interface Memory {
  readonly server: number;
  readonly engine: number;
  readonly worker: number;
}

/** Puts them to sleep in as many parts as there are passes; each part gives one figure. */
async function putToSleep(
  bench: Bench,
  world: World,
): Promise<{ readonly values: PassValues[]; readonly msEach: number }> {
  const { settings, say } = bench;
  const total = scaled(settings.million ? MILLION : SLEEPERS, settings);
  const part = Math.ceil(total / settings.passes);
  const due = Date.now() + FAR_AWAY_MS;
  // What grows only once, such as buffers and compiled code, is not a sleeper's.
  await sleep(world, Math.ceil(part / 10), due);
  let before = await memory(world);
  const values: PassValues[] = [];
  let msEach = 0;
  for (let done = 0; done < total; done += part) {
    const startedAt = performance.now();
    await sleep(world, part, due);
    msEach = (performance.now() - startedAt) / part;
    const after = await memory(world);
    values.push({
      bytes_per_sleeper_server: (after.server - before.server) / part,
      bytes_per_sleeper_engine: (after.engine - before.engine) / part,
      bytes_per_sleeper_worker: (after.worker - before.worker) / part,
    });
    before = after;
    say(`${done + part} of ${total} asleep: ${JSON.stringify(values.at(-1))}`);
  }
  return { values, msEach };
}

/**
 * Milliseconds from when the first run of a wave is due until the last has ended.
 * @throws {Error} When they were due before all of them slept: the figure would be another.
 */
async function wave(world: World, count: number, dueInMs: number): Promise<number> {
  await world.worker.call("forgetAsleep");
  const first = await world.client.call("startWave", { count, dueInMs });
  await untilAsleep(world, count);
  if (Date.now() > first) throw new Error("The wave was due before all its runs slept.");
  await world.client.call("awaitStarted");
  return Date.now() - first;
}

async function sleep(world: World, count: number, due: number): Promise<void> {
  await world.client.call("startSleepers", { count, due });
  await untilAsleep(world, count);
  await world.worker.call("forgetAsleep"); // what the suite remembers is no worker's
}

/** Sleepers hold no slot. */
async function untilAsleep(world: World, count: number): Promise<void> {
  await until(`${count} runs sleep`, async () => {
    return (await world.worker.call("asleepCount")) >= count;
  });
  await untilNoSlotIsHeld(world);
}

/** @throws {Error} When slots are still held after ten minutes: sleepers must hold none. */
async function untilNoSlotIsHeld(world: World): Promise<void> {
  await until("no slot is held", async () => (await world.client.call("heldDurableSlots")) === 0);
}

/** The least that is held within some seconds, after collections of garbage. */
async function memory({ servers, engine, worker }: World): Promise<Memory> {
  let least = Number.POSITIVE_INFINITY;
  for (let waited = 0; waited < SETTLE_MS; waited += LOOK_EVERY_MS) {
    least = Math.min(least, servers.rssBytes());
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
  }
  const held = async (child: World["engine"] | World["worker"]): Promise<number> => {
    const { heapBytes, externalBytes } = await child.usage({ collect: true });
    return heapBytes + externalBytes;
  };
  return { server: least, engine: await held(engine), worker: await held(worker) };
}
