/** From passes to figures, and how these stand to their aims. */
import test from "ava";
import { standingOf } from "../../bench/aims.ts";
import { measurementsOf } from "../../bench/measurement.ts";
import { CIRCUMSTANCES, measurement } from "./sample.ts";

test("a figure is the median of the passes, beside the median of the ceiling's", (t) => {
  const passes = {
    ours: [{ throughput_per_s: 80 }, { throughput_per_s: 100 }, { throughput_per_s: 110 }],
    ceiling: [{ throughput_per_s: 250 }, { throughput_per_s: 150 }, { throughput_per_s: 200 }],
  };
  t.deepEqual(measurementsOf("noop-256", passes, CIRCUMSTANCES), [measurement({ spread: 0.3 })]);
});

test("a metric without a ceiling, or that could not be seen, is told apart", (t) => {
  const ours = [{ claims: 4, cpu_us_server: Number.NaN }];
  const [one, ...others] = measurementsOf("fanout-1000", { ours, ceiling: [] }, CIRCUMSTANCES);
  t.deepEqual(others, []);
  t.like(one, { metric: "claims", value: 4, unit: "count", ceiling: null, ratio: null, n: 1 });
});

test("an aim bounds the value, the ratio to the ceiling, or the ratio to another scenario", (t) => {
  const noop = measurement({});
  t.like(standingOf(noop, [noop]), { isMet: true, text: ">= 0.5x ceiling" });
  const slow = measurement({ ratio: 0.49 });
  t.is(standingOf(slow, [slow])?.isMet, false);
  const claims = measurement({ scenario: "fanout-1000", metric: "claims", value: 6 });
  t.like(standingOf(claims, [claims]), { isMet: false, text: "<= 5" });
  const children = measurement({ scenario: "fanout-1000", value: 40 });
  const beside = measurement({ scenario: "fanout-1000-noop", value: 100 });
  t.is(standingOf(children, [children, beside])?.isMet, true);
  t.is(standingOf(children, [children]), undefined, "nothing to compare with");
  t.is(standingOf(measurement({ metric: "latency_p99_ms" }), []), undefined, "has no aim");
});

test("an aim may hold only for servers that sync always", (t) => {
  const machine = { ...CIRCUMSTANCES.machine, sync: "always" };
  const synced = measurement({ value: 3_000, ratio: 0.1, machine });
  t.like(standingOf(synced, []), { isMet: true, text: ">= 3000" });
});
