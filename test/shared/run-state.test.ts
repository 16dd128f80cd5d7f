import test from "ava";
import fc from "fast-check";
import type {
  Entry,
  LeafOutcome,
  Outcome,
  StoredCommit,
  StoredCondition,
} from "../../shared/entries.ts";
import {
  evolve,
  initialState,
  newWait,
  noteUnreadable,
  pendingLeaves,
  type RunState,
} from "../../shared/run-state.ts";

const START = 3;
const error = { name: "Error", message: "no" };
const done: Outcome = { status: "completed", output: 1 };
const sleepUntil = (dueAt: number): StoredCondition => ({ kind: "sleep", dueAt });
const anEvent: StoredCondition = { kind: "event", name: "e", after: 0 };
const group: StoredCondition = { kind: "children", taskName: "t", first: 0, count: 3 };
const theEvent = (sequence: number): LeafOutcome => ({
  kind: "event",
  name: "e",
  data: sequence,
  sequence,
  publishedAt: 0,
});

const step = (key: string, value: unknown = key): Entry => ({
  kind: "step-completed",
  key,
  at: 0,
  attempts: 1,
  durationMs: 0,
  value,
});
const opened = (key: string, condition: StoredCondition): Entry => ({
  kind: "wait-opened",
  key,
  at: 0,
  condition,
});
const settled = (key: string, leaf: number, outcome: LeafOutcome): Entry => ({
  kind: "wait-settled",
  key,
  leaf,
  outcome,
});
const claimed = (because: string): Entry => ({ kind: "claimed", worker: "w", because });
const canceled: Entry = { kind: "cancel-requested", by: "me", reason: "stop" };

let sequence = 10;
const commit = (...entries: Entry[]): StoredCommit => ({
  sequence: ++sequence,
  startSequence: START,
  pass: `worker/d${sequence}`,
  token: sequence - 1,
  time: sequence * 1_000,
  entries,
});
const fold = (...commits: readonly StoredCommit[]): RunState =>
  commits.reduce(evolve, initialState(START, 500));

/** Histories of anything, also what no worker writes: settled before opened, opened twice. */
const keys = fc.constantFrom("w0 a", "w1 b", "w2 c");
const entries: fc.Arbitrary<Entry> = fc.oneof(
  fc.constantFrom("s0 a", "s1 b").map((key) => step(key)),
  fc
    .tuple(keys, fc.constantFrom(sleepUntil(1), anEvent, group))
    .map(([key, one]) => opened(key, one)),
  fc.tuple(keys, fc.constantFrom(sleepUntil(1), anEvent, group)).map(([key, one]) =>
    opened(key, {
      kind: "anyOf",
      of: [
        [0, one],
        [1, anEvent],
      ],
    }),
  ),
  fc
    .tuple(
      keys,
      fc.nat(2),
      fc.oneof(
        fc.constant({ kind: "sleep" } as const),
        fc.nat(9).map(theEvent),
        fc.constant({
          kind: "children",
          ended: [
            [0, done],
            [2, { status: "failed", error }],
          ],
        } as const),
        fc.constant({ kind: "children", ended: [[1, done]] } as const),
        fc.constant({ kind: "child", taskName: "t", runId: "r", outcome: done } as const),
      ),
    )
    .map(([key, leaf, outcome]) => settled(key, leaf, outcome)),
  fc.constantFrom<Entry>(
    { kind: "waiting" },
    { kind: "paused", reason: "why", details: null },
    { kind: "ended", outcome: done },
    {
      kind: "child-started",
      key: "c0 t",
      at: 0,
      taskName: "t",
      runIds: ["a"],
      first: 0,
      isLeft: false,
    },
    { kind: "step-failed", key: "s2 c", at: 0, attempts: 2, durationMs: 0, error },
    claimed("takeover"),
    claimed("timer"),
    canceled,
  ),
);
const histories = fc
  .array(
    fc.tuple(fc.array(entries, { maxLength: 4 }), fc.constantFrom(1, START, START, START, 9)),
    {
      maxLength: 12,
    },
  )
  .map((commits) =>
    commits.map(([parts, startSequence], index) => ({
      ...commit(...parts),
      sequence: 20 + index,
      startSequence,
    })),
  );

test("folding a history in two parts gives what folding it whole gives", (t) => {
  fc.assert(
    fc.property(histories, fc.nat(12), (history, cut) => {
      const half = history.slice(0, cut).reduce(evolve, initialState(START, 0));
      const whole = history.slice(cut).reduce(evolve, half);
      t.deepEqual(whole, history.reduce(evolve, initialState(START, 0)));
      return true;
    }),
    { numRuns: 1_000 },
  );
});

test("a fold never throws, hands out each wait once, and knows what is pending", (t) => {
  fc.assert(
    fc.property(histories, (history) => {
      const state = history.reduce(evolve, initialState(START, 0));
      const waits = [...state.waits.values()];
      t.deepEqual(
        waits
          .filter(({ result }) => !result)
          .map(({ key }) => key)
          .sort(),
        [...state.pending.keys()].sort(),
      );
      for (const wait of waits)
        t.true(pendingLeaves(wait).every(({ leaf, condition }) => wait.leaves[leaf] === condition));
      return true;
    }),
    { numRuns: 1_000 },
  );
});

test("a run that nobody has taken is queued", (t) => {
  const state = initialState(START, 500);
  t.is(state.status, "queued");
  t.deepEqual([state.token, state.waitSequence, state.tail], [START, 0, 0]);
  t.deepEqual([state.startedAt, state.changedAt, state.worker], [500, 500, ""]);
});

test("each commit says who holds the run, by which token, and since when", (t) => {
  const state = fold({
    ...commit(step("s0 a")),
    pass: "worker-7/d2",
    token: 8,
    time: 900,
    sequence: 12,
  });
  t.is(state.status, "running");
  t.deepEqual([state.worker, state.pass, state.token], ["worker-7", "worker-7/d2", 8]);
  t.deepEqual([state.changedAt, state.tail], [900, 12]);
});

test("nothing follows the end", (t) => {
  const end = commit({ kind: "ended", outcome: { status: "failed", error } });
  const state = fold(
    commit(step("s0 a")),
    end,
    commit(step("s1 b"), canceled),
    commit(claimed("timer")),
  );
  t.is(state.status, "failed");
  t.deepEqual(state.outcome, { status: "failed", error });
  t.deepEqual([...state.steps], ["s0 a"]);
  t.deepEqual([state.claims, state.interruption, state.pass], [0, undefined, end.pass]);
  t.is(state.tail, sequence, "though the guard of the next commit would be the tail");
});

test("commits of another start are skipped, and a later one shows that this run was purged", (t) => {
  const state = fold({ ...commit(step("s0 old")), startSequence: 1 }, commit(step("s0 a")), {
    ...commit(step("s0 new"), { kind: "ended", outcome: done }),
    startSequence: 9,
  });
  t.deepEqual([...state.steps], ["s0 a"]);
  t.is(state.status, "running");
  t.true(state.hasNewerStart);
  t.is(state.tail, sequence);
  t.false(fold({ ...commit(), startSequence: 1 }).hasNewerStart);
});

test("an unreadable message is noted with its place, and is the tail", (t) => {
  const state = noteUnreadable(fold(commit(step("s0 a"))), 99);
  t.deepEqual([state.unreadableAt, state.tail, state.status], [99, 99, "running"]);
});

test("results come in the order in which they were recorded, with when and where they were asked for", (t) => {
  const first = commit(opened("w0 a", sleepUntil(1)), step("s0 a", 7));
  const second = commit(
    { kind: "step-failed", key: "s1 b", at: 1, attempts: 3, durationMs: 5, error },
    {
      kind: "child-started",
      key: "c0 t",
      at: 2,
      taskName: "t",
      runIds: ["x", "y"],
      first: 0,
      isLeft: false,
    },
    settled("w0 a", 0, { kind: "sleep" }),
  );
  t.deepEqual(fold(first, second).deliveries, [
    { key: "s0 a", at: 0, result: { ok: true, value: 7 }, recordedAt: first.time },
    { key: "s1 b", at: 1, result: { ok: false, error, status: "failed" }, recordedAt: second.time },
    { key: "c0 t", at: 2, result: { ok: true, value: ["x", "y"] }, recordedAt: second.time },
    { key: "w0 a", at: 0, result: { ok: true, value: { kind: "sleep" } }, recordedAt: second.time },
  ]);
});

test("a waiting or paused commit is what the next token has to answer; a claim ends the pause", (t) => {
  const wait = commit(opened("w0 a", anEvent), { kind: "waiting" });
  t.deepEqual([fold(wait).status, fold(wait).waitSequence], ["waiting", wait.sequence]);
  const pause = commit({ kind: "paused", reason: "why", details: { a: 1 } });
  const paused = fold(wait, commit(claimed("match")), pause);
  t.deepEqual([paused.status, paused.waitSequence], ["paused", pause.sequence]);
  t.deepEqual(paused.paused, { reason: "why", details: { a: 1 } });
  const resumed = evolve(paused, commit(claimed("poke")));
  t.deepEqual([resumed.status, resumed.paused, resumed.claims], ["running", undefined, 2]);
});

test("takeovers are counted until anything else is recorded; opening a wait again is nothing else", (t) => {
  const lost = [claimed("takeover"), claimed("takeover")].map((entry) => commit(entry));
  t.is(fold(...lost).takeovers, 2);
  t.is(fold(...lost, commit(opened("w0 a", anEvent))).takeovers, 2);
  t.is(fold(...lost, commit(step("s0 a"))).takeovers, 0);
  t.is(fold(...lost, commit(claimed("timer"))).takeovers, 0);
});

test("a group of children is settled when the last of them has ended, in whichever parts that came", (t) => {
  const part = (...ended: (readonly [number, Outcome])[]) =>
    settled("w0 g", 0, { kind: "children", ended });
  const state = fold(commit(opened("w0 g", group)), commit(part([2, done]), part([0, done])));
  t.deepEqual(pendingLeaves(state.waits.get("w0 g") as never), [{ leaf: 0, condition: group }]);
  t.is(state.deliveries.length, 0);
  evolve(state, commit(part([1, { status: "completed", output: "b" }])));
  t.deepEqual(state.deliveries[0]?.result, {
    ok: true,
    value: { kind: "children", outputs: [1, "b", 1] },
  });
  t.is(state.pending.size, 0);
});

test("the last heartbeat of a step is kept until the step has its result, and is no progress", (t) => {
  const beat = (details: unknown): Entry => ({ kind: "heartbeat", key: "s0 a", details });
  const state = fold(commit(claimed("takeover"), beat(1)), commit(claimed("takeover"), beat(2)));
  t.deepEqual([...state.heartbeats], [["s0 a", 2]]);
  t.is(state.takeovers, 2);
  t.is(evolve(state, commit(step("s0 a"))).heartbeats.size, 0);
});

test("of several children that failed, the first of the list is what the group fails with", (t) => {
  const failed = (message: string): Outcome => ({
    status: "failed",
    error: { name: "E", message },
  });
  const ended = [
    [2, failed("two")],
    [0, failed("zero")],
    [1, failed("one")],
  ] as const;
  const state = fold(
    commit(opened("w0 g", group), settled("w0 g", 0, { kind: "children", ended })),
  );
  t.deepEqual(state.deliveries[0]?.result, {
    ...{ ok: false, status: "failed", error: { name: "E", message: "zero" } },
  } as never);
});

test("a failed attempt is kept until the step has its result, and gives the code nothing", (t) => {
  const attempt = (number: number, retryAt: number): Entry => ({
    ...{ kind: "attempt-failed", key: "s0 a", at: 0, attempt: number },
    error,
    retryAt,
  });
  const state = fold(commit(attempt(1, 50)), commit(attempt(2, 90)));
  t.deepEqual([...state.retries], [["s0 a", { attempts: 2, error, retryAt: 90 }]]);
  t.is(state.deliveries.length, 0);
  t.is(evolve(state, commit(step("s0 a"))).retries.size, 0);
  const failed = fold(
    commit(attempt(1, 50)),
    commit({ ...step("s0 a"), kind: "step-failed", error } as Entry),
  );
  t.is(failed.retries.size, 0);
});

test("children that are recorded twice count once", (t) => {
  const part = (...ended: (readonly [number, Outcome])[]) =>
    settled("w0 g", 0, { kind: "children", ended });
  const state = fold(commit(opened("w0 g", group)), commit(part([0, done], [1, done])));
  evolve(state, commit(part([1, { status: "failed", error }])));
  t.is(state.deliveries.length, 0);
  evolve(state, commit(part([2, done])));
  t.deepEqual(state.deliveries[0]?.result, {
    ok: true,
    value: { kind: "children", outputs: [1, 1, 1] },
  });
});

test("what happens to a leaf twice, to a settled wait or to an unknown one changes nothing", (t) => {
  const both: StoredCondition = {
    kind: "allOf",
    of: [
      ["a", anEvent],
      ["b", anEvent],
    ],
  };
  const state = fold(
    commit(opened("w0 a", both), settled("w9 z", 0, { kind: "sleep" })),
    commit(settled("w0 a", 0, theEvent(4)), settled("w0 a", 0, theEvent(5))),
  );
  t.deepEqual(pendingLeaves(state.waits.get("w0 a") as never), [{ leaf: 1, condition: anEvent }]);
  evolve(state, commit(settled("w0 a", 1, theEvent(6)), settled("w0 a", 1, theEvent(7))));
  t.regex(JSON.stringify(state.deliveries), /"a":\{"kind":"event","name":"e","data":4/);
  t.deepEqual([...state.consumedEvents], [4, 6]);
});

test("a leaf that the wait does not have is no part of its result", (t) => {
  const state = fold(commit(opened("w0 a", anEvent)), commit(settled("w0 a", 7, theEvent(4))));
  t.is(state.deliveries.length, 0);
  t.is(state.pending.size, 1);
});

test("allOf of nothing holds when it is opened", (t) => {
  const state = fold(commit(opened("w0 a", { kind: "allOf", of: [] })));
  t.deepEqual(state.deliveries[0]?.result, { ok: true, value: [] });
});

test("a cancellation settles what is pending and all that is opened later, and is noted once", (t) => {
  const state = fold(
    commit(
      opened("w0 a", anEvent),
      opened("w1 b", sleepUntil(1)),
      settled("w1 b", 0, { kind: "sleep" }),
    ),
    commit(canceled, { kind: "cancel-requested", by: "you", reason: "again" }),
    commit(opened("w2 c", { kind: "allOf", of: [] })),
  );
  const result = {
    ok: false,
    status: "canceled",
    error: { name: "RunCanceledError", message: "stop", code: "run-canceled" },
    isInterruption: true,
  };
  t.deepEqual(
    state.deliveries.map((delivery) => [delivery.key, delivery.result]),
    [
      ["w1 b", { ok: true, value: { kind: "sleep" } }],
      ["w0 a", result],
      ["w2 c", result],
    ] as never,
  );
  t.like(state.interruption, { kind: "cancel", by: "me", reason: "stop", position: 1 });
  t.is(state.pending.size, 0);
  const silent = fold(
    commit(opened("w0 a", anEvent)),
    commit({ ...canceled, reason: "" } as Entry),
  );
  t.regex(JSON.stringify(silent.deliveries), /the run was canceled/);
});

test("what was asked for before the code received an interruption is interrupted by its place", (t) => {
  const state = fold(
    commit(canceled, step("s0 a")),
    commit({ kind: "operation-interrupted", key: "s1 b", at: 1 }),
    commit({ kind: "operation-interrupted", key: "s2 c", at: 1 }),
  );
  t.is(state.interruption?.position, 1, "the result before was none");
  t.deepEqual(
    state.deliveries.map(({ key, result }) => [key, result.ok]),
    [
      ["s0 a", true],
      ["s1 b", false],
      ["s2 c", false],
    ],
  );
  t.deepEqual([...state.steps], ["s0 a", "s1 b", "s2 c"]);
});

test("a run whose time is over is interrupted like a canceled one, and its code may be given up", (t) => {
  const state = fold(
    commit(opened("w0 a", anEvent)),
    commit({ kind: "timed-out", limitMs: 50 }, canceled),
    commit({ kind: "cleanup-over" }),
    commit(step("s0 undo"), { kind: "cleanup-over" }),
  );
  t.like(state.interruption, { kind: "timeout", by: "", position: 0 });
  t.like(state.deliveries[0]?.result, { ok: false, status: "failed", isInterruption: true });
  t.regex(JSON.stringify(state.deliveries[0]), /TimeoutError.*its limit of 50 ms/);
  t.is(state.givenUpAt, 1);
});

test("a wait that is not stored yet has its leaves and nothing else", (t) => {
  const condition: StoredCondition = {
    kind: "anyOf",
    of: [
      ["a", anEvent],
      ["b", sleepUntil(1)],
    ],
  };
  const wait = newWait(opened("w0 a", condition) as never, 7);
  t.deepEqual(wait.leaves, [anEvent, sleepUntil(1)] as never);
  t.deepEqual([wait.openedAt, wait.recorded.size, wait.result], [7, 0, undefined]);
});
