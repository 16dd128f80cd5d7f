/** A durable task of ten steps in a row. */
import type { PassValues } from "../measurement.ts";
import type { Scenario } from "../scenario.ts";
import { loopPasses } from "./loop-passes.ts";

const STEP_COUNT = 10;

/** Closed loops from a start to its result; the ceiling makes the same twelve guarded writes. */
export function steps(concurrency: number): Scenario {
  return {
    name: `steps-${concurrency}`,
    work: `a durable task, 10 steps of 100 bytes in a row; ${concurrency} at a time`,
    async run(bench) {
      const world = await bench.open({ tasks: ["steps"] });
      const passes = await loopPasses(bench, world, {
        concurrency,
        ours: (options) => world.client.call("loop", { task: "steps", ...options }),
        ceiling: (options) => world.rawClient.call("stepsLoop", options),
      });
      const withSteps = (pass: PassValues): PassValues => ({
        ...pass,
        steps_per_s: (pass.throughput_per_s ?? Number.NaN) * STEP_COUNT,
      });
      bench.take({ ours: passes.ours.map(withSteps), ceiling: passes.ceiling.map(withSteps) });
    },
  };
}
