import test from "ava";
import type { Entry } from "../../shared/entries.ts";
import { pendingWaits, timelineOf } from "../../shared/timeline.ts";
import { type CommitSketch, STARTED_AT, viewOf } from "../helpers/run-view.ts";

const dueAt = STARTED_AT + 60_000;
const sleep: Entry = {
  kind: "wait-opened",
  key: "w0 nap",
  at: 1,
  condition: { kind: "sleep", dueAt },
};
const step: Entry = {
  kind: "step-completed",
  key: "s0 charge",
  at: 0,
  attempts: 2,
  durationMs: 30,
  value: 1,
};

/** The rows as short texts: pass, worker, pool, kind, text. */
function shown(view: ReturnType<typeof viewOf>): string[] {
  return timelineOf(view).map(({ pass, worker, pool, kind, text }) =>
    pass === 0 ? `${kind}: ${text}` : `${pass} ${worker} ${pool} ${kind}: ${text}`,
  );
}

test("a run that moves to another worker shows each pass with its worker and pool", (t) => {
  const view = viewOf([
    { afterMs: 5, pass: "w1/d1", entries: [step] },
    { afterMs: 6, pass: "w1/d1", entries: [sleep, { kind: "waiting" }] },
    {
      afterMs: 60_000,
      pass: "w2/d7",
      entries: [
        { kind: "claimed", worker: "w2", because: "timer" },
        { kind: "wait-settled", key: "w0 nap", leaf: 0, outcome: { kind: "sleep" } },
      ],
    },
    {
      afterMs: 60_010,
      pass: "w2/d7",
      entries: [{ kind: "ended", outcome: { status: "completed", output: 1 } }],
    },
  ]);
  t.deepEqual(shown(view), [
    "started: started by tester",
    "1 w1 durable claimed: begins",
    '1 w1 durable step: step "charge"',
    "1 w1 durable wait: waits for the time 2030-01-01T00:01:00Z (in 1 min)",
    "1 w1 durable evicted: gives its slot back",
    "2 w2 durable claimed: resumes, after w1: the time has come",
    "2 w2 durable happened: the time is over",
    "2 w2 durable ended: completed",
  ]);
  const [, , stepRow] = timelineOf(view);
  t.like(stepRow, { at: STARTED_AT + 5, durationMs: 30, attempts: 2 });
});

test("rows have the numbers of their entries, which count those that have no row", (t) => {
  const view = viewOf([
    { afterMs: 5, pass: "w1/d1", entries: [step, sleep, { kind: "waiting" }] },
    {
      afterMs: 60_000,
      pass: "w2/d7",
      entries: [
        { kind: "claimed", worker: "w2", because: "timer" },
        { kind: "outlived" },
        { kind: "ended", outcome: { status: "completed", output: 1 } },
      ],
    },
  ]);
  t.deepEqual(
    timelineOf(view).map(({ kind, entry }) => `${kind} ${entry ?? "-"}`),
    ["started -", "claimed -", "step 1", "wait 2", "evicted 3", "claimed 4", "ended 6"],
  );
});

test("why a pass begins is told for every reason", (t) => {
  for (const [because, text] of [
    ["start", "begins"],
    ["timer", "resumes: the time has come"],
    ["match", "resumes: something it waits for has happened"],
    ["cancel", "resumes: it is to be canceled"],
    ["poke", "resumes: somebody asked it to look again"],
    ["resume", "resumes: somebody repaired it"],
    ["retry", "resumes: somebody repaired it"],
    ["skip", "resumes: somebody repaired it"],
    ["later word", "resumes: later word"],
    ["takeover", "takes over from a worker that was lost"],
  ]) {
    const entries: Entry[] = [{ kind: "claimed", worker: "w1", because: because as string }];
    t.is(timelineOf(viewOf([{ afterMs: 0, entries }]))[1]?.text, text);
  }
});

test("a repair says who did what, and why", (t) => {
  for (const [entry, text] of [
    [{ kind: "resumed", by: "ann", reason: "mended" }, "ann resumed it: mended"],
    [{ kind: "retried", by: "ann", reason: "", again: [] }, "ann retried it"],
    [
      { kind: "retried", by: "ann", reason: "x", again: ["s0 charge"] },
      'ann retried it from "charge": x',
    ],
    [
      { kind: "step-skipped", by: "ann", reason: "", key: "s0 charge", value: 1 },
      'ann gave step "charge" its result',
    ],
  ] as const satisfies readonly (readonly [Entry, string])[]) {
    const row = timelineOf(viewOf([{ afterMs: 0, entries: [entry] }])).at(-1);
    t.deepEqual([row?.kind, row?.text], ["repaired", text]);
  }
});

test("a takeover names the worker that was lost", (t) => {
  const claim = (worker: string): Entry => ({ kind: "claimed", worker, because: "takeover" });
  const taken = (pass: string) =>
    timelineOf(
      viewOf([
        { afterMs: 0, pass: "w1/d1", entries: [step] },
        { afterMs: 9, pass, entries: [claim(pass.slice(0, 2))] },
      ]),
    ).at(-1)?.text;
  t.is(taken("w2/d1"), "takes over from w1, which was lost");
  t.is(taken("w1/d2"), "takes over from an earlier pass of its own, which was lost");
});

test("a pass of unknown form shows the worker that its claim names", (t) => {
  const entries: Entry[] = [{ kind: "claimed", worker: "w9", because: "start" }];
  t.like(timelineOf(viewOf([{ afterMs: 0, pass: "nonce", entries }]))[1], {
    worker: "w9",
    pool: undefined,
  });
});

test("failures, children, pauses and cancels have their rows", (t) => {
  const error = { name: "Error", message: "no" };
  const cases: readonly (readonly [Entry, string])[] = [
    [
      { ...step, kind: "step-failed", error } as Entry,
      '1 w1 durable step: step "charge" failed: Error: no',
    ],
    [
      { kind: "step-failed", key: "c0 pack", at: 0, attempts: 1, durationMs: 0, error },
      '1 w1 durable step: "pack" failed: Error: no',
    ],
    [
      {
        kind: "child-started",
        key: "c0 pack",
        at: 0,
        taskName: "pack",
        runIds: ["x"],
        first: 0,
        isLeft: false,
      },
      "1 w1 durable children: starts child pack/x",
    ],
    [
      {
        kind: "child-started",
        key: "c0 pack",
        at: 0,
        taskName: "pack",
        runIds: ["x", "y"],
        first: 0,
        isLeft: true,
      },
      "1 w1 durable children: starts 2 children of task pack",
    ],
    [{ kind: "paused", reason: "why", details: {} }, "1 w1 durable paused: why"],
    [
      { kind: "cancel-requested", by: "ann", reason: "late" },
      "1 w1 durable cancel: learns that ann asked to cancel: late",
    ],
    [
      { kind: "timed-out", limitMs: 50 },
      "1 w1 durable cancel: has used up its time limit of 50 ms",
    ],
    [{ kind: "outlived" }, "1 w1 durable claimed: begins"],
    [{ kind: "retired", end: 9 }, "1 w1 durable ended: is kept no longer"],
    [{ kind: "heartbeat", key: "s0 pay", details: 5 }, '1 w1 durable step: step "pay" goes on'],
    [{ kind: "change-noted", name: "x", at: 0 }, '1 w1 durable code: takes part in change "x"'],
    [
      { kind: "version-pinned", version: "2" },
      '1 w1 durable code: goes on with version "2" of its task',
    ],
    [{ kind: "cleanup-over" }, "1 w1 durable cancel: has used up its time for cleanup"],
    [
      { kind: "operation-interrupted", key: "s0 pay", at: 0 },
      '1 w1 durable cancel: gives up "pay"',
    ],
    [
      { kind: "ended", outcome: { status: "failed", error } },
      "1 w1 durable ended: failed: Error: no",
    ],
  ];
  for (const [entry, row] of cases)
    t.is(shown(viewOf([{ afterMs: 0, entries: [entry] }])).at(-1), row);
});

test("a failed attempt says when the step is tried again", (t) => {
  const error = { name: "Error", message: "no" };
  for (const [retryAt, when] of [
    [STARTED_AT + 1_500, "in 1500 ms"],
    [STARTED_AT - 1, "in 0 ms"],
  ] as const) {
    const entry: Entry = {
      kind: "attempt-failed",
      ...{ key: "s1 charge", at: 0, attempt: 2, error, retryAt },
    };
    t.is(
      shown(viewOf([{ afterMs: 0, entries: [entry] }])).at(-1),
      `1 w1 durable step: attempt 2 of step "charge" (2) failed: Error: no; again ${when}`,
    );
  }
});

test("a request to cancel is shown until the run has noticed it", (t) => {
  const cancelRequest = { by: "ann", reason: "", at: STARTED_AT + 9 };
  t.is(shown(viewOf([], { cancelRequest })).at(-1), "cancel: ann asked to cancel");
  const entries: Entry[] = [{ kind: "cancel-requested", by: "ann", reason: "" }];
  const rows = shown(viewOf([{ afterMs: 0, entries }], { cancelRequest }));
  t.is(rows.filter((row) => row.includes("asked to cancel")).length, 1);
});

test("that a worker has outlived a run is no row", (t) => {
  const view = viewOf([{ afterMs: 0, entries: [step, { kind: "outlived" }] }]);
  t.is(timelineOf(view).at(-1)?.kind, "step");
});

test("a fork names its origin", (t) => {
  const forkedFrom = { runId: "41", reason: "why" };
  t.is(timelineOf(viewOf([], { forkedFrom }))[0]?.text, "tester forked it from 41: why");
});

test("a child names its parent", (t) => {
  const parent = { taskName: "fulfil", runId: "7", startSequence: 1, key: "w0 x" };
  t.deepEqual(shown(viewOf([], { parent })), ["started: started as a child of fulfil/7"]);
});

test("waits that are not settled are listed with their earliest time", (t) => {
  const view = viewOf([{ afterMs: 5, entries: [sleep, { kind: "waiting" }] }]);
  t.deepEqual(pendingWaits(view, STARTED_AT), [
    {
      key: "w0 nap",
      since: STARTED_AT + 5,
      text: "the time 2030-01-01T00:01:00Z (in 1 min)",
      dueAt,
    },
  ]);
  const event: Entry = {
    kind: "wait-opened",
    key: "w0 e",
    at: 0,
    condition: { kind: "event", name: "e", after: 0 },
  };
  t.false("dueAt" in (pendingWaits(viewOf([{ afterMs: 0, entries: [event] }]), 0)[0] ?? {}));
});

test("a run that continues says how often it has, and with what", (t) => {
  const continued = (count: number): CommitSketch["entries"][number] => ({
    ...{ kind: "continued", input: { from: count }, count, firstOrdinal: 0 },
    ...{ limitFrom: 0, eventsAfter: 0, consumed: [] },
  });
  const entries = [1, 2, 3, 4, 11, 21].map(continued);
  const rows = timelineOf(viewOf([{ afterMs: 1, entries }]));
  const times = rows.filter(({ kind }) => kind === "continued").map(({ text }) => text);
  t.is(times[0], "continues for the 1st time, with the input { from: 1 }");
  t.deepEqual(
    times.map((text) => text.split(" ")[3]),
    ["1st", "2nd", "3rd", "4th", "11th", "21st"],
  );
});
