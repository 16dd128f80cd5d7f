/** Pictures of the report, as data. */

/** A line or a row of bars. */
export interface Series {
  readonly label: string;
  /** One value for each `x`; null leaves a gap. */
  readonly values: readonly (number | null)[];
}

/** A picture of one scenario. */
export interface Plot {
  readonly scenario: string;
  readonly title: string;
  readonly kind: "line" | "bars";
  readonly xLabel: string;
  readonly yLabel: string;
  /** Ascending. */
  readonly x: readonly number[];
  readonly series: readonly Series[];
}

/** Points of a latency distribution: from the fastest to the slowest thousandth. */
const SHARES: readonly number[] = [
  ...Array.from({ length: 99 }, (_, index) => (index + 1) / 100),
  ...[0.995, 0.999, 1],
];

/**
 * The latency distributions of several lists, each sorted: share of operations over milliseconds.
 */
export function distributionPlot(
  title: string,
  lists: readonly { readonly label: string; readonly sorted: ArrayLike<number> }[],
): Omit<Plot, "scenario"> {
  const filled = lists.filter(({ sorted }) => sorted.length > 0);
  return {
    title,
    kind: "line",
    xLabel: "percentile",
    yLabel: "ms",
    x: SHARES.map((share) => share * 100),
    series: filled.map(({ label, sorted }) => ({
      label,
      values: SHARES.map((share) => sorted[Math.ceil(share * sorted.length) - 1] ?? null),
    })),
  };
}

/** Operations over time, from counts in tenths of a second. */
export function throughputPlot(
  lists: readonly { readonly label: string; readonly tenths: readonly number[] }[],
): Omit<Plot, "scenario"> {
  const longest = Math.max(0, ...lists.map(({ tenths }) => tenths.length));
  return {
    title: "throughput over time, all passes in a row",
    kind: "line",
    xLabel: "s",
    yLabel: "1/s",
    x: Array.from({ length: longest }, (_, index) => index / 10),
    series: lists.map(({ label, tenths }) => ({
      label,
      values: Array.from({ length: longest }, (_, index) => {
        const count = tenths[index];
        return count === undefined ? null : count * 10;
      }),
    })),
  };
}

/** Bars, such as a histogram of lateness. */
export function barPlot(
  title: string,
  bars: readonly { readonly from: number; readonly count: number }[],
): Omit<Plot, "scenario"> {
  return {
    title,
    kind: "bars",
    xLabel: "ms",
    yLabel: "runs",
    x: bars.map(({ from }) => from),
    series: [{ label: "runs", values: bars.map(({ count }) => count) }],
  };
}
