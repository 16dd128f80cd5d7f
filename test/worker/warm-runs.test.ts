import test from "ava";
import { initialState } from "../../shared/run-state.ts";
import { type WarmRun, WarmRuns } from "../../worker/warm-runs.ts";

function waitingAt(tail: number): WarmRun {
  const state = { ...initialState(1, 0), status: "waiting", tail };
  return { execution: { state } } as unknown as WarmRun;
}

test("a run is given back once, and only where it still waits at the commit that is answered", (t) => {
  const warm = new WarmRuns(2);
  const [a, b] = [waitingAt(5), waitingAt(6)];
  warm.put("a", a);
  warm.put("b", b);
  t.is(warm.take("a", 5), a);
  t.is(warm.take("a", 5), undefined);
  t.is(warm.take("b", 5), undefined);
  t.is(warm.size, 0, "what is passed over is not kept");
});

test("the run that was suspended first makes room, and one that has ended is forgotten", (t) => {
  const warm = new WarmRuns(2);
  for (const name of ["a", "b", "a", "c"]) warm.put(name, waitingAt(5));
  t.deepEqual([warm.size, warm.take("b", 5)], [2, undefined]);
  warm.drop("c");
  warm.drop("nobody");
  t.is(warm.size, 1);
  const none = new WarmRuns(0);
  none.put("a", waitingAt(5));
  t.is(none.size, 0);
});
