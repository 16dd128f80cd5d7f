/** One parent and many children that do nothing. */
import type { LoopResult } from "../loops.ts";
import type { PassValues } from "../measurement.ts";
import { type Scenario, takeTurns } from "../scenario.ts";
import { scaled } from "../settings.ts";
import type { Parent } from "../tasks.ts";
import { loopOptions } from "./loop-passes.ts";

const SLOTS = { regular: 512, durable: 1 };
const CONCURRENCY = 256;

/** One parent in one durable slot; the ceiling starts as many runs at once from a client. */
export function fanout(name: string, size: number, how: Parent["how"]): Scenario {
  const call = how === "list" ? "one call" : "Promise.all over single calls";
  return {
    name,
    work: `one parent, ${size.toLocaleString("en-US")} noop children awaited by ${call}, 1 durable slot`,
    async run(bench) {
      const world = await bench.open({
        tasks: ["parent", "noop"],
        slots: SLOTS,
        rawKinds: ["start"],
      });
      const children = scaled(size, bench.settings);
      const values = (totalMs: number): PassValues => ({
        throughput_per_s: (children / totalMs) * 1_000,
        total_ms: totalMs,
      });
      const besides: PassValues[] = [];
      const loop = (): Promise<LoopResult> =>
        world.client.call("loop", {
          task: "noop",
          ...loopOptions(CONCURRENCY, bench.settings),
        });
      const passes = await takeTurns(bench, {
        warmUp: [
          loop,
          () => world.client.call("runParent", { children: Math.min(children, 1_000), how }),
          () => world.rawClient.call("burst", children),
        ],
        ours: async () => {
          besides.push({ throughput_per_s: (await loop()).perSecond });
          const { totalMs, claims } = await world.client.call("runParent", { children, how });
          return { ...values(totalMs), claims };
        },
        ceiling: async () => values(await world.rawClient.call("burst", children)),
      });
      bench.take(passes);
      bench.take({ ours: besides, ceiling: [] }, `${name}-noop`);
    },
  };
}
