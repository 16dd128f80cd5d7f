/** Sleeping runs: how late they wake. */
import type { PassValues } from "../measurement.ts";
import { barPlot } from "../report/plots.ts";
import { type Scenario, takeTurns } from "../scenario.ts";
import { scaled } from "../settings.ts";
import { ascending, histogram, percentile } from "../statistics.ts";

const RUNS = 500;
const BAR_COUNT = 60;

/** Runs that sleep a random time between two, all started at once. */
export function sleep(name: string, fromMs: number, toMs: number): Scenario {
  const long = fromMs === toMs ? `${toMs / 1e3} s` : `${fromMs / 1e3} to ${toMs / 1e3} s at random`;
  return {
    name,
    work: `${RUNS} durable runs sleep ${long}; ceiling: the same with schedules and timers`,
    async run(bench) {
      const world = await bench.open({ tasks: ["sleeper"], rawKinds: ["nap", "ready"] });
      const sleeps = { count: scaled(RUNS, bench.settings), fromMs, toMs };
      const short = { count: sleeps.count, fromMs: 200, toMs: Math.min(fromMs, 1_500) };
      const all: number[] = [];
      const passes = await takeTurns(bench, {
        warmUp: [
          () => world.client.call("sleepAll", short),
          () => world.worker.call("takeLateness"),
          () => world.rawClient.call("sleepAll", short),
          () => world.rawWorker.call("takeLateness"),
        ],
        ours: async () => {
          await world.client.call("sleepAll", sleeps);
          const late = await world.worker.call("takeLateness");
          for (const one of late) all.push(one);
          return lateness(late, sleeps.count);
        },
        ceiling: async () => {
          await world.rawClient.call("sleepAll", sleeps);
          return lateness(await world.rawWorker.call("takeLateness"), sleeps.count);
        },
      });
      bench.plot(barPlot("lateness", histogram(all, BAR_COUNT)));
      bench.take(passes);
    },
  };
}

/** @throws {Error} When a run woke early, or not exactly once. */
function lateness(late: Float64Array, count: number): PassValues {
  const sorted = ascending(late);
  const earliest = sorted[0] ?? 0;
  if (earliest < 0) throw new Error(`A run woke ${-earliest} ms early.`);
  if (late.length !== count) throw new Error(`${late.length} wake-ups of ${count} runs.`);
  return { late_p50_ms: percentile(sorted, 0.5), late_p99_ms: percentile(sorted, 0.99) };
}
