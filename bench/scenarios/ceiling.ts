/** The raw loops alone, so that a machine can be judged without us. */
import type { LoopOptions, LoopResult } from "../loops.ts";
import { type Scenario, takeTurns } from "../scenario.ts";
import { loopOptions, loopValues } from "./loop-passes.ts";

const LOOPS = [
  ["ceiling-noop-1", "loop", 1],
  ["ceiling-noop-256", "loop", 256],
  ["ceiling-steps-1", "stepsLoop", 1],
  ["ceiling-steps-64", "stepsLoop", 64],
  ["ceiling-publish-1", "publishLoop", 1],
  ["ceiling-publish-512", "publishLoop", 512],
  ["ceiling-js-publish-512", "officialLoop", 512],
] as const;

/** One scenario that gives a result for each raw loop. */
export const ceiling: Scenario = {
  name: "ceiling",
  work: "the raw loops alone; ceiling-js-publish is the official client's own publish",
  async run(bench) {
    const world = await bench.open({ rawKinds: ["start"] });
    for (const [name, call, concurrency] of LOOPS) {
      bench.say(name);
      const options = loopOptions(concurrency, bench.settings);
      const loop = (of: LoopOptions): Promise<LoopResult> => world.rawClient.call(call, of);
      const ours = async () => loopValues(await loop(options));
      bench.take(await takeTurns(bench, { ours }), name);
    }
  },
};
