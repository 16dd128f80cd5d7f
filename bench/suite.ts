/** Runs scenarios one after another. */
import { readFileSync } from "node:fs";
import { cpus, loadavg, release, totalmem, type } from "node:os";
import { VERSION } from "../engine/index.ts";
import { type Circumstances, type Measurement, measurementsOf } from "./measurement.ts";
import type { Plot } from "./report/plots.ts";
import type { Bench, Scenario, SuiteResult } from "./scenario.ts";
import type { Settings } from "./settings.ts";
import { World } from "./world.ts";

/** Who hears of what happens. */
export interface Listeners {
  /** Progress, for people. */
  readonly say: (line: string) => void;
  /** A scenario has ended. */
  readonly onMeasured: (measurements: readonly Measurement[]) => void;
  /** A scenario failed; the others go on. */
  readonly onFailed: (scenario: string, error: unknown) => void;
}

const GIGABYTE = 2 ** 30;

/** Runs scenarios in order, each with processes of its own. One that fails gives no figures. */
export async function runSuite(
  scenarios: readonly Scenario[],
  settings: Settings,
  { say, onMeasured, onFailed }: Listeners,
): Promise<SuiteResult> {
  const result: { measurements: Measurement[]; plots: Plot[] } = { measurements: [], plots: [] };
  const load = loadavg()[0] ?? 0;
  for (const scenario of scenarios) {
    const { name } = scenario;
    const tell = (line: string): void => say(`${name}: ${line}`);
    tell(scenario.work);
    let world: World | undefined;
    const measured: Measurement[] = [];
    const plots: Plot[] = [];
    const bench: Bench = {
      settings,
      say: tell,
      async open(needs) {
        world = await World.open({ ...needs, scenario: name }, settings, tell);
        return world;
      },
      plot: (plot) => plots.push({ scenario: name, ...plot }),
      take: (passes, of = name) => {
        const version = world?.servers.version ?? "";
        measured.push(...measurementsOf(of, passes, circumstances(settings, version, load)));
      },
    };
    try {
      await scenario.run(bench);
      result.measurements.push(...measured);
      result.plots.push(...plots);
      onMeasured(measured);
    } catch (error) {
      onFailed(name, error);
    } finally {
      await world?.close();
    }
  }
  return result;
}

function circumstances(settings: Settings, server: string, load: number): Circumstances {
  const { shards, replicas, sync } = settings;
  const isOurs = settings.servers.length === 0;
  return {
    versions: { contrail: VERSION, node: process.versions.node, nats_server: server || "unknown" },
    machine: {
      cpu: cpuName(),
      cores: cpus().length,
      memory_gb: Math.round(totalmem() / GIGABYTE),
      os: `${type()} ${release()}`,
      load: Number(load.toFixed(1)),
      shards,
      replicas,
      sync: isOurs ? sync : "unknown",
    },
  };
}

function cpuName(): string {
  const name = cpus()[0]?.model ?? "";
  if (name !== "" && name !== "unknown") return name;
  try {
    const file = readFileSync("/proc/cpuinfo", "utf8");
    return /^(?:model name|CPU part)\s*: (.*)$/m.exec(file)?.[1] ?? "unknown";
  } catch {
    return "unknown"; // not Linux
  }
}
