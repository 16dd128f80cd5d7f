import test from "ava";
import { durationText, instantText, relativeText } from "../../shared/time-text.ts";

test("a length of time is shown by its two largest units", (t) => {
  for (const [ms, text] of [
    [0, "0 ms"],
    [0.4, "0 ms"],
    [999, "999 ms"],
    [999.6, "1 s"],
    [1_000, "1 s"],
    [1_234, "1.2 s"],
    [59_949, "59.9 s"],
    [59_960, "1 min"],
    [61_000, "1 min 1 s"],
    [3_599_600, "1 h"],
    [3_600_000, "1 h"],
    [3_661_000, "1 h 1 min"],
    [3_601_000, "1 h"],
    [86_400_000, "1 d"],
    [90_000_000, "1 d 1 h"],
    [30 * 86_400_000, "30 d"],
    [-5_000, "-5 s"],
    [Number.NaN, "an unknown time"],
    [Number.POSITIVE_INFINITY, "an unknown time"],
  ] as const)
    t.is(durationText(ms), text, String(ms));
});

test("an instant is shown in UTC to the second, with its distance from now", (t) => {
  const now = Date.UTC(2030, 0, 31, 9, 0, 0);
  t.is(instantText(now + 789), "2030-01-31T09:00:00Z");
  t.is(relativeText(now, now + 65_000), "2030-01-31T09:00:00Z (1 min 5 s ago)");
  t.is(relativeText(now + 250, now), "2030-01-31T09:00:00Z (in 250 ms)");
});

test("an instant that is none is shown as unknown", (t) => {
  for (const ms of [Number.NaN, Number.POSITIVE_INFINITY, 8.64e15 + 1]) {
    t.is(instantText(ms), "an unknown time");
    t.notThrows(() => relativeText(ms, 0));
  }
});
