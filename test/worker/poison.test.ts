import test from "ava";
import { initialState } from "../../shared/run-state.ts";
import { pauseEntry, SuspectSeat } from "../../worker/poison.ts";

const run = { taskName: "pay", runId: "42" };

test("a pause says whether workers were lost or the history cannot be read", (t) => {
  const state = initialState(1, 0);
  t.like(pauseEntry(run, state), { kind: "paused", details: { code: "workers-lost" } });
  state.unreadableAt = 7;
  const details = { code: "history-unreadable", sequence: 7 };
  t.like(pauseEntry(run, state), { kind: "paused", details });
});

test("a worker carries one suspect at a time, until it has recorded something, was outlived, or is gone", (t) => {
  const held = new Set<string>();
  const outlived: string[] = [];
  const seat = new SuspectSeat(
    {
      isHeld: (history) => held.has(history),
      noteOutlived: (history) => outlived.push(history),
    },
    1_000,
  );
  const suspect = (history: string, takeovers: number) => {
    const state = { takeovers };
    const isAdmitted = (now = 0) => seat.admits({ history, tokenSequence: 1, state, now });
    return { state, isAdmitted };
  };
  const [fresh, a, b] = [suspect("f", 1), suspect("a", 2), suspect("b", 4)];
  for (const { isAdmitted } of [fresh, a]) t.true(isAdmitted());
  held.add("a");
  t.deepEqual([b.isAdmitted(2_999), fresh.isAdmitted()], [false, true]);
  t.deepEqual([b.isAdmitted(3_000), outlived], [false, ["a"]]);
  a.state.takeovers = 0; // it is recorded
  t.true(b.isAdmitted(3_100));
  held.add("b");
  a.state.takeovers = 2;
  t.false(a.isAdmitted(3_200));
  held.delete("b");
  t.true(a.isAdmitted(3_300));
  t.deepEqual(outlived, ["a"]);
});
