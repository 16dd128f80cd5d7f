/** Compares a result with an earlier one. Pure. */
import { type Measurement, variantOf } from "./measurement.ts";
import { isMetric, METRICS } from "./metrics.ts";

/** A figure then and now. */
export interface Change {
  readonly scenario: string;
  readonly metric: string;
  readonly before: number;
  readonly after: number;
  /** Change as a share of the earlier value: -0.1 is a tenth less. */
  readonly share: number;
  /** "same" when both lie within each other's spread, or the change is under 2%. */
  readonly verdict: "better" | "worse" | "same";
}

/** Smaller changes are never told from noise. */
const LEAST_SHARE = 0.02;

/**
 * Reads what `--json` printed. Lines that are no measurement are left out, so a whole log can be read.
 */
export function parseResult(text: string): Measurement[] {
  return text.split("\n").flatMap((line) => {
    let value: Partial<Measurement> | null;
    try {
      value = JSON.parse(line) as Partial<Measurement> | null;
    } catch {
      return []; // no JSON: some other line
    }
    const isOne =
      typeof value?.scenario === "string" &&
      typeof value.value === "number" &&
      isMetric(value.metric ?? "");
    return isOne ? [value as Measurement] : [];
  });
}

/**
 * What changed, for the figures that both results have, in the order of the later one. Where the
 * earlier result has a figure several times, the one of servers set up the same way is compared.
 */
export function compareResults(
  before: readonly Measurement[],
  after: readonly Measurement[],
): Change[] {
  return after.flatMap((now) => {
    const same = before.filter(
      ({ scenario, metric }) => scenario === now.scenario && metric === now.metric,
    );
    const then = same.findLast((one) => variantOf(one) === variantOf(now)) ?? same.at(-1);
    if (!then) return [];
    const share = then.value === 0 ? 0 : (now.value - then.value) / Math.abs(then.value);
    const noise = Math.max(LEAST_SHARE, (then.spread + now.spread) / 2);
    const isUp = share > 0;
    const isGood = (METRICS[now.metric].isBetter === "higher") === isUp;
    const { scenario, metric } = now;
    const verdict = Math.abs(share) <= noise ? "same" : isGood ? "better" : "worse";
    return [{ scenario, metric, before: then.value, after: now.value, share, verdict }];
  });
}
