/**
 * Real workers and engines over a server in memory, in virtual time. CONTRAIL_SIMULATION_SEEDS says
 * how many seeds of each kind, CONTRAIL_SIMULATION_MS for how long at the most, and
 * CONTRAIL_SIMULATION_SEED repeats one and shows what happened.
 */
import test, { type ExecutionContext } from "ava";
import { systemClock } from "../../../shared/clock.ts";
import { newId, seededRandom } from "../../../shared/ids.ts";
import type { FaultRates } from "../../../shared/memory/faults.ts";
import { sightings } from "./sightings.ts";
import { ENGINE_JOBS, type Job, type Play, playJobs, WORKER_JOBS } from "./simulation-jobs.ts";
import type { Begun } from "./simulation-tasks.ts";

const SEEDS = Number(process.env["CONTRAIL_SIMULATION_SEEDS"] ?? 150);
const FOR_MS = Number(process.env["CONTRAIL_SIMULATION_MS"] ?? 10_000);
/** There are some hundreds of places: on an idle machine this is enough for all of them. */
const PLACES_MS = 2 * FOR_MS;
const SEED = process.env["CONTRAIL_SIMULATION_SEED"];
/** So many seeds more have to come to every state of interest. */
const MORE_SEEDS = 200;
/** Jobs of one seed, chosen among all of them. */
const MOST_JOBS = 4;

const ALL_JOBS = [...WORKER_JOBS, ...ENGINE_JOBS];
const calm: FaultRates = { latencyMs: 2 };
const stormy: FaultRates = {
  ...{ conflict: 0.05, replyLost: 0.03, writeLost: 0.03, writeDelayed: 0.02, staleRead: 0.1 },
  ...{ countForgotten: 0.05, deliveredTwice: 0.05, answerLost: 0.05, answerDelayed: 0.05 },
  ...{ firingRepeated: 0.1, latencyMs: 5, slowMs: 800 },
};

/** Plays seeds of one kind, as many as there is time for. */
async function playSeeds(
  t: ExecutionContext,
  kind: string,
  play: (seed: string) => Promise<{ readonly deaths: number }>,
): Promise<void> {
  const until = systemClock.monotonic() + FOR_MS;
  const base = newId();
  let [played, deaths] = [0, 0];
  const most = SEED === undefined ? SEEDS : 1;
  for (; played < most && systemClock.monotonic() < until; played++) {
    const seed = SEED ?? `${kind}-${base}-${played}`;
    if (!seed.startsWith(`${kind}-`)) break;
    deaths += (await play(seed)).deaths;
  }
  t.log(`${played} seeds, ${deaths} deaths`);
  t.pass();
}

/** Some of the jobs, by the seed. */
function someOf(jobs: readonly Job[], seed: string): readonly Job[] {
  const random = seededRandom(`${seed} jobs`);
  const left = [...jobs];
  const count = 1 + Math.floor(random() * MOST_JOBS);
  return Array.from({ length: count }, () =>
    left.splice(Math.floor(random() * left.length), 1),
  ).flat();
}

test.serial("a run that sleeps for three days ends in moments", async (t) => {
  const plan = { seed: "sleep", workers: 1, engines: 0, faults: calm };
  const jobs = [{ taskName: "sleeper", input: 3 * 86_400_000, ends: [3] }];
  const played = await playJobs(t, { plan, jobs });
  t.true(played.virtualMs > 3 * 86_400_000);
  t.is(played.begun.length, 2);
});

test.serial("one seed comes to the same trace again, another one to another", async (t) => {
  const plan = { workers: 2, engines: 1, dies: 0.01, deaths: 4, faults: stormy, incidents: 0.3 };
  const play = (seed: string) => playJobs(t, { plan: { ...plan, seed }, jobs: ALL_JOBS });
  const [first, second, other] = [await play("same"), await play("same"), await play("other")];
  t.is(first.traceHash, second.traceHash);
  t.deepEqual(first.begun, second.begun);
  t.not(first.traceHash, other.traceHash);
});

test.serial("a run goes on rightly wherever a worker or an engine dies", async (t) => {
  const [, given, index, diesAt] = /^place-(.+)-(\d+)-(\d+)$/.exec(SEED ?? "") ?? [];
  const seed = given ?? newId();
  const places = given === undefined ? [] : [{ index: Number(index), diesAt: Number(diesAt) }];
  const playAt = (at: { readonly index: number; readonly diesAt: number }) => {
    const engines = at.index < WORKER_JOBS.length ? 0 : 1;
    const plan = { seed, workers: 2, engines, faults: calm, diesAt: at.diesAt };
    const jobs = ALL_JOBS.slice(at.index, at.index + 1);
    return playJobs(t, {
      name: `place-${seed}-${at.index}-${at.diesAt}`,
      plan,
      jobs,
      pauseMs: 100,
    });
  };
  if (SEED === undefined)
    for (const each of ALL_JOBS.keys()) {
      const { places: count } = await playAt({ index: each, diesAt: -1 });
      places.push(...Array.from({ length: count }, (_, place) => ({ index: each, diesAt: place })));
    }
  const count = places.length;
  const random = seededRandom(seed);
  const until = systemClock.monotonic() + PLACES_MS;
  while (places.length > 0 && systemClock.monotonic() < until) {
    const [at] = places.splice(Math.floor(random() * places.length), 1);
    if (at) t.deepEqual(storedOf(await playAt(at)), [], JSON.stringify(at));
  }
  t.log(`${count - places.length} of ${count} places`);
  t.pass();
});

test.serial("runs end rightly and stored steps are not begun again, whoever dies", (t) =>
  playSeeds(t, "deaths", async (seed) => {
    const plan = { seed, workers: 2, engines: 2, dies: 0.02, deaths: 6, faults: calm };
    const played = await playJobs(t, { plan, jobs: someOf(ALL_JOBS, seed) });
    t.deepEqual(storedOf(played), [], seed);
    return played;
  }),
);

test.serial("when everything goes wrong for a while, all runs end rightly afterwards", (t) =>
  playSeeds(t, "storm", (seed) => playJobs(t, storm(seed))),
);

test.serial("when everything goes wrong all the time, no run ends wrongly", (t) =>
  playSeeds(t, "endless", (seed) => {
    const { plan, ...play } = storm(seed);
    const forEver = { deaths: Number.POSITIVE_INFINITY, healsAfterMs: Number.POSITIVE_INFINITY };
    return playJobs(t, { ...play, plan: { ...plan, ...forEver }, isEndless: true });
  }),
);

test.serial("simulations come to every state that is of interest", async (t) => {
  const base = newId();
  // A busy machine has played few seeds so far: these go on until there is nothing missing.
  for (let i = 0; SEED === undefined && sightings.missing.length > 0 && i < MORE_SEEDS; i++)
    await playJobs(t, storm(`storm-${base}-${i}`));
  t.log([...sightings.counts].map(([state, count]) => `${count} times ${state}`).join("\n"));
  if (SEED === undefined) t.deepEqual(sightings.missing, []);
  else t.pass();
});

/** Processes die, and whatever else can go wrong does. */
function storm(seed: string): Play {
  const random = seededRandom(`${seed} storm`);
  const upTo = (most: number): number => 1 + Math.floor(random() * most);
  const plan = {
    ...{ seed, workers: upTo(3), engines: upTo(2), shards: upTo(2) },
    ...{ dies: random() < 0.5 ? 0.005 : 0.03, deaths: 8, incidents: random() * 0.6 },
    faults: {
      ...stormy,
      writeRepeated: random() < 0.5 ? 0.05 : 0,
      firingRefused: random() < 0.5 ? 0.6 : 0,
    },
  };
  return { plan, jobs: someOf(ALL_JOBS, seed) };
}

function storedOf({ begun }: { readonly begun: readonly Begun[] }): readonly Begun[] {
  return begun.filter(({ wasStored }) => wasStored);
}
