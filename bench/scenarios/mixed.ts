/** Order fulfilment as it comes: random arrivals at a third of what the machine can do. */
import type { PassValues } from "../measurement.ts";
import { distributionPlot, type Series } from "../report/plots.ts";
import { type Bench, type Scenario, takeTurns } from "../scenario.ts";
import { ascending } from "../statistics.ts";
import type { World } from "../world.ts";
import { latencies } from "./event.ts";
import { loopOptions } from "./loop-passes.ts";

const SHARE_OF_CAPACITY = 0.3;
const CONCURRENCY = 64;
/** A pass is so many times as long as one of a loop. */
const PASS_FACTOR = 5;
const SAMPLE_EVERY_MS = 500;
const MEGABYTE = 1_048_576;

/** Order fulfilment: step, event, two children, sleep, step. */
export const mixed: Scenario = {
  name: "mixed",
  work: "order fulfilment, Poisson arrivals at 30% of capacity; start to first step",
  async run(bench) {
    const { settings, say } = bench;
    const world = await bench.open({
      tasks: ["fulfil", "noop"],
      rawKinds: ["start"],
      rawTimesStarts: true,
    });
    const capacity = await world.client.call("fulfilmentLoop", loopOptions(CONCURRENCY, settings));
    const perSecond = capacity * SHARE_OF_CAPACITY;
    say(`capacity ${capacity.toFixed(0)} runs/s, arrivals ${perSecond.toFixed(0)} runs/s`);
    const arrival = { perSecond, durationMs: settings.durationMs * PASS_FACTOR };
    const memory = new MemorySamples(world);
    await world.worker.call("takeStarts");
    const all: number[] = [];
    const passes = await takeTurns(bench, {
      ours: async () => {
        const started = await memory.during(() => world.client.call("fulfilments", arrival));
        const times = await world.worker.call("takeStarts");
        if (times.length < started) throw new Error(`${times.length} of ${started} runs began.`);
        for (const time of times) all.push(time);
        await memory.collect();
        return latencies(times);
      },
      ceiling: async () => {
        await world.rawClient.call("arrivals", arrival);
        return latencies(await world.rawWorker.call("takeStarts"));
      },
    });
    const growth: PassValues = { memory_growth_share: memory.growth() };
    const ours = passes.ours.map((pass, index) => (index === 0 ? { ...pass, ...growth } : pass));
    bench.take({ ours, ceiling: passes.ceiling });
    bench.plot(
      distributionPlot("start to first step", [{ label: "Contrail", sorted: ascending(all) }]),
    );
    memory.draw(bench);
  },
};

const PARTS = ["client", "worker", "engine"] as const;

/** The memory of our processes over all passes. */
class MemorySamples {
  readonly #world: World;
  readonly #samples: { [part in (typeof PARTS)[number] | "server"]: number[] } = {
    client: [],
    worker: [],
    engine: [],
    server: [],
  };
  readonly #held: { readonly worker: number[]; readonly engine: number[] } = {
    worker: [],
    engine: [],
  };

  constructor(world: World) {
    this.#world = world;
  }

  /** Takes samples until it is done. */
  async during<T>(act: () => Promise<T>): Promise<T> {
    const timer = setInterval(() => void this.#take().catch(() => {}), SAMPLE_EVERY_MS); // its call fails too
    try {
      return await act();
    } finally {
      clearInterval(timer);
    }
  }

  /** Notes what the engine and the worker hold after a collection of garbage. */
  async collect(): Promise<void> {
    for (const part of ["worker", "engine"] as const)
      this.#held[part].push((await this.#world[part].usage({ collect: true })).heapBytes);
  }

  /**
   * How much more they hold after the last pass than after the first, which fills the caches; NaN
   * after a single one.
   */
  growth(): number {
    const shares = Object.values(this.#held).map(([first = Number.NaN, ...others]) => {
      return (others.at(-1) ?? Number.NaN) / first - 1;
    });
    return Math.max(...shares);
  }

  draw(bench: Bench): void {
    const series: Series[] = Object.entries(this.#samples).map(([label, values]) => ({
      label,
      values: values.map((bytes) => (Number.isNaN(bytes) ? null : bytes / MEGABYTE)),
    }));
    bench.plot({
      title: "memory (heap of the Node processes, resident memory of the server)",
      kind: "line",
      xLabel: "s",
      yLabel: "MB",
      x: this.#samples.server.map((_, index) => (index * SAMPLE_EVERY_MS) / 1_000),
      series,
    });
  }

  async #take(): Promise<void> {
    const usages = await Promise.all(PARTS.map((part) => this.#world[part].usage()));
    PARTS.forEach((part, index) => {
      this.#samples[part].push(usages[index]?.heapBytes ?? Number.NaN);
    });
    this.#samples.server.push(this.#world.servers.rssBytes());
  }
}
