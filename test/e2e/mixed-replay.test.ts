import { randomInt } from "node:crypto";
import test, { type ExecutionContext } from "ava";
import { until } from "../helpers/until.ts";
import {
  checkHistory,
  checkQuiet,
  claims,
  forEachWorld,
  hasEngine,
  type TestProcess,
  type World,
} from "./harness/index.ts";
import { MISMATCH, mixed, randomFrom } from "./tasks/mixed.ts";

const tasksFile = new URL("./tasks/mixed.js", import.meta.url);
const RUNS = 30;
/** Waves of runs, one after the other, with so many kills each: a sixth could pause a run (rule 9). */
const WAVES = 3;
const KILLS_A_WAVE = 5;
const PLACES = [
  ...["before-step", "after-step", "before-commit", "after-commit", "before-claim", "after-claim"],
  ...["before-registration", "before-timer", "before-wait", "before-ack"],
] as const;

/** CONTRAIL_E2E_SEED=<number> repeats a run of this file that failed. */
const SEED = Number(process.env["CONTRAIL_E2E_SEED"] ?? randomInt(2 ** 31));

forEachWorld(test, (title, open) => {
  test(`${title}: runs that mix steps, sleeps, events and children under all and race see in every replay what they saw first, whenever their workers are killed`, async (t) => {
    t.log(`CONTRAIL_E2E_SEED=${SEED}`);
    const world = await open(t, { claimTimeoutMs: 1_500 });
    if (hasEngine) await world.startEngine();
    const random = randomFrom(SEED);
    let isOver = false;
    let published = 0;
    const publishing = until(
      async () => {
        await world.client.publish(`mixed.${published % 3}`, `event ${published}`);
        published++;
        return isOver;
      },
      { everyMs: 40, withinMs: 170_000 },
    );
    try {
      for (let wave = 0; wave < WAVES; wave++) await runWave(t, world, random, SEED + wave * RUNS);
    } finally {
      isOver = true;
    }
    await publishing;
    await world.startWorker({ tasksFile }); // for tokens whose runs have ended
    await checkQuiet(t, world);
    t.deepEqual(world.effects.read(undefined, MISMATCH), []);
  });
});

/** Starts runs, kills workers while they go on, and waits for their ends. */
async function runWave(
  t: ExecutionContext,
  world: World,
  random: () => number,
  seed: number,
): Promise<void> {
  const killer = new Killer(world, random);
  const runs = await Promise.all(
    Array.from({ length: RUNS }, (_, i) =>
      world.client.start(mixed, { seed: seed + i, withChildren: hasEngine }),
    ),
  );
  const killing = killer.run();
  const ends = Promise.all(runs.map((run) => world.result(run, 200_000)));
  for (const output of await ends.finally(() => killer.stop())) t.true(output.length > 0);
  await killing;
  const views = await Promise.all(runs.map((run) => world.endOf(run)));
  for (const view of views) checkHistory(t, view);
  const takeovers = views.flatMap(claims).filter((because) => because === "takeover");
  t.log(`${killer.kills} kills, ${takeovers.length} takeovers`);
}

/** Keeps two workers at work and has them killed at random places; in the end none is killed. */
class Killer {
  kills = 0;
  #doomed = 0;
  #isOver = false;
  readonly #world: World;
  readonly #random: () => number;
  readonly #alive = new Set<TestProcess>();

  constructor(world: World, random: () => number) {
    this.#world = world;
    this.#random = random;
  }

  /** Resolves when it was told to stop and its workers are gone. */
  async run(): Promise<void> {
    const keepOne = async (): Promise<void> => {
      while (!this.#isOver) {
        const worker = await this.#start();
        this.#alive.add(worker);
        if (this.#isOver) worker.kill();
        await worker.exited;
        this.#alive.delete(worker);
        if (!this.#isOver) this.kills++;
      }
    };
    await Promise.all([keepOne(), keepOne()]);
  }

  /** Ends its workers. */
  stop(): void {
    this.#isOver = true;
    for (const worker of this.#alive) worker.kill();
  }

  #start(): Promise<TestProcess> {
    const place = PLACES[Math.floor(this.#random() * PLACES.length)];
    const times = 2 + Math.floor(this.#random() * 12);
    const isDoomed = this.#doomed++ < KILLS_A_WAVE;
    const failpoints = isDoomed ? `${place}@${times}=kill` : "";
    const warmRuns = this.#random() < 0.5 ? 0 : 100;
    return this.#world.startWorker({ tasksFile, warmRuns, failpoints });
  }
}
