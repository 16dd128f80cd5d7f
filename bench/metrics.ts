/** What is measured, by name. Scripts compare results by these names: they do not change. */

/** A metric. */
export interface Metric {
  readonly unit: "ms" | "1/s" | "us" | "bytes" | "share" | "count";
  readonly isBetter: "lower" | "higher";
}

/** The name of a metric. */
export type MetricName =
  | "latency_p50_ms"
  | "latency_p99_ms"
  | "throughput_per_s"
  | "steps_per_s"
  | "late_p50_ms"
  | "late_p99_ms"
  | "total_ms"
  | "claims"
  | "bytes_per_sleeper_server"
  | "bytes_per_sleeper_engine"
  | "bytes_per_sleeper_worker"
  | "idle_slot_share"
  | "memory_growth_share"
  | "cpu_us_client"
  | "cpu_us_worker"
  | "cpu_us_engine"
  | "cpu_us_server";

/** All metrics. */
export const METRICS: Readonly<Record<MetricName, Metric>> = {
  latency_p50_ms: { unit: "ms", isBetter: "lower" },
  latency_p99_ms: { unit: "ms", isBetter: "lower" },
  throughput_per_s: { unit: "1/s", isBetter: "higher" },
  steps_per_s: { unit: "1/s", isBetter: "higher" },
  late_p50_ms: { unit: "ms", isBetter: "lower" },
  late_p99_ms: { unit: "ms", isBetter: "lower" },
  total_ms: { unit: "ms", isBetter: "lower" },
  claims: { unit: "count", isBetter: "lower" },
  bytes_per_sleeper_server: { unit: "bytes", isBetter: "lower" },
  bytes_per_sleeper_engine: { unit: "bytes", isBetter: "lower" },
  bytes_per_sleeper_worker: { unit: "bytes", isBetter: "lower" },
  idle_slot_share: { unit: "share", isBetter: "lower" },
  memory_growth_share: { unit: "share", isBetter: "lower" },
  cpu_us_client: { unit: "us", isBetter: "lower" },
  cpu_us_worker: { unit: "us", isBetter: "lower" },
  cpu_us_engine: { unit: "us", isBetter: "lower" },
  cpu_us_server: { unit: "us", isBetter: "lower" },
};

/** Whether a text names a metric. */
export function isMetric(text: string): text is MetricName {
  return Object.hasOwn(METRICS, text);
}
