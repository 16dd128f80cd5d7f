/** One figure of one scenario: the median of several passes, beside the ceiling of the same run. */
import { METRICS, type MetricName } from "./metrics.ts";
import { median, spreadOf } from "./statistics.ts";

/** Where and on what was measured. */
export interface Circumstances {
  readonly versions: {
    readonly contrail: string;
    readonly node: string;
    readonly nats_server: string;
  };
  readonly machine: {
    readonly cpu: string;
    readonly cores: number;
    readonly memory_gb: number;
    readonly os: string;
    /** Load average of the last minute when the suite began; more than a little spoils figures. */
    readonly load: number;
    readonly shards: number;
    readonly replicas: number;
    readonly sync: string;
  };
}

/** A line of the result. */
export interface Measurement extends Circumstances {
  readonly scenario: string;
  readonly metric: MetricName;
  readonly value: number;
  readonly unit: string;
  /** What the leanest loop over plain NATS came to, in turn with ours; null where there is none. */
  readonly ceiling: number | null;
  /** `value` to `ceiling`. */
  readonly ratio: number | null;
  /** How many passes. */
  readonly n: number;
  /** Largest less smallest value of the passes, as a share of the median. */
  readonly spread: number;
}

/** How the servers sync and how many streams there are: a suite may be run for several of these. */
export function variantOf(of: {
  readonly machine: Pick<Circumstances["machine"], "sync" | "shards">;
}): string {
  const { machine } = of;
  return `sync ${machine.sync}, ${machine.shards} shards`;
}

/** What one pass came to. */
export type PassValues = { readonly [M in MetricName]?: number };

/** The passes of a scenario, ours and those of its ceiling, in the order of their passing. */
export interface Passes {
  readonly ours: readonly PassValues[];
  readonly ceiling: readonly PassValues[];
}

/** Makes one measurement for each metric that our passes have, in the order of the metrics. */
export function measurementsOf(
  scenario: string,
  { ours, ceiling }: Passes,
  circumstances: Circumstances,
): Measurement[] {
  return (Object.keys(METRICS) as MetricName[]).flatMap((metric) => {
    const values = valuesOf(ours, metric);
    if (values.length === 0) return [];
    const raw = valuesOf(ceiling, metric);
    const value = rounded(median(values));
    const limit = raw.length === 0 ? null : rounded(median(raw));
    return [
      {
        scenario,
        metric,
        value,
        unit: METRICS[metric].unit,
        ceiling: limit,
        ratio: limit === null || limit === 0 ? null : rounded(value / limit),
        n: values.length,
        spread: rounded(spreadOf(values)),
        ...circumstances,
      },
    ];
  });
}

function valuesOf(passes: readonly PassValues[], metric: MetricName): number[] {
  return passes.flatMap((pass) => {
    const value = pass[metric];
    return value === undefined || Number.isNaN(value) ? [] : [value];
  });
}

/** Four digits that count: more would be noise. */
function rounded(value: number): number {
  return Number(value.toPrecision(4));
}
