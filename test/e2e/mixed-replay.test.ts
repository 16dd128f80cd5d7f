import { randomInt } from "node:crypto";
import test from "ava";
import { until } from "../helpers/until.ts";
import {
  checkHistory,
  claims,
  forEachWorld,
  hasEngine,
  type TestProcess,
  type World,
} from "./harness/index.ts";
import { MISMATCH, mixed, randomFrom } from "./tasks/mixed.ts";

const tasksFile = new URL("./tasks/mixed.js", import.meta.url);
const RUNS = 24;
const KILLS = 10;
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
    const killer = new Killer(world, random);
    const runs = await Promise.all(
      Array.from({ length: RUNS }, (_, i) =>
        world.client.start(mixed, { seed: SEED + i, withChildren: hasEngine }),
      ),
    );
    let isOver = false;
    let published = 0;
    const publishing = until(
      async () => {
        await world.client.publish(`mixed.${published % 3}`, `event ${published}`);
        published++;
        return isOver;
      },
      { everyMs: 40, withinMs: 150_000 },
    );
    const killing = killer.run();
    const ends = Promise.all(runs.map((run) => world.result(run, 120_000)));
    for (const output of await ends.finally(() => killer.stop())) t.true(output.length > 0);
    isOver = true;
    await Promise.all([killing, publishing]);
    for (const run of runs) checkHistory(t, await world.endOf(run));
    t.deepEqual(world.effects.read(undefined, MISMATCH), []);
    const views = await Promise.all(runs.map((run) => world.endOf(run)));
    const takeovers = views.flatMap(claims).filter((because) => because === "takeover");
    t.log(`${killer.kills} kills, ${takeovers.length} takeovers, ${published} events`);
    t.true(takeovers.length > 0);
  });
});

/** Keeps two workers at work and has them killed at random places; in the end none is killed. */
class Killer {
  kills = 0;
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
    const times = 3 + Math.floor(this.#random() * 20);
    const failpoints = this.kills < KILLS ? `${place}@${times}=kill` : "";
    const warmRuns = this.#random() < 0.5 ? 0 : 100;
    return this.#world.startWorker({ tasksFile, warmRuns, failpoints });
  }
}
