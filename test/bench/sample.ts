/** A measurement made up for tests. */
import type { Circumstances, Measurement } from "../../bench/measurement.ts";

/** Circumstances made up for tests. */
export const CIRCUMSTANCES: Circumstances = {
  versions: { contrail: "1.2.3", node: "20.19.0", nats_server: "2.15.1" },
  machine: {
    ...{ cpu: "abacus", cores: 2, memory_gb: 8, os: "Linux 6", load: 0.1 },
    ...{ shards: 4, replicas: 1, sync: "default" },
  },
};

/** A measurement with what is given, else a throughput of 100/s beside a ceiling of 200/s. */
export function measurement(given: Partial<Measurement>): Measurement {
  const value = { scenario: "noop-256", metric: "throughput_per_s", value: 100, unit: "1/s" };
  const rest = { ceiling: 200, ratio: 0.5, n: 3, spread: 0 };
  return { ...value, ...rest, ...CIRCUMSTANCES, ...given } as Measurement;
}
