/** Runs that wait for an event each: from the event to the result. */
import type { PassValues } from "../measurement.ts";
import { distributionPlot } from "../report/plots.ts";
import { type Scenario, takeTurns } from "../scenario.ts";
import { scaled } from "../settings.ts";
import { ascending, percentile } from "../statistics.ts";
import { loopOptions, loopValues } from "./loop-passes.ts";
import { untilWaiting } from "./waiting.ts";

const ONE_BY_ONE = 200;
const AT_ONCE = 2_000;
const WAITERS = { tasks: ["approval"], rawKinds: ["ready"], rawMatcher: true } as const;

/** One event at a time. The ceiling is one awaited raw publish. */
export const eventOne: Scenario = {
  name: "event-1",
  work: `${ONE_BY_ONE} runs wait, each for its own event; publish to result, one at a time`,
  async run(bench) {
    const { settings } = bench;
    const world = await bench.open({ tasks: ["approval"] });
    const count = scaled(ONE_BY_ONE, settings);
    const all: number[] = [];
    const approve = async (): Promise<Float64Array> => {
      await world.client.call("startWaiting", { count });
      await untilWaiting(world, count);
      return world.client.call("approveEach");
    };
    const passes = await takeTurns(bench, {
      warmUp: [approve],
      ours: async () => {
        const times = await approve();
        for (const time of times) all.push(time);
        return latencies(times);
      },
      ceiling: async () => {
        const { throughput_per_s: _, ...values } = loopValues(
          await world.rawClient.call("publishLoop", loopOptions(1, settings)),
        );
        return values;
      },
    });
    bench.plot(
      distributionPlot("event to result", [{ label: "Contrail", sorted: ascending(all) }]),
    );
    bench.take(passes);
  },
};

/** All events at once. The ceiling makes the same writes: event, token, claim, end. */
export const eventMany: Scenario = {
  name: `event-${AT_ONCE}`,
  work: `${AT_ONCE} runs wait, each for its own event; all published at once`,
  async run(bench) {
    const world = await bench.open(WAITERS);
    const count = scaled(AT_ONCE, bench.settings);
    const values = (totalMs: number): PassValues => ({
      throughput_per_s: (count / totalMs) * 1_000,
      total_ms: totalMs,
    });
    const ours = async (): Promise<PassValues> => {
      await world.client.call("startWaiting", { count });
      await untilWaiting(world, count);
      return values(await world.client.call("approveAll"));
    };
    const ceiling = async (): Promise<PassValues> => {
      await world.rawClient.call("startWaiting", { count });
      return values(await world.rawClient.call("approveAll"));
    };
    bench.take(await takeTurns(bench, { warmUp: [ours, ceiling], ours, ceiling }));
  },
};

/** Times as metrics. */
export function latencies(times: Float64Array): PassValues {
  const sorted = ascending(times);
  return { latency_p50_ms: percentile(sorted, 0.5), latency_p99_ms: percentile(sorted, 0.99) };
}
