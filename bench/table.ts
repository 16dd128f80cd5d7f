/** Results as tables for people. Pure. */
import Table from "cli-table3";
import { standingOf } from "./aims.ts";
import type { Change } from "./compare.ts";
import { type Measurement, variantOf } from "./measurement.ts";

const BORDERS = [
  ...["top", "top-mid", "top-left", "top-right", "bottom", "bottom-mid", "bottom-left"],
  ...["bottom-right", "left", "left-mid", "mid", "mid-mid", "right", "right-mid"],
];
const HEAD = ["scenario", "metric", "value", "ceiling", "ratio", "spread", "n", "aim", ""];

/** The measurements, one a row, those of one scenario together; a table for each setup of the servers. */
export function resultTables(measurements: readonly Measurement[]): string[] {
  const variants = [...new Set(measurements.map(variantOf))];
  return variants.map((variant) => {
    const table = resultTable(measurements.filter((one) => variantOf(one) === variant));
    return variants.length === 1 ? table : `${variant}\n${table}\n`;
  });
}

function resultTable(measurements: readonly Measurement[]): string {
  const rows = measurements.map((one, index) => {
    const isFirst = measurements[index - 1]?.scenario !== one.scenario;
    const standing = standingOf(one, measurements);
    return [
      isFirst ? one.scenario : "",
      one.metric,
      figure(one.value),
      one.ceiling === null ? "" : figure(one.ceiling),
      one.ratio === null ? "" : one.ratio.toFixed(2),
      percent(one.spread),
      String(one.n),
      standing?.text ?? "",
      standing === undefined ? "" : standing.isMet ? "met" : "MISSED",
    ];
  });
  return table(HEAD, rows, [2, 3, 4, 5, 6]);
}

/** What changed since an earlier result, one figure a row. */
export function changeTable(changes: readonly Change[]): string {
  const rows = changes.map(({ scenario, metric, before, after, share, verdict }) => [
    ...[scenario, metric, figure(before), figure(after)],
    ...[`${share > 0 ? "+" : ""}${percent(share)}`, verdict],
  ]);
  return table(["scenario", "metric", "before", "now", "change", ""], rows, [2, 3, 4]);
}

/** A number as people read it: four digits that count, thousands apart. */
export function figure(value: number): string {
  if (Math.abs(value) >= 1_000) return Math.round(value).toLocaleString("en-US");
  return String(Number(value.toPrecision(3)));
}

function percent(share: number): string {
  return `${(share * 100).toFixed(Math.abs(share) < 0.1 ? 1 : 0)}%`;
}

function table(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  right: readonly number[],
): string {
  const made = new Table({
    head: [...head],
    chars: { ...Object.fromEntries(BORDERS.map((name) => [name, ""])), middle: "  " },
    style: { head: [], border: [], "padding-left": 0, "padding-right": 0 },
    colAligns: head.map((_, index) => (right.includes(index) ? "right" : "left")),
  });
  for (const row of rows) made.push([...row]);
  return made
    .toString()
    .split("\n")
    .map((line) => line.trimEnd())
    .join("\n");
}
