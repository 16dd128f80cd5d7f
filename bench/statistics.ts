/** Percentiles, medians and histograms over all values that were seen. Pure. */

/** The value below which this share of the values lies, by the nearest rank; NaN without values. */
export function percentile(sorted: ArrayLike<number>, share: number): number {
  if (sorted.length === 0) return Number.NaN;
  const rank = Math.ceil(share * sorted.length);
  return sorted[Math.min(Math.max(rank, 1), sorted.length) - 1] as number;
}

/** The values in ascending order, in a list of their own. */
export function ascending(values: ArrayLike<number>): Float64Array {
  return Float64Array.from(values).sort();
}

/** The value in the middle, or the mean of the two in the middle; NaN without values. */
export function median(values: readonly number[]): number {
  const sorted = ascending(values);
  const half = Math.floor(sorted.length / 2);
  if (sorted.length % 2 === 1) return sorted[half] as number;
  return ((sorted[half - 1] ?? Number.NaN) + (sorted[half] ?? Number.NaN)) / 2;
}

/** How far the values lie apart, as a share of their median: 0.1 is a tenth. 0 for a single value. */
export function spreadOf(values: readonly number[]): number {
  if (values.length < 2) return 0;
  const middle = median(values);
  if (middle === 0) return 0;
  return (Math.max(...values) - Math.min(...values)) / Math.abs(middle);
}

/** One bar of a histogram: from its beginning up to the beginning of the next. */
export interface Bar {
  readonly from: number;
  readonly count: number;
}

/**
 * Counts values in bars of equal width. What lies above the 99.9th percentile is counted in the last
 * bar, so that one straggler does not flatten the picture.
 */
export function histogram(values: ArrayLike<number>, barCount: number): Bar[] {
  if (values.length === 0) return [];
  const sorted = ascending(values);
  const low = sorted[0] as number;
  const high = percentile(sorted, 0.999);
  const width = (high - low) / barCount || 1;
  const counts = new Array<number>(barCount).fill(0);
  for (const value of sorted) {
    const bar = Math.min(Math.floor((value - low) / width), barCount - 1);
    counts[bar] = (counts[bar] as number) + 1;
  }
  return counts.map((count, index) => ({ from: low + index * width, count }));
}
