import test, { type ExecutionContext } from "ava";
import fc from "fast-check";
import { type Commit, decodeCommit, type Entry, type Outcome } from "../../shared/entries.ts";
import { LimitExceededError } from "../../shared/errors.ts";
import { COMMIT_BYTES } from "../../shared/limits.ts";
import { evolve, initialState, type RunState } from "../../shared/run-state.ts";
import { fitCommits, smallCommit, storedForm } from "../../worker/commit-size.ts";

const MAX = 1_048_576;
const large = "x".repeat(2 * MAX);
const circle: unknown[] = [];
circle.push(circle);
const badValues: readonly unknown[] = [
  large,
  circle,
  () => 1,
  Symbol("s"),
  Promise.resolve(),
  1n << 40_000n,
];

const commitOf = (...entries: Entry[]): Commit => ({
  ...{ startSequence: 1, pass: "worker/d1", token: 1, time: 1_000 },
  entries,
});
const step = (key: string, value: unknown): Entry => ({
  ...{ kind: "step-completed", key, at: 3, attempts: 2, durationMs: 5 },
  value,
});
const error = (message: string) => ({ name: "Error", message, stack: message });

/** Fits a commit, checks that every part can be sent and read, and returns the entries and the fold. */
function stored(
  t: ExecutionContext,
  commit: Commit,
  maxBytes = MAX,
): { entries: Entry[]; state: RunState } {
  const state = initialState(1, 0);
  const parts = fitCommits(commit, maxBytes, "history");
  const entries = parts.flatMap(({ bytes, commit: part }, index) => {
    t.true(bytes.length <= maxBytes - 1_000, `${bytes.length} bytes and headers`);
    const kept = decodeCommit(bytes, index + 1, "here");
    const { entries: read, sequence: _, ...frame } = kept;
    const { entries: written, ...expected } = part;
    t.deepEqual(frame, expected);
    t.is(read.length, written.length);
    evolve(state, kept);
    return read;
  });
  return { entries, state };
}

test("a commit that fits is one message, as it is", (t) => {
  const commit = commitOf(step("s0 a", { a: 1 }), { kind: "waiting" });
  const [part, ...more] = fitCommits(commit, MAX, "history");
  t.is(more.length, 0);
  t.is(part?.commit, commit);
  t.deepEqual(fitCommits(commitOf(), MAX, "history").length, 1);
});

test("entries too many for one message are cut into several, in order, none lost", (t) => {
  const entries = Array.from({ length: 40 }, (_, i) => step(`s${i} a`, "y".repeat(50_000)));
  const parts = fitCommits(commitOf(...entries, { kind: "waiting" }), MAX, "history");
  t.true(parts.length > 3 && parts.length < 8, `${parts.length}`);
  for (const { bytes } of parts) t.true(bytes.length <= COMMIT_BYTES);
  t.deepEqual(
    parts.flatMap(({ commit }) => commit.entries),
    [...entries, { kind: "waiting" }],
  );
});

test("a large entry that the server accepts is a message of its own", (t) => {
  const value = "y".repeat(MAX - 10_000);
  const { entries } = stored(t, commitOf(step("s0 a", 1), step("s1 b", value), step("s2 c", 1)));
  t.deepEqual(entries[1], step("s1 b", value));
  t.is(fitCommits(commitOf(step("s0 a", 1), step("s1 b", value)), MAX, "history").length, 2);
});

test("a result of a step that cannot be stored fails the step, and the others are stored", (t) => {
  for (const value of badValues) {
    const { entries } = stored(t, commitOf(step("s0 good", 1), step("s0 bad", { value })));
    t.deepEqual(entries[0], step("s0 good", 1));
    const failed = entries[1] as Extract<Entry, { kind: "step-failed" }>;
    t.deepEqual([failed.kind, failed.key, failed.at, failed.attempts, failed.durationMs], [
      ...["step-failed", "s0 bad", 3, 2, 5],
    ] as never);
    t.regex(failed.error.code ?? "", /^(invalid-input|limit-exceeded)$/);
    t.regex(failed.error.message, /result of "bad"/);
  }
});

test("an output of the run that cannot be stored fails the run", (t) => {
  for (const output of badValues) {
    const { entries, state } = stored(
      t,
      commitOf({ kind: "ended", outcome: { status: "completed", output } }),
    );
    t.is(entries.length, 1);
    t.is(state.status, "failed");
    t.regex(JSON.stringify(state.outcome), /result of the run/);
  }
});

test("a failure too large to be stored keeps its name, its status and the beginning of its message", (t) => {
  const failure = { ...error(large), name: "TypeError", code: "x", cause: error(large) };
  const { entries } = stored(
    t,
    commitOf(
      { kind: "step-failed", key: "s0 a", at: 0, attempts: 1, durationMs: 0, error: failure },
      { kind: "ended", outcome: { status: "canceled", error: { name: "n", message: large } } },
    ),
  );
  const [step, end] = entries as [Entry & { error: unknown }, Entry & { outcome: Outcome }];
  t.deepEqual(step.error, { name: "TypeError", message: `${"x".repeat(1_000)}…`, code: "x" });
  t.is(end.outcome.status, "canceled");
});

test("an event too large to be recorded fails its wait, and is consumed", (t) => {
  const condition = { kind: "event", name: "e", after: 0 } as const;
  for (const data of badValues) {
    const outcome = { kind: "event", name: "e", data, sequence: 7, publishedAt: 5 } as const;
    const { state } = stored(
      t,
      commitOf(
        { kind: "wait-opened", key: "w0 e", at: 0, condition },
        { kind: "wait-settled", key: "w0 e", leaf: 0, outcome },
      ),
    );
    t.regex(
      JSON.stringify(state.deliveries),
      /"ok":false,.*"code":"(invalid-input|limit-exceeded)"/,
    );
    t.true(state.consumedEvents.has(7));
  }
});

test("the ends of many children are stored in as many entries as they need", (t) => {
  const count = 500;
  const condition = { kind: "children", taskName: "t", first: 0, count } as const;
  const ended = Array.from({ length: count }, (_, i): readonly [number, Outcome] => [
    i,
    { status: "completed", output: `${i} ${"z".repeat(8_000)}` },
  ]);
  const { entries, state } = stored(
    t,
    commitOf(
      { kind: "wait-opened", key: "w0 g", at: 0, condition },
      { kind: "wait-settled", key: "w0 g", leaf: 0, outcome: { kind: "children", ended } },
    ),
  );
  t.true(entries.length > 8);
  const result = state.deliveries[0]?.result;
  const { outputs } = (result?.ok ? result.value : {}) as { outputs: string[] };
  t.is(outputs.length, count);
  t.true(outputs.every((output, i) => output.startsWith(`${i} z`)));
});

test("a child whose output is too large for its parent's history has failed for the parent, alone", (t) => {
  const output = "z".repeat(MAX - 1_500); // the child's own history could hold it
  const done = (value: unknown): Outcome => ({ status: "completed", output: value });
  const group = { kind: "children", taskName: "t", first: 0, count: 3 } as const;
  const ended = [
    [0, done(1)],
    [1, done(output)],
    [2, done(3)],
  ] as const;
  const { entries } = stored(
    t,
    commitOf(
      { kind: "wait-opened", key: "w0 g", at: 0, condition: group },
      { kind: "wait-settled", key: "w0 g", leaf: 0, outcome: { kind: "children", ended } },
      {
        ...{ kind: "wait-settled", key: "w0 t", leaf: 0 },
        outcome: { kind: "child", taskName: "t", runId: "r", outcome: done(output) },
      },
    ),
  );
  const shown = JSON.stringify(entries);
  t.regex(shown, /\[1,\{"status":"failed","error":\{"name":"LimitExceededError"/);
  t.regex(shown, /\[0,\{"status":"completed","output":1\}\]/);
  t.regex(shown, /\[2,\{"status":"completed","output":3\}\]/);
  t.regex(shown, /"runId":"r","outcome":\{"status":"failed"/);
});

test("a wait or a start of children too large to be recorded fails where the code awaits it", (t) => {
  const where = { a: large };
  const { state } = stored(
    t,
    commitOf(
      {
        ...{ kind: "wait-opened", key: "w0 e", at: 1 },
        condition: { kind: "event", name: "e", where, after: 0 },
      },
      {
        ...{ kind: "child-started", key: "c0 t", at: 2, taskName: "t", first: 0, isLeft: false },
        runIds: Array.from({ length: 100_000 }, (_, i) => `prefix-of-twenty-two-${i}`),
      },
    ),
  );
  t.deepEqual(
    state.deliveries.map(({ key, at, result }) => [key, at, result.ok]),
    [
      ["w0 e", 1, false],
      ["c0 t", 2, false],
    ],
  );
  t.is(state.pending.size, 0);
});

test("an error that is too large still says which limit was exceeded", (t) => {
  const exceeded = { limitName: "waits-per-run", limit: 3 } as const;
  const why = { name: "LimitExceededError", message: large, exceeded };
  const attempts = { key: "s0 a", at: 0, attempts: 1, durationMs: 0 };
  const { state } = stored(t, commitOf({ kind: "step-failed", ...attempts, error: why }));
  t.like(state.deliveries[0]?.result, { ok: false, error: { exceeded } });
});

test("details of a heartbeat that are too large are said to be so", (t) => {
  const { state } = stored(t, commitOf({ kind: "heartbeat", key: "s0 a", details: large }));
  t.regex(JSON.stringify(state.heartbeats.get("s0 a")), /^\{"problem":".*bytes/);
});

test("a pause or a request to cancel with a text too large says its beginning", (t) => {
  const { state } = stored(
    t,
    commitOf(
      { kind: "resumed", by: large, reason: large },
      { kind: "retried", by: large, reason: large, again: [] },
      { kind: "step-skipped", by: large, reason: large, key: "s0 a", value: large },
      { kind: "cancel-requested", by: large, reason: large },
      { kind: "paused", reason: large, details: { asked: [large] } },
    ),
  );
  t.is(state.status, "paused");
  t.is(state.interruption?.reason.length, 1_001);
  t.is(state.paused?.reason.length, 1_001);
  t.regex(JSON.stringify(state.paused?.details), /problem/);
});

test("an entry has the form in which it will be stored before its commit is written", (t) => {
  t.deepEqual(storedForm(step("s0 a", 1), MAX), step("s0 a", 1));
  const kept = storedForm(step("s0 a", large), MAX);
  t.is(kept.kind, "step-failed");
  const { entries } = stored(t, commitOf(step("s0 a", large)));
  t.is(entries[0]?.kind, "step-failed");
});

test("a server that does not even accept the frame of a commit is told of with the limit", (t) => {
  const slept: Entry = {
    ...{ kind: "wait-settled", key: "w0 a", leaf: 0 },
    outcome: { kind: "sleep" },
  };
  for (const entry of [slept, { kind: "waiting" } as const])
    t.throws(() => fitCommits(commitOf(entry), 2_060, "history"), {
      instanceOf: LimitExceededError,
      message: /has \d+ bytes, the server accepts 12\. Store large values elsewhere/,
    });
});

test("an entry of no known kind is a bug and told as one", (t) => {
  t.throws(() => fitCommits(commitOf({ kind: "odd" } as never), MAX, "history"), {
    instanceOf: TypeError,
  });
});

test("whatever a commit holds and however little the server accepts, it is stored in parts that fit", (t) => {
  const texts = fc.nat(9_000).map((length) => "t".repeat(length));
  const failures = fc.record({ name: texts, message: texts, stack: texts });
  const outcomes = fc.oneof(
    texts.map((output): Outcome => ({ status: "completed", output })),
    failures.map((problem): Outcome => ({ status: "failed", error: problem })),
  );
  const entries: fc.Arbitrary<Entry> = fc.oneof(
    texts.map((value) => step("s0 a", value)),
    failures.map((problem) => ({
      ...{ kind: "step-failed" as const, key: "s1 b", at: 0, attempts: 1, durationMs: 0 },
      error: problem,
    })),
    fc.array(outcomes, { maxLength: 9 }).map((all) => ({
      ...{ kind: "wait-settled" as const, key: "w0 g", leaf: 0 },
      outcome: { kind: "children" as const, ended: all.map((one, i) => [i, one] as const) },
    })),
    texts.map((data) => ({
      ...{ kind: "wait-settled" as const, key: "w1 e", leaf: 0 },
      outcome: { kind: "event" as const, name: "e", data, sequence: 1, publishedAt: 1 },
    })),
    outcomes.map((outcome) => ({ kind: "ended" as const, outcome })),
  );
  fc.assert(
    fc.property(
      fc.array(entries, { maxLength: 8 }),
      fc.integer({ min: 9_000, max: 40_000 }),
      (all, max) => {
        stored(t, commitOf(...all), max);
        return true;
      },
    ),
    { numRuns: 300 },
  );
});

test("a commit is small when all of it can be stored as it is, in few bytes", (t) => {
  const commit = commitOf(step("s1 a", "x"));
  const small = smallCommit(commit, 1_000, "history");
  t.is(small?.commit, commit);
  t.is(smallCommit(commit, (small?.bytes.length ?? 0) - 1, "history"), undefined);
  t.is(smallCommit(commitOf(step("s1 a", () => 1)), 1_000, "history"), undefined);
  const broken = {
    get entries(): never {
      throw new RangeError("no entries");
    },
  };
  t.throws(() => smallCommit(broken as unknown as Commit, 1_000, "history"), {
    instanceOf: RangeError,
  });
});
