/** Scenarios that are closed loops, ours beside a ceiling's. */
import type { LoopOptions, LoopResult } from "../loops.ts";
import type { Passes, PassValues } from "../measurement.ts";
import { distributionPlot, throughputPlot } from "../report/plots.ts";
import { type Bench, cpuPerRun, takeTurns } from "../scenario.ts";
import type { Settings } from "../settings.ts";
import { ascending, percentile } from "../statistics.ts";
import type { World } from "../world.ts";

/** A loop of one side. */
export type Loop = (options: LoopOptions) => Promise<LoopResult>;

/** Warm-up as a share of what is measured. */
const WARM_UP_SHARE = 1 / 3;

/** Closed loops for so long as the settings say. */
export function loopOptions(concurrency: number, { durationMs }: Settings): LoopOptions {
  return { concurrency, durationMs, warmUpMs: durationMs * WARM_UP_SHARE };
}

/** What loops came to, as metrics. */
export function loopValues({ latenciesMs, perSecond }: LoopResult): PassValues {
  const sorted = ascending(latenciesMs);
  return {
    latency_p50_ms: percentile(sorted, 0.5),
    latency_p99_ms: percentile(sorted, 0.99),
    throughput_per_s: perSecond,
  };
}

/** Takes the passes of a loop and its ceiling in turn, with their CPU, and draws them. */
export async function loopPasses(
  bench: Bench,
  world: World,
  sides: { readonly concurrency: number; readonly ours: Loop; readonly ceiling: Loop },
): Promise<Passes> {
  const options = loopOptions(sides.concurrency, bench.settings);
  const results: { ours: LoopResult[]; ceiling: LoopResult[] } = { ours: [], ceiling: [] };
  const pass = async (side: "ours" | "ceiling"): Promise<PassValues> => {
    const { value, cpu } = await world.measureCpu(world[side], () => sides[side](options));
    results[side].push(value);
    return { ...loopValues(value), ...cpuPerRun(cpu, value.total) };
  };
  const passes = await takeTurns(bench, {
    ours: () => pass("ours"),
    ceiling: () => pass("ceiling"),
  });
  const all = (list: readonly LoopResult[]): Float64Array =>
    ascending(list.flatMap(({ latenciesMs }) => [...latenciesMs]));
  bench.plot(
    distributionPlot("latency", [
      { label: "Contrail", sorted: all(results.ours) },
      { label: "ceiling", sorted: all(results.ceiling) },
    ]),
  );
  bench.plot(
    throughputPlot([
      { label: "Contrail", tenths: results.ours.flatMap(({ tenths }) => tenths) },
      { label: "ceiling", tenths: results.ceiling.flatMap(({ tenths }) => tenths) },
    ]),
  );
  return passes;
}
