/** The report: one HTML page that needs nothing else, not even a network. */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { standingOf } from "../aims.ts";
import { type Measurement, variantOf } from "../measurement.ts";
import { figure } from "../table.ts";
import type { Plot } from "./plots.ts";

const require = createRequire(import.meta.url);

const STYLE = `
body { font: 14px/1.4 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; color: #222; }
table { border-collapse: collapse; margin: 1rem 0; }
th, td { padding: .2rem .7rem; text-align: left; border-bottom: 1px solid #ddd; }
td.n { text-align: right; font-variant-numeric: tabular-nums; }
.met { color: #1a7f37; } .missed { color: #cf222e; font-weight: 600; }
.plots { display: flex; flex-wrap: wrap; gap: 1rem; }
`;

/** Draws every plot; written out here because it runs in the browser. */
const SCRIPT = `
const colors = ["#0969da", "#bc4c00", "#1a7f37", "#8250df"];
for (const plot of plots) {
  const place = document.getElementById("plots " + plot.scenario);
  const isBars = plot.kind === "bars";
  new uPlot({
    title: plot.title,
    width: 520,
    height: 280,
    scales: { x: { time: false } },
    axes: [{ label: plot.xLabel }, { label: plot.yLabel, size: 70 }],
    series: [
      { label: plot.xLabel },
      ...plot.series.map(({ label }, index) => ({
        label,
        stroke: colors[index % colors.length],
        fill: isBars ? colors[index % colors.length] + "60" : undefined,
        paths: isBars ? uPlot.paths.bars({ size: [1, 60] }) : undefined,
        points: { show: false },
      })),
    ],
  }, [plot.x, ...plot.series.map(({ values }) => values)], place);
}
`;

/** Makes the page. */
export function reportPage(measurements: readonly Measurement[], plots: readonly Plot[]): string {
  const [first] = measurements;
  const circumstances = first
    ? `<p>${escaped(JSON.stringify({ ...first.versions, ...first.machine }))}</p>`
    : "";
  const scenarios = [...new Set(measurements.map((one) => titleOf(one, measurements)))];
  const others = plots.map(({ scenario }) => scenario).filter((name) => !scenarios.includes(name));
  const sections = [...scenarios, ...new Set(others)].map((name) => sectionOf(name, measurements));
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Contrail bench</title>
<style>${asset(require.resolve("uplot/dist/uPlot.min.css"))}${STYLE}</style>
<h1>Contrail bench</h1>
${circumstances}
${sections.join("\n")}
<script>${asset(require.resolve("uplot/dist/uPlot.iife.min.js"))}</script>
<script>const plots = ${json(plots)};${SCRIPT}</script>
</html>
`;
}

/** The scenario, with how the servers are set up where that differs. */
function titleOf(one: Measurement, all: readonly Measurement[]): string {
  const variant = variantOf(one);
  const isAlike = all.every((other) => variantOf(other) === variant);
  return isAlike ? one.scenario : variantTitle(one.scenario, variant);
}

/** What a scenario is called beside itself on servers that are set up differently. */
export function variantTitle(scenario: string, variant: string): string {
  return `${scenario}, ${variant}`;
}

function sectionOf(scenario: string, all: readonly Measurement[]): string {
  const rows = all
    .filter((one) => titleOf(one, all) === scenario)
    .map((one) => {
      const standing = standingOf(one, all);
      const verdict = standing === undefined ? "" : standing.isMet ? "met" : "missed";
      const numbers = [one.value, one.ceiling, one.ratio, one.spread].map(
        (value) => `<td class="n">${value === null ? "" : figure(value)}</td>`,
      );
      return `<tr><td>${one.metric}</td>${numbers.join("")}<td>${escaped(standing?.text ?? "")}</td><td class="${verdict}">${verdict}</td></tr>`;
    });
  const head = "<tr><th>metric<th>value<th>ceiling<th>ratio<th>spread<th>aim<th></tr>";
  return `<h2>${escaped(scenario)}</h2><table>${head}${rows.join("")}</table><div class="plots" id="plots ${escaped(scenario)}"></div>`;
}

/** A file of the chart library, for inside the page. */
function asset(file: string): string {
  return readFileSync(file, "utf8").replaceAll("</script", "<\\/script");
}

/** JSON that cannot end the script it stands in. */
function json(value: unknown): string {
  return JSON.stringify(value).replaceAll("<", "\\u003c");
}

function escaped(text: string): string {
  return text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
}
