/** A regular task that returns its input. */
import type { Scenario } from "../scenario.ts";
import { loopPasses } from "./loop-passes.ts";

/** Closed loops from a start to its result. */
export function noop(concurrency: number): Scenario {
  return {
    name: `noop-${concurrency}`,
    work: `a regular task returns its 256 bytes; ${concurrency} at a time`,
    async run(bench) {
      const world = await bench.open({
        tasks: ["noop"],
        slots: { regular: Math.max(100, 2 * concurrency) },
        rawKinds: ["start"],
      });
      bench.take(
        await loopPasses(bench, world, {
          concurrency,
          ours: (options) => world.client.call("loop", { task: "noop", ...options }),
          ceiling: (options) => world.rawClient.call("loop", options),
        }),
      );
    },
  };
}
