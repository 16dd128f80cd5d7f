import test from "ava";
import { holdMs, nextWakeAt, streakAt } from "../../engine/wake-pace.ts";

const pace = { passMs: 10, streak: 0, wokenAt: 1_000, registeredAt: 5_000, pendingChildren: 800 };

test("the next token comes after one pass at least and a quarter of a second at most, or a second in a long series", (t) => {
  for (const [options, expected] of [
    [{ passMs: 10, streak: 0, pendingChildren: 10_000 }, 10],
    [{ passMs: 10, streak: 3, pendingChildren: 10_000 }, 80],
    [{ passMs: 10, streak: 15, pendingChildren: 10_000 }, 250],
    [{ passMs: 10, streak: 60, pendingChildren: 10_000 }, 1_000],
    [{ passMs: 10, streak: 60, pendingChildren: 8 }, 20],
    [{ passMs: 0, streak: 0, pendingChildren: 1 }, 1],
    [{ passMs: 60_000, streak: 0, pendingChildren: 1 }, 250],
  ] as const)
    t.is(holdMs(options), expected);
});

test("a run rests since it was woken, and in a series of wake-ups since it waits again", (t) => {
  t.is(nextWakeAt(pace), 1_010);
  t.is(nextWakeAt({ ...pace, streak: 2 }), 1_040);
  t.is(nextWakeAt({ ...pace, streak: 3 }), 5_080);
  t.is(nextWakeAt({ ...pace, streak: 3, pendingChildren: 31 }), 1_000 + 10 * (1 + 31 / 8));
});

test("a wake-up soon after the run waits again continues a series, however late its pass came", (t) => {
  t.is(streakAt({ ...pace, streak: 4 }, 5_600), 5);
  t.is(streakAt({ ...pace, streak: 4 }, 5_700), 0);
  const never = { ...pace, wokenAt: Number.NEGATIVE_INFINITY };
  t.is(streakAt(never, 5_001), 0, "the first wake-up begins it");
});
