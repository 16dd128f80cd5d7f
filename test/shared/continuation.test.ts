import test from "ava";
import {
  continuations,
  continuedEntry,
  idempotencyKey,
  operationId,
} from "../../shared/continuation.ts";
import type { Continued, Entry, StoredCommit } from "../../shared/entries.ts";
import { copyHistory } from "../../shared/forks.ts";
import { CARRIED_EVENTS } from "../../shared/limits.ts";
import { evolve, initialState, type RunState } from "../../shared/run-state.ts";
import { copiedCommits, stateOfStart } from "../../shared/start-state.ts";
import { viewOf } from "../helpers/run-view.ts";

const step = (key: string, value: unknown = key): Entry => ({
  ...{ kind: "step-completed", key, at: 0, attempts: 1, durationMs: 0 },
  value,
});
const event = { kind: "event", name: "tick", after: 3 } as const;
const opened: Entry = { kind: "wait-opened", key: "w0 tick", at: 1, condition: event };
const settled: Entry = {
  ...{ kind: "wait-settled", key: "w0 tick", leaf: 0 },
  outcome: { ...{ kind: "event", name: "tick", data: 1 }, sequence: 8, publishedAt: 2 },
};
const carried = { firstOrdinal: 4, limitFrom: 500, eventsAfter: 3, consumed: [5, 8] };
const continued = (input: unknown, count: number): Continued => ({
  ...{ kind: "continued", input, count },
  ...carried,
});
const pinned: Entry = { kind: "version-pinned", version: "2" };

function commitsOf(groups: readonly (readonly Entry[])[]): StoredCommit[] {
  return groups.map((entries, i) => ({
    ...{ startSequence: 9, pass: `w r ${i}`, token: 9, time: 1_000 + i, sequence: 10 + i },
    entries,
  }));
}

function fold(commits: readonly StoredCommit[]): RunState {
  const state = initialState(9, 500);
  for (const commit of commits) evolve(state, commit);
  return state;
}

/** A history with all that a fold can hold before it continues, twice. */
const history = commitsOf([
  [{ kind: "claimed", worker: "w", because: "start" }, pinned, step("s0 a")],
  [opened, { kind: "change-noted", name: "new", at: 1 }, { kind: "waiting" }],
  [
    { kind: "claimed", worker: "w", because: "takeover" },
    settled,
    { kind: "step-skipped", by: "ann", reason: "", key: "s9 z", value: 1 },
    { kind: "heartbeat", key: "s1 b", details: 1 },
    {
      ...{ kind: "attempt-failed", key: "s1 b", at: 1, attempt: 1, retryAt: 9 },
      error: { name: "E", message: "no" },
    },
  ],
  [
    {
      ...{ kind: "child-started", key: "c0 t", at: 1, taskName: "t" },
      ...{ runIds: ["1"], first: 0, isLeft: false },
    },
    continued("second", 1),
    pinned,
  ],
  [step("s0 a"), opened, { kind: "waiting" }],
  [{ kind: "claimed", worker: "w", because: "match" }, settled, continued("third", 2)],
  [step("s0 a"), { kind: "waiting" }],
]);

test("a fold from any continuation on is the fold of the whole history", (t) => {
  const whole = fold(history);
  t.deepEqual(fold(history.slice(3)), whole);
  t.deepEqual(fold(history.slice(5)), whole);
  t.like(whole, { status: "waiting", waitSequence: 16, tail: 16, entries: 3, limitFrom: 500 });
  const { beginning, consumedEvents, version } = whole;
  const { limitFrom: _, consumed: __, ...rest } = carried;
  t.deepEqual(beginning, { ...rest, input: "third", count: 2, sequence: 15, at: 1_005 });
  t.deepEqual([...consumedEvents], [5, 8]);
  t.is(version, undefined);
  t.is(fold(history.slice(0, 4)).version, "2");
});

test("a run that has just continued is like one that begins, but for what it carries over", (t) => {
  const { beginning, ...state } = fold(history.slice(0, 6));
  const begun = {
    ...initialState(9, 500),
    ...{ tail: 15, token: 9, pass: "w r 5", worker: "w", changedAt: 1_005 },
    ...{ status: "running", entries: 1, consumedEvents: new Set([5, 8]) },
  };
  t.deepEqual(state, begun as never);
  t.is(beginning?.count, 2);
});

test("a run continues with what it has consumed; what is too long ago is passed over", (t) => {
  const state = initialState(9, 500);
  const given = { firstOrdinal: 7, eventsAfter: 2 };
  const fresh = continuedEntry("x", state, given);
  t.deepEqual(fresh, {
    ...{ kind: "continued", input: "x", count: 1, firstOrdinal: 7 },
    ...{ limitFrom: 500, eventsAfter: 2, consumed: [] },
  });
  for (let sequence = CARRIED_EVENTS + 20; sequence > 18; sequence--)
    state.consumedEvents.add(sequence);
  const { eventsAfter, consumed } = continuedEntry("x", state, given);
  t.is(eventsAfter, 20);
  t.is(consumed.length, CARRIED_EVENTS);
  t.is(consumed[0], 21);
});

test("an operation has another name in each history, and the first history keeps its names", (t) => {
  const run = { taskName: "t", runId: "1", startSequence: 9 };
  t.is(operationId("s0 a", 0), "s0 a");
  t.not(operationId("s0 a", 1), operationId("s0 a", 2));
  t.not(idempotencyKey(run, "s0 a", 0), idempotencyKey(run, "s0 a", 1));
  t.is(continuations(fold(history)), 2);
  t.is(continuations(initialState(1, 1)), 0);
});

test("a fork of a run that has continued begins where that continued last, with another input if asked", (t) => {
  const view = viewOf(history.map(({ entries }, i) => ({ afterMs: i, entries })));
  const asker = { by: "ann", reason: "" };
  const forked = (options: object): RunState => {
    const commits = copyHistory(view, { ...asker, ...options });
    return stateOfStart(
      { fork: { runId: "1", startedAt: 1, seed: "s", reason: "", commits } },
      70,
      5_000,
    );
  };
  t.like(forked({}), { beginning: { count: 2, input: "third" }, entries: 2, limitFrom: 5_000 });
  t.deepEqual([...forked({}).consumedEvents], [5, 8]);
  t.like(forked({ input: "other" }), { beginning: { input: "other" } });
  t.like(forked({ results: { a: "changed" } }).deliveries[0]?.result, { value: "changed" });
  const earlier = copyHistory(view, { ...asker, entries: 15 });
  const { beginning } = forked({ entries: 15 });
  t.like(beginning, { count: 1, input: "second" });
  const origin = { runId: "1", startedAt: 1, seed: "s", reason: "", commits: earlier };
  t.is(copiedCommits(origin, 9)[0]?.entries[0]?.kind, "continued");
});
