/** Percentiles, medians, spread and histograms. */
import test from "ava";
import { ascending, histogram, median, percentile, spreadOf } from "../../bench/statistics.ts";

test("a percentile is the value of the nearest rank", (t) => {
  const sorted = ascending([30, 10, 20, 50, 40]);
  for (const [share, value] of [
    [0, 10],
    [0.2, 10],
    [0.21, 20],
    [0.5, 30],
    [0.99, 50],
    [1, 50],
  ] as const)
    t.is(percentile(sorted, share), value, `at ${share}`);
  t.is(percentile([], 0.5), Number.NaN);
});

test("a median is the middle value, or the mean of the two middle ones", (t) => {
  t.is(median([9, 1, 5]), 5);
  t.is(median([4, 1, 2, 9]), 3);
  t.is(median([]), Number.NaN);
});

test("a spread is the distance of the extremes as a share of the median", (t) => {
  t.is(spreadOf([90, 100, 120]), 0.3);
  t.is(spreadOf([7]), 0);
  t.is(spreadOf([0, 0, 0]), 0);
});

test("a histogram counts every value once, stragglers in its last bar", (t) => {
  const values = Array.from({ length: 2_000 }, (_, index) => index % 100);
  values[0] = 1_000_000;
  const bars = histogram(values, 10);
  t.is(bars.length, 10);
  t.is(
    bars.reduce((sum, { count }) => sum + count, 0),
    2_000,
  );
  t.is(bars[0]?.from, 0);
  t.true((bars.at(-1)?.from ?? 0) < 100, "the straggler does not stretch the bars");
  t.deepEqual(histogram([], 10), []);
});
