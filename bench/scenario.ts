/** What a scenario is, and how its passes take turns. */
import type { Measurement, Passes, PassValues } from "./measurement.ts";
import type { Plot } from "./report/plots.ts";
import type { Settings } from "./settings.ts";
import type { CpuUse, Needs, World } from "./world.ts";

/** What a scenario works with. */
export interface Bench {
  readonly settings: Settings;
  /** Starts the processes; the scenario is handed them and they end with it. */
  open(needs: Omit<Needs, "scenario">): Promise<World>;
  /** Tells people how far it is. */
  say(line: string): void;
  /** Keeps a picture for the report. */
  plot(plot: Omit<Plot, "scenario">): void;
  /** Takes the passes of a scenario, by its own name or, with a suffix, one beside it. */
  take(passes: Passes, name?: string): void;
}

/** A scenario of the suite. */
export interface Scenario {
  /** With its concurrency or its size, such as `noop-256`. */
  readonly name: string;
  /** What is done, in half a sentence. */
  readonly work: string;
  run(bench: Bench): Promise<void>;
}

/** What the suite gives. */
export interface SuiteResult {
  readonly measurements: readonly Measurement[];
  readonly plots: readonly Plot[];
}

/**
 * Lets the two sides take turns, in changing order, so that neither has the better part of the
 * machine's moods.
 */
export async function takeTurns(
  { settings, say }: Pick<Bench, "settings" | "say">,
  sides: {
    readonly ours: () => Promise<PassValues>;
    readonly ceiling?: () => Promise<PassValues>;
    /** What comes before the first pass, so that it finds compiled code and filled caches. */
    readonly warmUp?: readonly (() => Promise<unknown>)[];
  },
): Promise<Passes> {
  for (const warmUp of sides.warmUp ?? []) await warmUp();
  const ours: PassValues[] = [];
  const ceiling: PassValues[] = [];
  for (let pass = 0; pass < settings.passes; pass++) {
    const first = async (): Promise<void> => {
      ours.push(await sides.ours());
      say(`pass ${pass + 1} of ${settings.passes}: ${describe(ours.at(-1) ?? {})}`);
    };
    const second = async (): Promise<void> => {
      if (!sides.ceiling) return;
      ceiling.push(await sides.ceiling());
      say(`ceiling ${pass + 1} of ${settings.passes}: ${describe(ceiling.at(-1) ?? {})}`);
    };
    const turns = pass % 2 === 0 ? [first, second] : [second, first];
    for (const turn of turns) await turn();
  }
  return { ours, ceiling };
}

/** CPU of each part for one run, as metrics. What could not be seen is left out. */
export function cpuPerRun(cpu: CpuUse, runs: number): PassValues {
  return {
    cpu_us_client: cpu.client / runs,
    cpu_us_worker: cpu.worker / runs,
    cpu_us_engine: cpu.engine / runs,
    cpu_us_server: cpu.server / runs,
  };
}

function describe(values: PassValues): string {
  return Object.entries(values)
    .map(([metric, value]) => `${metric} ${Number(value?.toPrecision(4))}`)
    .join(", ");
}
