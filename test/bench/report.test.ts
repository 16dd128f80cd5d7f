/** The report's page. */
import test from "ava";
import { reportPage } from "../../bench/report/page.ts";
import { distributionPlot, throughputPlot } from "../../bench/report/plots.ts";
import { measurement } from "./sample.ts";

test("the page holds the figures, the pictures and the chart library, and asks for nothing else", (t) => {
  const plot = throughputPlot([{ label: "Contrail", tenths: [10, 11] }]);
  const page = reportPage([measurement({})], [{ scenario: "noop-256", ...plot }]);
  t.regex(page, /<td>throughput_per_s<\/td><td class="n">100<\/td><td class="n">200<\/td>/);
  t.regex(page, /id="plots noop-256"/);
  t.true(page.includes('"values":[100,110]'));
  t.true(page.includes("var uPlot="));
  t.notRegex(page, /<(?:script|link|img)[^>]+(?:src|href)=/);
});

test("what stands in the page cannot end its script", (t) => {
  const plot = { ...throughputPlot([]), title: "</script><script>alert(1)" };
  const page = reportPage([], [{ scenario: "a<b", ...plot }]);
  t.false(page.includes("<script>alert(1)"));
  t.true(page.includes("<h2>a&#60;b</h2>"));
});

test("a distribution has its slowest operation at 100%", (t) => {
  const { x, series } = distributionPlot("latency", [
    { label: "Contrail", sorted: Float64Array.from({ length: 1_000 }, (_, index) => index + 1) },
    { label: "nothing", sorted: [] },
  ]);
  t.deepEqual(
    series.map(({ label }) => label),
    ["Contrail"],
  );
  t.is(series[0]?.values[x.indexOf(50)], 500);
  t.is(series[0]?.values.at(-1), 1_000);
});
