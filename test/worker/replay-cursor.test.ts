import test from "ava";
import fc from "fast-check";
import type { Entry } from "../../shared/entries.ts";
import { evolve, initialState, type RunState } from "../../shared/run-state.ts";
import { ReplayCursor } from "../../worker/replay-cursor.ts";

function stateOf(...entries: Entry[]): RunState {
  const commit = { sequence: 2, startSequence: 1, pass: "w/d1", token: 1, time: 0 };
  return evolve(initialState(1, 0), { ...commit, entries });
}
const step = (key: string): Entry => ({
  ...{ kind: "step-completed", key, at: 0, attempts: 1, durationMs: 0 },
  value: key,
});
const wait = (key: string): Entry => ({
  ...{ kind: "wait-opened", key, at: 0 },
  condition: { kind: "sleep", dueAt: 1 },
});
const slept = (key: string): Entry => ({
  ...{ kind: "wait-settled", key, leaf: 0 },
  outcome: { kind: "sleep" },
});
const started = (key: string): Entry => ({
  ...{ kind: "child-started", key, at: 0, taskName: "t", runIds: ["a"], first: 0, isLeft: false },
});

test("a result is handed out to code that has asked for it, and in the order of the record", (t) => {
  const cursor = new ReplayCursor(
    stateOf(wait("w0 nap"), step("s0 a"), slept("w0 nap"), step("s0 b")),
  );
  t.is(cursor.next?.key, "s0 a");
  t.false(cursor.canDeliver);
  cursor.ask("w0 nap");
  t.false(cursor.canDeliver, "what was asked for is recorded later");
  cursor.ask("s0 a");
  t.true(cursor.canDeliver);
  t.deepEqual([cursor.take()?.key, cursor.received], ["s0 a", 1]);
  t.true(cursor.canDeliver);
  t.deepEqual([cursor.take()?.key, cursor.received], ["w0 nap", 2]);
  t.false(cursor.canDeliver);
  cursor.ask("s0 b");
  t.is(cursor.take()?.key, "s0 b");
  t.deepEqual([cursor.next, cursor.canDeliver], [undefined, false]);
});

test("what is committed while the code runs is handed out like what was there before", (t) => {
  const state = stateOf();
  const cursor = new ReplayCursor(state);
  cursor.ask("s0 a");
  t.is(cursor.next, undefined);
  t.false(cursor.isRecorded("s0 a"));
  evolve(state, {
    ...{ sequence: 3, startSequence: 1, pass: "w/d1", token: 1, time: 0 },
    entries: [step("s0 a"), wait("w0 nap"), started("c0 t")],
  });
  t.true(cursor.canDeliver);
  for (const key of ["s0 a", "w0 nap", "c0 t"]) t.true(cursor.isRecorded(key), key);
});

test("code that asks for all that is recorded has not parted from its history", (t) => {
  const cursor = new ReplayCursor(stateOf(step("s0 a"), wait("w0 nap"), started("c0 t")));
  for (const key of ["s0 a", "w0 nap", "c0 t"]) cursor.ask(key);
  cursor.take();
  cursor.take();
  t.is(cursor.divergence(false), undefined);
  t.is(cursor.divergence(true), undefined);
  cursor.ask("s1 new");
  t.is(cursor.divergence(false), undefined);
});

test("code that has not asked for the next result has parted from its history", (t) => {
  const cursor = new ReplayCursor(stateOf(step("s0 charge card"), step("s1 b")));
  t.deepEqual(cursor.divergence(false), {
    kind: "missing",
    recorded: "s0 charge card",
    asked: [],
    likelyCause: "the code no longer asks for it, or waits for something outside the run",
  });
  cursor.ask("s0 send mail");
  cursor.ask("s1 b");
  t.deepEqual(cursor.divergence(false), {
    kind: "missing",
    recorded: "s0 charge card",
    asked: ["s0 send mail"],
    likelyCause: "it was renamed, replaced or moved, or its name is not the same each time",
  });
});

test("as long as there are results to hand out, what is asked for besides is no divergence", (t) => {
  const cursor = new ReplayCursor(stateOf(step("s0 a"), step("s0 b")));
  cursor.ask("s0 a");
  t.is(cursor.divergence(false), undefined);
  t.is(cursor.divergence(true)?.recorded, "s0 b", "unless the code has come to its end");
});

test("an open wait, a step or a started child that the code did not ask for is a divergence", (t) => {
  for (const entry of [wait("w0 x"), step("s0 x"), started("c0 x")]) {
    const cursor = new ReplayCursor(stateOf(entry));
    while (cursor.next) cursor.take();
    cursor.ask("w1 other");
    t.regex(cursor.divergence(false)?.recorded ?? "", / x$/);
    const likelyCause = cursor.divergence(false)?.likelyCause;
    t.is(
      likelyCause,
      entry.kind === "wait-opened"
        ? "what the code waits for was changed, or is not the same each time"
        : "operations were added, removed or put into another order",
    );
  }
});

test("code that ends with results left over has parted from its history", (t) => {
  const cursor = new ReplayCursor(stateOf(step("s0 a"), step("s0 b")));
  cursor.ask("s0 a");
  cursor.take();
  t.deepEqual(cursor.divergence(true), {
    kind: "ended",
    recorded: "s0 b",
    asked: [],
    likelyCause: "the code ends earlier than it did when this was recorded",
  });
});

test("an operation of the same name at another place is told as moved", (t) => {
  const cursor = new ReplayCursor(stateOf(step("s0 a")));
  cursor.ask("s1 a");
  t.is(
    cursor.divergence(false)?.likelyCause,
    "operations were added, removed or put into another order",
  );
});

test("an operation of the same name and another kind is told as such", (t) => {
  const cursor = new ReplayCursor(stateOf(step("s0 pack")));
  cursor.ask("c0 pack");
  t.is(cursor.divergence(false)?.likelyCause, "it is of another kind now");
});

test("code that asks for what is recorded later is told to have another order", (t) => {
  const cursor = new ReplayCursor(stateOf(step("s0 a"), step("s0 b"), step("s0 c")));
  cursor.ask("s0 a");
  cursor.take();
  cursor.ask("s0 c");
  t.false(cursor.hasAskedElse);
  t.like(cursor.divergence(false), {
    recorded: "s0 b",
    asked: ["s0 c"],
    likelyCause: "the order was changed, or it was removed",
  });
  cursor.ask("s1 c");
  t.true(cursor.hasAskedElse);
});

const failed = (key: string): Entry => ({
  ...{ kind: "attempt-failed", key, at: 0, attempt: 1 },
  ...{ error: { name: "Error", message: "no" }, retryAt: 9 },
});

test("code that asks for more than it did before it was suspended has parted from its history", (t) => {
  const cursor = new ReplayCursor(
    stateOf(step("s0 a"), failed("s0 b"), wait("w0 nap"), { kind: "waiting" }, slept("w0 nap")),
  );
  for (const key of ["s0 a", "s0 b", "w0 nap"]) cursor.ask(key);
  t.is(cursor.divergenceSinceSuspended(), undefined, "a step between two attempts is not new");
  cursor.take();
  cursor.ask("s0 early");
  cursor.take();
  cursor.ask("s0 late");
  t.deepEqual(cursor.divergenceSinceSuspended(), {
    kind: "added",
    recorded: "s0 b",
    asked: ["s0 early"],
    likelyCause: "something was added to the code at a place that this run has passed",
  });
});

test("code that ends with no more results than it was suspended with has parted from its history", (t) => {
  const cursor = new ReplayCursor(stateOf(step("s0 a"), { kind: "waiting" }));
  cursor.ask("s0 a");
  cursor.take();
  t.is(cursor.divergenceSinceSuspended(2), undefined);
  t.deepEqual(cursor.divergenceSinceSuspended(1), {
    kind: "ended",
    asked: [],
    likelyCause: "the code ends earlier than it did when this was recorded",
  });
});

test("code that was never suspended, or was told to stop since, may go another way", (t) => {
  const canceled: Entry = { kind: "cancel-requested", by: "me", reason: "" };
  for (const entries of [[step("s0 a")], [step("s0 a"), { kind: "waiting" } as Entry, canceled]]) {
    const cursor = new ReplayCursor(stateOf(...entries));
    cursor.ask("s0 new");
    t.is(cursor.divergenceSinceSuspended(0), undefined);
  }
});

test("a wait that is taken for a recorded one is no longer missed", (t) => {
  const cursor = new ReplayCursor(stateOf(wait("w0 sleep 1 ms"), slept("w0 sleep 1 ms")));
  cursor.ask("w0 sleep 2 ms");
  t.deepEqual(
    cursor.unaskedWaits().map(({ key }) => key),
    ["w0 sleep 1 ms"],
  );
  cursor.rename("w0 sleep 2 ms", "w0 sleep 1 ms");
  t.deepEqual([cursor.canDeliver, cursor.hasAskedElse], [true, false]);
  t.deepEqual(cursor.unaskedWaits(), []);
});

test("whatever the code asks for in whichever order, it gets what is recorded, in order, or parts from it", (t) => {
  const keys = ["s0 a", "s1 b", "w0 c", "c0 d"];
  const entries = (key: string): Entry[] => {
    if (key.startsWith("s")) return [step(key)];
    return key.startsWith("c") ? [started(key)] : [wait(key), slept(key)];
  };
  const asks = fc.array(fc.oneof(fc.constantFrom(...keys), fc.constantFrom("s9 x", "w9 y")));
  fc.assert(
    fc.property(fc.shuffledSubarray(keys), asks, (recorded, asked) => {
      const state = stateOf(...recorded.flatMap(entries));
      const cursor = new ReplayCursor(state);
      const got: (string | undefined)[] = [];
      for (const key of asked) {
        cursor.ask(key);
        while (cursor.canDeliver) got.push(cursor.take()?.key);
      }
      t.deepEqual(got, recorded.slice(0, got.length));
      t.is(cursor.received, got.length);
      const hasAll = recorded.every((key) => asked.includes(key));
      t.is(cursor.divergence(true) === undefined, hasAll);
      if (hasAll) t.deepEqual(got, recorded);
      return true;
    }),
    { numRuns: 1_000 },
  );
});
