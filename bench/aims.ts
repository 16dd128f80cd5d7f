/** What we want to reach, and whether a measurement does. */
import { type Measurement, variantOf } from "./measurement.ts";
import type { MetricName } from "./metrics.ts";

/** A bound for a value, or for its ratio to the ceiling or to another scenario of the same run. */
export interface Aim {
  readonly scenario: string;
  readonly metric: MetricName;
  /** What is bounded. A scenario's name: the ratio to the same metric of that scenario. */
  readonly of: "value" | "ceiling" | `scenario ${string}`;
  readonly most?: number;
  readonly least?: number;
  /** Only for servers that sync so. Default: any. */
  readonly sync?: "default" | "always";
}

/** How a measurement stands to an aim. */
export interface Standing {
  readonly isMet: boolean;
  /** The aim in words, such as `<= 3x ceiling`. */
  readonly text: string;
}

const AIMS: readonly Aim[] = [
  { scenario: "noop-1", metric: "latency_p50_ms", of: "ceiling", most: 3, sync: "default" },
  { scenario: "noop-1", metric: "latency_p50_ms", of: "value", most: 2, sync: "always" },
  { scenario: "noop-256", metric: "throughput_per_s", of: "ceiling", least: 0.5, sync: "default" },
  { scenario: "noop-256", metric: "throughput_per_s", of: "value", least: 3_000, sync: "always" },
  { scenario: "steps-1", metric: "latency_p50_ms", of: "ceiling", most: 2, sync: "default" },
  { scenario: "steps-64", metric: "throughput_per_s", of: "ceiling", least: 0.5, sync: "default" },
  { scenario: "steps-64", metric: "steps_per_s", of: "value", least: 8_000, sync: "always" },
  ...["sleep-1s", "sleep-20s"].flatMap((scenario): Aim[] => [
    { scenario, metric: "late_p50_ms", of: "value", most: 5 },
    { scenario, metric: "late_p99_ms", of: "value", most: 25 },
  ]),
  { scenario: "event-1", metric: "latency_p50_ms", of: "ceiling", most: 8, sync: "default" },
  { scenario: "event-1", metric: "latency_p50_ms", of: "value", most: 3, sync: "always" },
  {
    scenario: "event-2000",
    metric: "throughput_per_s",
    of: "value",
    least: 3_000,
    sync: "default",
  },
  // Linear: five times the entries may take five times as long.
  { scenario: "resume-1000", metric: "latency_p50_ms", of: "value", most: 15 },
  { scenario: "resume-5000", metric: "latency_p50_ms", of: "value", most: 75 },
  ...["fanout-1000", "fanout-10000"].flatMap((scenario): Aim[] => [
    { scenario, metric: "throughput_per_s", of: `scenario ${scenario}-noop`, least: 1 / 3 },
    { scenario, metric: "claims", of: "value", most: 5 },
  ]),
  { scenario: "fanout-1000", metric: "total_ms", of: "value", most: 500, sync: "always" },
  { scenario: "fanout-single-1000", metric: "claims", of: "value", most: 50 },
  { scenario: "sleepers", metric: "bytes_per_sleeper_server", of: "value", most: 1_638 },
  { scenario: "sleepers", metric: "bytes_per_sleeper_engine", of: "value", most: 400 },
  { scenario: "sleepers", metric: "bytes_per_sleeper_worker", of: "value", most: 20 },
  // The wave's runs begin within a second, so no more than 10,000/s can be seen.
  { scenario: "sleepers-wave", metric: "throughput_per_s", of: "scenario noop-256", least: 0.5 },
  { scenario: "slots", metric: "idle_slot_share", of: "value", most: 0.02 },
  { scenario: "mixed", metric: "memory_growth_share", of: "value", most: 0.1 },
];

/** How a measurement stands to its aim; nothing when it has none. `all` are those of the same run. */
export function standingOf(
  measurement: Measurement,
  all: readonly Measurement[],
  aims: readonly Aim[] = AIMS,
): Standing | undefined {
  const sync = measurement.machine.sync === "always" ? "always" : "default";
  const aim = aims.find(
    (one) =>
      one.scenario === measurement.scenario &&
      one.metric === measurement.metric &&
      (one.sync ?? sync) === sync,
  );
  if (!aim) return undefined;
  const bounded = boundedBy(aim, measurement, all);
  if (bounded === undefined) return undefined;
  const { most = Number.POSITIVE_INFINITY, least = Number.NEGATIVE_INFINITY } = aim;
  return { isMet: bounded <= most && bounded >= least, text: textOf(aim, measurement.unit) };
}

function boundedBy(
  aim: Aim,
  measurement: Measurement,
  all: readonly Measurement[],
): number | undefined {
  if (aim.of === "value") return measurement.value;
  if (aim.of === "ceiling") return measurement.ratio ?? undefined;
  const name = aim.of.slice("scenario ".length);
  const other = all.find(
    (one) =>
      one.scenario === name &&
      one.metric === aim.metric &&
      variantOf(one) === variantOf(measurement),
  );
  return other && measurement.value / other.value;
}

function textOf({ of, most, least }: Aim, unit: string): string {
  const bound = Number((most ?? least ?? 0).toPrecision(3));
  const sign = most === undefined ? ">=" : "<=";
  if (of === "value") return `${sign} ${bound}${unit === "ms" ? " ms" : ""}`;
  return `${sign} ${bound}x ${of === "ceiling" ? "ceiling" : of.slice("scenario ".length)}`;
}
