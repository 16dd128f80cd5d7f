import test from "ava";
import type { Entry, Failure, LeafOutcome, StoredCondition } from "../../shared/entries.ts";
import { RepairRefusedError } from "../../shared/errors.ts";
import {
  checkKept,
  nameOfRepair,
  planResume,
  planRetry,
  planSkip,
  repairEntries,
} from "../../shared/repairs.ts";
import { evolve, noteUnreadable, type RunState } from "../../shared/run-state.ts";
import type { RunView } from "../../shared/run-view.ts";
import { viewOf } from "../helpers/run-view.ts";

const asker = { by: "ann", reason: "why not" };
const refused = { instanceOf: RepairRefusedError };
const error: Failure = { name: "RangeError", message: "no card" };
const step = (key: string, at = 0): Entry => ({
  ...{ kind: "step-completed", key, at, attempts: 1, durationMs: 0 },
  value: key,
});
const failed = (key: string, at = 0, why = error): Entry => ({
  ...{ kind: "step-failed", key, at, attempts: 1, durationMs: 0 },
  error: why,
});
const endedBy = (cause: Failure): Entry => ({
  kind: "ended",
  outcome: {
    status: "failed",
    error: { name: "StepFailedError", message: "a step failed", cause },
  },
});
const opened = (key: string, at: number, condition: StoredCondition): Entry => ({
  ...{ kind: "wait-opened", key, at },
  condition,
});
const settled = (key: string, leaf: number, outcome: LeafOutcome): Entry => ({
  ...{ kind: "wait-settled", key, leaf },
  outcome,
});
const paused: Entry = { kind: "paused", reason: "why", details: null };
const claimed: Entry = { kind: "claimed", worker: "w", because: "retry" };
const view = (entries: readonly Entry[], more?: Partial<RunView>): RunView =>
  viewOf([{ afterMs: 5, entries }], more);

/** The view after the repair was claimed. */
function repaired(of: RunView, repair: Parameters<typeof repairEntries>[0]): RunState {
  return evolve(of.state, {
    ...{ sequence: 50, startSequence: of.startSequence, pass: "w2/d1", token: 40, time: 9e12 },
    entries: [claimed, ...repairEntries(repair)],
  });
}
const keys = ({ deliveries }: RunState): string[] => deliveries.map(({ key }) => key);

test("a paused run is resumed; another one is not", (t) => {
  const run = view([step("s0 a"), paused]);
  const repair = planResume(run, asker);
  t.is(nameOfRepair(repair), "resume");
  t.deepEqual(repairEntries(repair), [{ kind: "resumed", ...asker }]);
  const state = repaired(run, repair);
  t.deepEqual([state.status, keys(state)], ["running", ["s0 a"]]);
  t.throws(() => planResume(view([{ kind: "waiting" }]), asker), refused);
});

test("a run that is about to be removed is repaired only if that was asked for before", (t) => {
  const ended = view([endedBy(error)]);
  t.notThrows(() => checkKept(ended));
  const retired: Entry = { kind: "retired", end: ended.state.tail };
  const late = viewOf([
    { afterMs: 5, entries: [endedBy(error)] },
    { afterMs: 9, entries: [retired] },
  ]);
  t.throws(() => checkKept(late), { ...refused, message: /about to be removed: fork it/ });
  t.notThrows(() => checkKept({ ...late, repairRequest: { ...asker, at: 6 } }));
});

test("a run whose history cannot be read is not repaired", (t) => {
  const run = view([paused]);
  noteUnreadable(run.state, 9);
  t.throws(() => planResume(run, asker), { ...refused, message: /Message 9/ });
});

test("a failed run goes back to before the step whose failure its error tells of", (t) => {
  const run = view([
    step("s0 a"),
    failed("s0 charge", 1),
    step("s0 beside", 1),
    failed("s0 complain", 2, { name: "E", message: "other" }),
    endedBy(error),
  ]);
  const repair = planRetry(run, asker);
  t.deepEqual(repair, { ...asker, again: ["s0 charge"] });
  t.is(nameOfRepair(repair), "retry");
  const state = repaired(run, repair);
  t.deepEqual(keys(state), ["s0 a", "s0 beside"]);
  t.deepEqual([...state.steps], ["s0 a", "s0 beside"]);
  t.deepEqual([state.status, state.outcome, state.limitFrom], ["running", undefined, 9e12]);
});

test("a failed run goes back to its last failure when its error tells of none, and to what is named", (t) => {
  const run = view([step("s0 a"), failed("s0 b", 1), endedBy({ name: "E", message: "else" })]);
  t.deepEqual(planRetry(run, asker).again, ["s0 b"]);
  t.deepEqual(planRetry(run, asker, "a").again, ["s0 a"]);
  t.deepEqual(planRetry(run, asker, "s0 a").again, ["s0 a"]);
  t.throws(() => planRetry(run, asker, "c"), { ...refused, message: /from "c"/ });
  t.deepEqual(keys(repaired(run, planRetry(run, asker, "a"))), []);
});

test("a run that failed by its code alone loses only its end", (t) => {
  const run = view([step("s0 a"), endedBy(error)]);
  const repair = planRetry(run, asker);
  t.deepEqual(repair.again, []);
  t.deepEqual(keys(repaired(run, repair)), ["s0 a"]);
});

test("steps that were undone are done again, and those whose undo failed are not", (t) => {
  const run = view([
    ...[step("s0 a"), step("s0 b", 1), step("s0 c", 2), failed("s0 d", 3)],
    ...[failed("s0 undo c", 4), step("s0 undo b", 5), endedBy(error)],
  ]);
  const repair = planRetry(run, asker);
  t.deepEqual([...(repair.again ?? [])].sort(), ["s0 b", "s0 d"]);
  t.deepEqual(keys(repaired(run, repair)), ["s0 a"]);
});

test("what the code asked for after the failure is forgotten: events may come again, children are started again", (t) => {
  const event = { kind: "event", name: "e", after: 0 } as const;
  const happened = (sequence: number): LeafOutcome => ({
    ...{ kind: "event", name: "e", data: 1, publishedAt: 0 },
    sequence,
  });
  const run = view([
    opened("w0 e", 0, event),
    opened("w0 nap", 0, { kind: "sleep", dueAt: 9 }),
    settled("w0 e", 0, happened(7)),
    failed("s0 charge", 1),
    opened("w1 e", 2, {
      kind: "anyOf",
      of: [
        [0, event],
        [1, { kind: "sleep", dueAt: 10 }],
      ],
    }),
    settled("w1 e", 0, happened(8)),
    {
      kind: "child-started",
      key: "c0 t",
      at: 3,
      taskName: "t",
      runIds: ["x"],
      first: 0,
      isLeft: false,
    },
    { kind: "attempt-failed", key: "s0 more", at: 4, attempt: 1, error, retryAt: 5 },
    endedBy(error),
  ]);
  t.deepEqual([...run.state.consumedEvents], [7, 8]);
  const state = repaired(run, planRetry(run, asker));
  t.deepEqual(keys(state), ["w0 e"]);
  t.deepEqual([...state.consumedEvents], [7]);
  t.deepEqual([...state.waits.keys()], ["w0 e", "w0 nap"]);
  t.deepEqual([...state.sleeping.keys()], ["w0 nap"]);
  t.is(state.children.size + state.retries.size, 0);
});

test("a wait that failed by its children waits for them again, and keeps those that completed", (t) => {
  const bad = { status: "failed", error } as const;
  const good = { status: "completed", output: 1 } as const;
  const child = { kind: "child", taskName: "t", runId: "x" } as const;
  const group = { kind: "children", taskName: "t", first: 0, count: 3 } as const;
  const sleep = { kind: "sleep", dueAt: 9 } as const;
  const run = view([
    opened("w0 all", 0, {
      kind: "allOf",
      of: [
        [0, child],
        [1, { ...child, runId: "y" }],
        [2, group],
        [3, sleep],
      ],
    }),
    settled("w0 all", 3, { kind: "sleep" }),
    settled("w0 all", 0, { kind: "child", taskName: "t", runId: "x", outcome: good }),
    settled("w0 all", 2, {
      kind: "children",
      ended: [
        [0, bad],
        [1, good],
      ],
    }),
    settled("w0 all", 1, { kind: "child", taskName: "t", runId: "y", outcome: bad }),
    endedBy(error),
  ]);
  const state = repaired(run, planRetry(run, asker));
  const wait = state.pending.get("w0 all");
  t.is(wait?.result, undefined);
  t.deepEqual([...(wait?.recorded.keys() ?? [])].sort(), [0, 2, 3]);
  t.deepEqual(wait?.recorded.get(2)?.outcome, { kind: "children", ended: [[1, good]] });
  t.true(state.sleeping.has("w0 all"));
  t.deepEqual(keys(state), []);
});

test("a child that failed is waited for again", (t) => {
  const child = { kind: "child", taskName: "t", runId: "x" } as const;
  const run = view([
    opened("w0 child t", 0, child),
    settled("w0 child t", 0, { ...child, outcome: { status: "failed", error } }),
    endedBy(error),
  ]);
  const state = repaired(run, planRetry(run, asker));
  t.deepEqual(keys(state), []);
  t.is(state.pending.get("w0 child t")?.recorded.size, 0);
});

test("a run that was out of time gets what was interrupted again, and its time from then on", (t) => {
  const run = view([
    step("s0 a"),
    opened("w0 nap", 1, { kind: "sleep", dueAt: 9 }),
    { kind: "timed-out", limitMs: 5 },
    { kind: "operation-interrupted", key: "s0 b", at: 1 },
    step("s0 cleanup", 2),
    { kind: "cleanup-over" },
    endedBy({ name: "TimeoutError", message: "late" }),
  ]);
  const repair = planRetry(run, asker);
  t.deepEqual(repair.again, ["w0 nap", "s0 b"]);
  const state = repaired(run, repair);
  t.deepEqual(keys(state), ["s0 a"]);
  t.deepEqual([state.interruption, state.givenUpAt], [undefined, undefined]);
  t.deepEqual([...state.pending.keys()], ["w0 nap"]);
});

test("a run that has not failed is not retried, nor one that is asked to be canceled", (t) => {
  t.throws(() => planRetry(view([paused]), asker), { ...refused, message: /is paused/ });
  const cancelRequest = { by: "bob", reason: "", at: 1 };
  const run = view([endedBy(error)], { cancelRequest });
  t.throws(() => planRetry(run, asker), { ...refused, message: /bob asked to cancel it/ });
  t.throws(() => planSkip(run, asker, "a", 1), refused);
});

test("a step that was not reached, is tried again, or has failed is given a result", (t) => {
  const waiting = view([
    { kind: "attempt-failed", key: "s1 a", at: 1, attempt: 1, error, retryAt: 5 },
    { kind: "waiting" },
  ]);
  const skip = planSkip(waiting, asker, "a", 1);
  t.deepEqual(skip, { ...asker, skip: { key: "s1 a", value: 1 } });
  t.is(nameOfRepair(skip), "skip");
  t.deepEqual([...repaired(waiting, skip).skips], [["s1 a", 1]]);
  t.deepEqual(planSkip(view([paused]), asker, "b", null).skip, { key: "s0 b", value: null });
  t.deepEqual(planSkip(view([paused]), asker, "s3 b", 2).skip, { key: "s3 b", value: 2 });
  const run = view([failed("s0 a"), endedBy(error)]);
  t.deepEqual(planSkip(run, asker, "later", 1).again, ["s0 a"]);
  const repair = planSkip(run, asker, "a", "given");
  t.deepEqual(repairEntries(repair), [
    { kind: "retried", ...asker, again: ["s0 a"] },
    { kind: "step-skipped", ...asker, key: "s0 a", value: "given" },
  ]);
  const state = repaired(run, repair);
  t.deepEqual([keys(state), [...state.skips]], [[], [["s0 a", "given"]]]);
});

test("a result that is given is forgotten when its step is to be done again", (t) => {
  const run = view([failed("s0 a"), endedBy(error)]);
  const state = repaired(run, planSkip(run, asker, "a", "given"));
  evolve(state, {
    ...{ sequence: 60, startSequence: 1, pass: "w2/d1", token: 40, time: 9e12 },
    entries: [step("s0 a"), failed("s0 b", 1), endedBy(error)],
  });
  repaired({ ...run, state }, { ...asker, again: ["s0 a"] });
  t.is(state.skips.size, 0);
});

test("a step that has a result keeps it, and a run at work is left alone", (t) => {
  for (const run of [view([step("s0 a"), paused]), view([step("s0 a"), endedBy(error)])])
    t.throws(() => planSkip(run, asker, "a", 1), { ...refused, message: /such as "s1 a"/ });
  t.throws(() => planSkip(view([failed("s0 a"), paused]), asker, "a", 1), refused);
  t.throws(() => planSkip(view([step("s0 a")]), asker, "b", 1), { ...refused, message: /running/ });
});

test("only the claim that reopens a failed run follows its end", (t) => {
  const commit = (sequence: number, entries: Entry[]) => ({
    ...{ sequence, startSequence: 1, pass: "w2/d1", token: 40, time: 9 },
    entries,
  });
  const failedRun = view([endedBy(error)]).state;
  evolve(failedRun, commit(8, [claimed, step("s0 late")]));
  t.deepEqual([failedRun.status, keys(failedRun)], ["failed", []]);
  const completed = view([{ kind: "ended", outcome: { status: "completed", output: 1 } }]).state;
  evolve(completed, commit(8, [claimed, { kind: "retried", ...asker, again: [] }]));
  t.is(completed.status, "completed");
  const both = view([endedBy(error), { kind: "retried", ...asker, again: [] }]);
  t.deepEqual([both.state.status, both.state.outcome], ["running", undefined]);
  t.throws(() => planRetry(both, asker), refused);
});
