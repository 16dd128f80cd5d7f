/** The report's page. */
import test from "ava";
import { reportPage } from "../../bench/report/page.ts";
import { distributionPlot, throughputPlot } from "../../bench/report/plots.ts";
import { resultsPage } from "../../bench/report/results.ts";
import { CIRCUMSTANCES, measurement } from "./sample.ts";

const SYNCED = { ...CIRCUMSTANCES.machine, sync: "always" };

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

test("figures of servers that sync differently have sections of their own in the page", (t) => {
  const page = reportPage([measurement({}), measurement({ value: 20, machine: SYNCED })], []);
  t.true(page.includes("<h2>noop-256, sync default, 4 shards</h2>"));
  t.true(page.includes("<h2>noop-256, sync always, 4 shards</h2>"));
});

test("the results name the machine, and give headline figures for both ways to sync", (t) => {
  const page = resultsPage([
    measurement({ value: 9_000 }),
    measurement({ value: 4_000, spread: 0.12, machine: SYNCED }),
  ]);
  t.regex(
    page,
    /^- abacus, 2 cores, 8 GB, Linux 6; .* Node 20\.19\.0, nats-server 2\.15\.1, 4 shards\.$/m,
  );
  t.regex(page, /\| the same, 256 at a time \| 9,000 runs\/s \| 4,000 runs\/s \| 1,000 to 1,660/);
  t.regex(page, /^## .*two minutes/m);
  t.regex(
    page,
    /^\| noop-256 \| `throughput_per_s` \| 4,000 \| 200 \| 0\.50 \| 12% \| met: >= 3000 \|$/m,
  );
});

test("the results tell of other numbers of streams beside the one that was measured in full", (t) => {
  const one = { ...CIRCUMSTANCES.machine, shards: 1 };
  const page = resultsPage([measurement({}), measurement({ value: 60, ratio: 0.3, machine: one })]);
  t.regex(page, /^\| scenario \| metric \| sync \| 1 \| 4 \|$/m);
  t.true(
    page.includes(
      "| noop-256 | `throughput_per_s` | default | 60 (0.30x ceiling) | 100 (0.50x ceiling) |",
    ),
  );
  t.is(page.match(/^\| noop-256 \| `throughput_per_s` \| 100 /gm)?.length, 1);
  t.notRegex(resultsPage([measurement({})]), /streams/);
});
