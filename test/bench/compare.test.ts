/** Comparing with an earlier result, and the tables. */
import test from "ava";
import { compareResults, parseResult } from "../../bench/compare.ts";
import { changeTable, figure, resultTables } from "../../bench/table.ts";
import { CIRCUMSTANCES, measurement } from "./sample.ts";

test("a result is read from its lines, among lines that are none", (t) => {
  const one = measurement({});
  const text = ["> bench", JSON.stringify(one), "{}", "null", '{"scenario":"a","metric":"b"}', ""];
  t.deepEqual(parseResult(text.join("\n")), [one]);
});

for (const [title, metric, before, after, spread, verdict] of [
  ["more runs a second are better", "throughput_per_s", 100, 120, 0, "better"],
  ["fewer runs a second are worse", "throughput_per_s", 100, 80, 0, "worse"],
  ["a longer wait is worse", "latency_p50_ms", 1, 1.2, 0, "worse"],
  ["a shorter wait is better", "latency_p50_ms", 1, 0.8, 0, "better"],
  ["a change within the spread is none", "latency_p50_ms", 1, 1.2, 0.25, "same"],
  ["a change under 2% is none", "latency_p50_ms", 1, 1.015, 0, "same"],
] as const)
  test(`a comparison tells that ${title}`, (t) => {
    const then = measurement({ metric, value: before, spread });
    const now = measurement({ metric, value: after, spread });
    const changes = compareResults([then], [now]);
    t.is(changes.length, 1);
    t.is(changes[0]?.verdict, verdict);
  });

test("a comparison leaves out what the earlier result does not have, and takes its last word", (t) => {
  const other = measurement({ scenario: "noop-1" });
  t.deepEqual(compareResults([other], [measurement({})]), []);
  const twice = [measurement({ value: 50 }), measurement({ value: 200 })];
  t.is(compareResults(twice, [measurement({})])[0]?.before, 200);
});

test("the table has a row for each figure, with its aim", (t) => {
  const [table = "", ...others] = resultTables([
    measurement({ value: 12_345.6, spread: 0.05 }),
    measurement({ metric: "latency_p50_ms", ceiling: null, ratio: null }),
  ]);
  t.deepEqual(others, []);
  const rows = table.split("\n");
  t.regex(rows[1] ?? "", /^noop-256 +throughput_per_s +12,346 +200 +0\.50 +5\.0% +3 .* met$/);
  t.regex(rows[2] ?? "", /^ +latency_p50_ms +100 +0\.0% +3$/);
});

test("figures of servers that sync differently have tables of their own, and are compared with their like", (t) => {
  const synced = measurement({ value: 20, machine: { ...CIRCUMSTANCES.machine, sync: "always" } });
  const tables = resultTables([measurement({}), synced]);
  t.deepEqual(
    tables.map((table) => table.split("\n")[0]),
    ["sync default, 4 shards", "sync always, 4 shards"],
  );
  t.is(compareResults([synced, measurement({})], [synced])[0]?.before, 20);
  t.is(compareResults([measurement({})], [synced])[0]?.before, 100, "better than nothing");
});

test("the table of changes shows their direction", (t) => {
  const changes = compareResults([measurement({})], [measurement({ value: 80 })]);
  t.regex(changeTable(changes), /noop-256 +throughput_per_s +100 +80 +-20% +worse/);
});

test("figures have the digits that count", (t) => {
  t.deepEqual([0.12345, 12.345, 999.4, 1_234.5].map(figure), ["0.123", "12.3", "999", "1,235"]);
});
