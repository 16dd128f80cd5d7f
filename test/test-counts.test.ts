import test from "ava";
import { TestCounts } from "./test-counts.ts";

function summaryOf(...lines: string[]): string {
  const counts = new TestCounts();
  for (const line of lines) counts.read(line);
  return counts.summary();
}

test("passed, failed and skipped tests are counted, each in its own number", (t) => {
  t.is(
    summaryOf("TAP version 13", "ok 1 - a", "ok 2 - b", "ok 3 - c # SKIP", "1..3", "# pass 2"),
    "2 passed, 0 failed, 1 skipped",
  );
});

test("a failure is told again with why, without what its test has said", (t) => {
  t.is(
    summaryOf(
      "not ok 1 - early",
      "#   a word",
      "  ---",
      "    name: AssertionError",
      "    message: not equal",
      "  ...",
      "#   later",
      "ok 2 - fine",
      "  ---",
      "    of no failure: true",
      "  ...",
      "not ok 3 - late",
    ),
    "failed: early\n    name: AssertionError\n    message: not equal\nfailed: late\n1 passed, 2 failed",
  );
});

test("of long details the beginning is told", (t) => {
  const lines = Array.from({ length: 1_000 }, (_, i) => `    ${i} ${"x".repeat(1_000)}`);
  const summary = summaryOf("not ok 1 - long", "  ---", ...lines, "  ...").split("\n");
  t.is(summary.length, 42);
  t.true(summary.every((line) => line.length <= 200));
});
