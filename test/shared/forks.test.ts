import test from "ava";
import type { Entry } from "../../shared/entries.ts";
import { RepairRefusedError } from "../../shared/errors.ts";
import { copyHistory } from "../../shared/forks.ts";
import { evolve, initialState, noteUnreadable } from "../../shared/run-state.ts";
import { copiedCommits, stateOfStart } from "../../shared/start-state.ts";
import { viewOf } from "../helpers/run-view.ts";

const asker = { by: "ann", reason: "" };
const refused = { instanceOf: RepairRefusedError };
const error = { name: "E", message: "no" };
const step = (key: string): Entry => ({
  ...{ kind: "step-completed", key, at: 0, attempts: 1, durationMs: 0 },
  value: key,
});
const claimed: Entry = { kind: "claimed", worker: "w", because: "start" };
const origin = (commits: Uint8Array[]) => ({
  fork: { runId: "42", startedAt: 1, seed: "s", reason: "", commits },
});
const kinds = (commits: Uint8Array[]): string[] =>
  copiedCommits(origin(commits).fork, 9).flatMap(({ entries }) => entries.map(({ kind }) => kind));

test("a fork's state holds the results that were copied, with their times, and is queued", (t) => {
  const view = viewOf([
    { afterMs: 5, entries: [claimed, step("s0 a"), { kind: "waiting" }] },
    { afterMs: 9, entries: [claimed, { kind: "outlived" }] },
    {
      afterMs: 10,
      entries: [step("s0 b"), { kind: "ended", outcome: { status: "completed", output: 1 } }],
    },
  ]);
  const commits = copyHistory(view, asker);
  t.deepEqual(kinds(commits), ["step-completed", "step-completed"]);
  const state = stateOfStart(origin(commits), 70, 5_000);
  t.deepEqual(state.deliveries, view.state.deliveries);
  t.like(state, { status: "queued", startSequence: 70, startedAt: 5_000, tail: 0, token: 70 });
  t.like(state, { waitSequence: 0, claims: 0, pass: "", worker: "", changedAt: 5_000 });
  t.deepEqual(stateOfStart(undefined, 70, 5_000), initialState(70, 5_000));
  evolve(state, { ...copiedCommits(origin(commits).fork, 70)[0], sequence: 80 } as never);
  t.is(state.tail, 80);
  t.deepEqual(kinds(copyHistory(view, { ...asker, entries: 3 })), ["step-completed"]);
});

test("a fork has other results where they are given, and refuses those of no step", (t) => {
  const view = viewOf([{ afterMs: 5, entries: [step("s0 a"), step("s0 b"), { kind: "waiting" }] }]);
  const results = { a: 1, "s0 b": 2 };
  const state = stateOfStart(origin(copyHistory(view, { ...asker, results })), 9, 0);
  t.deepEqual(
    state.deliveries.map(({ result }) => result.ok && result.value),
    [1, 2],
  );
  t.throws(() => copyHistory(view, { ...asker, results: { c: 1 } }), {
    ...refused,
    message: /"c"/,
  });
  for (const entries of [4, -1, 0.5])
    t.throws(() => copyHistory(view, { ...asker, entries }), { ...refused, message: /3 entries/ });
});

test("a fork of a run whose history cannot be read has what comes before that", (t) => {
  const pause: Entry = { kind: "paused", reason: "", details: null };
  const view = viewOf([
    { afterMs: 5, entries: [step("s0 a"), { kind: "waiting" }] },
    { afterMs: 6, entries: [step("s0 forged")] },
    { afterMs: 7, entries: [pause] },
  ]);
  noteUnreadable(view.state, (view.commits[0]?.sequence as number) + 1);
  t.deepEqual(kinds(copyHistory(view, asker)), ["step-completed"]);
  t.throws(() => copyHistory(view, { ...asker, entries: 3 }), { ...refused, message: /2 entries/ });
});

test("a fork of a canceled run ends before that, one of a failed run goes back as a retry does", (t) => {
  const canceled = viewOf([
    { afterMs: 5, entries: [step("s0 a"), { kind: "cancel-requested", by: "b", reason: "" }] },
  ]);
  t.deepEqual(kinds(copyHistory(canceled, asker)), ["step-completed"]);
  const failed: Entry = { ...step("s0 b"), kind: "step-failed", error } as Entry;
  const end: Entry = { kind: "ended", outcome: { status: "failed", error } };
  const view = viewOf([{ afterMs: 5, entries: [step("s0 a"), failed, end] }]);
  const commits = copyHistory(view, asker);
  t.deepEqual(kinds(commits), ["step-completed", "step-failed", "retried"]);
  const state = stateOfStart(origin(commits), 9, 0);
  t.deepEqual(
    state.deliveries.map(({ key }) => key),
    ["s0 a"],
  );
});

test("a fork keeps the waits that are open, but for those for children, which it starts itself", (t) => {
  const opened = (key: string, kind: "sleep" | "child"): Entry => ({
    ...{ kind: "wait-opened", key, at: 0 },
    condition: kind === "sleep" ? { kind, dueAt: 5 } : { kind, taskName: "t", runId: "x" },
  });
  const view = viewOf([
    {
      afterMs: 5,
      entries: [opened("w0 a", "sleep"), opened("w0 b", "child"), { kind: "waiting" }],
    },
  ]);
  const state = stateOfStart(origin(copyHistory(view, asker)), 9, 0);
  t.deepEqual([...state.pending.keys()], ["w0 a"]);
});
