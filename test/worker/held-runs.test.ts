import test from "ava";
import { SteppingClock } from "../../shared/clock.ts";
import { initialState } from "../../shared/run-state.ts";
import { type HeldRun, HeldRuns } from "../../worker/held-runs.ts";
import type { Services } from "../../worker/services.ts";

test("a worker that has handed over its runs hands over one that comes behind them, and sets no timer", (t) => {
  const clock = new SteppingClock();
  const held = new HeldRuns({ clock, claimTimeoutMs: 6_000 } as unknown as Services);
  const handedOver: string[] = [];
  const run = (history: string): HeldRun =>
    ({
      ...{ history, state: initialState(1, 0), token: { streamSequence: 1 } },
      onHandOver: () => handedOver.push(history),
    }) as unknown as HeldRun;
  held.add(run("early.h"));
  t.is(held.size, 1);
  t.not(clock.nextDue(), undefined);
  held.close();
  held.add(run("late.h"));
  t.deepEqual(handedOver, ["late.h"]);
  t.is(held.size, 0);
  t.is(clock.nextDue(), undefined);
});
