/** One sentence for each place where a run can be. */
import test from "ava";
import type { Entry, StoredCondition } from "../../shared/entries.ts";
import { explainRun, type RunFacts } from "../../shared/explain.ts";
import { typeMismatch } from "../../shared/filter-mismatches.ts";
import type { LeaseRecord } from "../../shared/leases.ts";
import type { TaskGroup } from "../../shared/task-group.ts";
import { STARTED_AT, viewOf } from "../helpers/run-view.ts";

const group: TaskGroup = {
  waitingRequests: 1,
  pendingTokens: 0,
  heldTokens: 0,
  claimTimeoutMs: 10_000,
};
const facts: RunFacts = {
  now: STARTED_AT + 60_000,
  leases: [],
  group,
  hasEngine: true,
  firstEvent: 1,
};
const PREFIX = 'Run "42" of task "pay" ';
const AGO = "2030-01-01T00:00:00Z (1 min ago)";

function lease(worker: string, held: LeaseRecord["held"] = []): LeaseRecord {
  const at = new Date(STARTED_AT).toISOString();
  return { worker, host: "h", pid: 1, pool: "durable", capacity: 8, held, at };
}

function holding(worker: string, afterMs: number): LeaseRecord {
  const since = new Date(STARTED_AT + afterMs).toISOString();
  return lease(worker, [{ task: "pay", run: "42", since }]);
}

function opened(condition: StoredCondition, key = "w0 it"): Entry {
  return { kind: "wait-opened", key, at: 0, condition };
}

function waitingView(condition: StoredCondition, more: { hasRegistration?: boolean } = {}) {
  const entries: Entry[] = [opened(condition), { kind: "waiting" }];
  return viewOf([{ afterMs: 0, entries }], { hasRegistration: true, ...more });
}

const event: StoredCondition = { kind: "event", name: "paid", after: 3 };
const child: StoredCondition = { kind: "child", taskName: "pack", runId: "c" };
const sleep = (afterMs: number): StoredCondition => ({
  kind: "sleep",
  dueAt: STARTED_AT + afterMs,
});

test("a queued run says which worker is missing", (t) => {
  const cases: readonly (readonly [Partial<RunFacts>, string])[] = [
    [{ group: undefined }, "no worker has ever registered its task"],
    [{}, "a worker with a free slot takes it next"],
    [{ group: { ...group, waitingRequests: 0, pendingTokens: 1 } }, "no worker is running"],
    [
      {
        group: { ...group, waitingRequests: 0, pendingTokens: 1 },
        leases: [lease("a"), lease("a")],
      },
      "of the one worker that is running, none with a free slot asks for its task",
    ],
    [
      {
        group: { ...group, waitingRequests: 0, pendingTokens: 1 },
        leases: [lease("a"), lease("b")],
      },
      "of the 2 workers that are running, none with a free slot asks for its task",
    ],
    [
      { group: { ...group, heldTokens: 1 } },
      "a worker has been told of it and holds no slot for it: another is told after 10 s without a sign of life",
    ],
  ];
  for (const [more, text] of cases) {
    const explained = explainRun(viewOf([]), { ...facts, ...more });
    t.is(explained.sentence, `${PREFIX}is queued since ${AGO}: ${text}.`);
    t.is(explained.status, "queued");
    t.is(explained.since, STARTED_AT);
  }
});

test("a run that a worker holds says which, in either status", (t) => {
  const running = viewOf([{ afterMs: 0, entries: [opened(sleep(500))] }]);
  for (const view of [viewOf([]), running]) {
    const leases = [holding("old", 1_000), holding("new", 2_000), lease("other")];
    const explained = explainRun(view, { ...facts, leases });
    t.is(
      explained.sentence,
      `${PREFIX}is running: worker new holds one of its 8 durable slots for it since 2030-01-01T00:00:02Z (58 s ago).`,
    );
    t.is(explained.status, "running");
    t.is(explained.since, STARTED_AT + 2_000);
  }
});

test("a running run without a slot says whether its worker lives", (t) => {
  const view = viewOf([{ afterMs: 0, pass: "w1/d1", entries: [opened(sleep(500))] }]);
  t.is(
    explainRun(view, { ...facts, leases: [lease("w1")] }).sentence,
    `${PREFIX}is at worker w1, which last wrote at ${AGO} and holds no slot for it now: it sleeps for a second or less, or goes on at this moment.`,
  );
  t.is(
    explainRun(view, { ...facts, leases: [lease("w2")] }).sentence,
    `${PREFIX}was at worker w1, which last wrote at ${AGO} and is gone: another worker takes it over at the latest 10 s after the last sign of life.`,
  );
});

test("a waiting run says for what, since when, and what will wake it", (t) => {
  const timeout: StoredCondition = {
    kind: "anyOf",
    of: [
      ["event", event],
      ["timeout", sleep(90_000)],
    ],
  };
  const cases: readonly (readonly [StoredCondition, string])[] = [
    [
      sleep(90_000),
      "the time 2030-01-01T00:01:30Z (in 30 s): the server wakes it when its time has come",
    ],
    [event, 'event "paid": an engine wakes it when a matching event is published'],
    [child, 'the end of run "c" of task "pack": an engine wakes it when children end'],
    [
      timeout,
      'event "paid" or the time 2030-01-01T00:01:30Z (in 30 s): the server wakes it when its time has come; an engine wakes it when a matching event is published',
    ],
    [
      {
        kind: "allOf",
        of: [
          [0, event],
          [1, child],
        ],
      },
      'event "paid" and the end of run "c" of task "pack": an engine wakes it when a matching event is published or when children end',
    ],
    [
      sleep(30_000),
      "the time 2030-01-01T00:00:30Z (30 s ago): its time is over since 30 s, and a worker with a free slot takes it next",
    ],
  ];
  for (const [condition, text] of cases) {
    const explained = explainRun(waitingView(condition), facts);
    t.is(explained.sentence, `${PREFIX}waits since ${AGO} for ${text}.`);
    t.is(explained.status, "waiting");
  }
});

test("a waiting run says that nobody can wake it now", (t) => {
  t.regex(
    explainRun(waitingView(event), { ...facts, hasEngine: false }).sentence,
    /no engine is running, which would have to match it: start one with "contrail engine"\.$/,
  );
  t.regex(
    explainRun(waitingView(event, { hasRegistration: false }), facts).sentence,
    /its registration with the engine is under way\.$/,
  );
});

test("a wait for events that are no longer kept says so", (t) => {
  t.notRegex(explainRun(waitingView(event), { ...facts, firstEvent: 4 }).sentence, /no longer/);
  t.regex(
    explainRun(waitingView(event), { ...facts, firstEvent: 5 }).sentence,
    /events before number 5 are no longer kept, so a match among them is missed\.$/,
  );
});

test("a run of many waits names three and counts the rest", (t) => {
  const entries = [0, 1, 2, 3, 4].map((i) => opened(event, `w${i} paid`));
  const view = viewOf(
    [
      { afterMs: 10_000, entries: entries.slice(0, 1) },
      { afterMs: 20_000, entries: [...entries.slice(1), { kind: "waiting" }] },
    ],
    { hasRegistration: true },
  );
  const { sentence, since } = explainRun(view, facts);
  t.regex(
    sentence,
    /for event "paid"; for event "paid"; for event "paid"; for 2 more waits: an engine/,
  );
  t.is(since, STARTED_AT + 10_000);
});

test("a paused run that is to end says by whom, and what ends it", (t) => {
  const paused = (code: string): Entry => ({
    ...{ kind: "paused", reason: "It stopped." },
    details: { code },
  });
  const canceled: Entry = { kind: "cancel-requested", by: "ann", reason: "enough" };
  const late: Entry = { kind: "timed-out", limitMs: 5 };
  const rest =
    ', and then cleans up, undoes its steps and ends; or terminate it, which ends it without that ("contrail cancel --terminate").';
  for (const [entries, text] of [
    [
      [canceled, paused("replay-diverged")],
      '"ann" asked to cancel it, but it stays paused until it is resumed with code that follows its history',
    ],
    [
      [canceled, paused("workers-lost")],
      '"ann" asked to cancel it, but it stays paused until it is resumed',
    ],
    [
      [late, paused("workers-lost")],
      "its time limit is over, but it stays paused until it is resumed",
    ],
  ] as const) {
    const { sentence } = explainRun(viewOf([{ afterMs: 0, entries }]), facts);
    const when = `${PREFIX}is paused since ${AGO} and a person must look: It stopped`;
    t.is(sentence, `${when}; ${text}${rest}`);
  }
});

test("a waiting run tells of an event that cannot match its filter, whatever its value is", (t) => {
  const where = { id: "42" };
  const found = typeMismatch(where, { id: 42 }) ?? { path: "", expected: "", found: "" };
  const mismatches = [{ name: "paid", sequence: 7, ...found }];
  t.regex(
    explainRun(waitingView({ ...event, where }), { ...facts, mismatches }).sentence,
    /where { id: "42" }: .*; event "paid", number 7 of the events, came and cannot match: its "id" is the number 42, and the filter asks for the text "42"\.$/,
  );
  for (const [filter, payload] of [
    [where, { id: "43" }],
    [where, {}],
    [where, undefined],
    [where, { id: [7, "43"] }],
    [{ id: { $gt: 5 } }, { id: "6" }],
    [{ id: 42 }, { id: 43 }],
  ] as const)
    t.is(typeMismatch(filter, payload), undefined, JSON.stringify([filter, payload]));
  t.like(typeMismatch({ a: { b: true } }, { a: { b: "true" } }), { path: "a.b", found: "true" });
});

test("a paused run says why", (t) => {
  const view = viewOf([
    { afterMs: 0, entries: [{ kind: "paused", reason: "It replayed\ndifferently.", details: {} }] },
  ]);
  t.is(
    explainRun(view, facts).sentence,
    `${PREFIX}is paused since ${AGO} and a person must look: It replayed differently.`,
  );
});

test("a run that has ended says how", (t) => {
  const error = { name: "RangeError", message: "too\nmuch." };
  const ended = (outcome: Extract<Entry, { kind: "ended" }>["outcome"]) =>
    explainRun(viewOf([{ afterMs: 1_500, entries: [{ kind: "ended", outcome }] }]), facts).sentence;
  const at = "2030-01-01T00:00:01Z (58.5 s ago)";
  t.is(
    ended({ status: "completed", output: 1 }),
    `${PREFIX}completed at ${at}, 1.5 s after its start.`,
  );
  t.is(ended({ status: "failed", error }), `${PREFIX}failed at ${at}: RangeError: too much.`);
  t.is(
    ended({ status: "canceled", error }),
    `${PREFIX}was canceled at ${at}: RangeError: too much.`,
  );
});

test("a request to cancel that is not noticed yet is told", (t) => {
  const cancelRequest = { by: "ann", reason: "", at: STARTED_AT };
  const asked = { cancelRequest, hasRegistration: true };
  const entries: Entry[] = [opened(event), { kind: "waiting" }];
  const text = /, and has not yet noticed that "ann" asked to cancel it\.$/;
  t.regex(explainRun(viewOf([{ afterMs: 0, entries }], asked), facts).sentence, text);
  t.regex(explainRun(viewOf([], asked), facts).sentence, text);
  const paused: Entry[] = [{ kind: "paused", reason: "why", details: null }];
  const alone = { ...facts, hasEngine: false };
  for (const standing of [entries, paused])
    t.regex(
      explainRun(viewOf([{ afterMs: 0, entries: standing }], asked), alone).sentence,
      /asked to cancel it: no engine is running, which would have to tell it; start one with "contrail engine"\.$/,
    );
  t.regex(explainRun(viewOf([], asked), alone).sentence, text, "its first token tells it");
  const noticed: Entry[] = [{ kind: "cancel-requested", by: "ann", reason: "" }];
  t.notRegex(explainRun(viewOf([{ afterMs: 0, entries: noticed }], asked), facts).sentence, text);
});

test("a repair that nobody has taken up yet is told", (t) => {
  const repairRequest = { by: "ann", reason: "", at: STARTED_AT };
  const entries: Entry[] = [{ kind: "paused", reason: "why", details: null }];
  const { sentence } = explainRun(viewOf([{ afterMs: 0, entries }], { repairRequest }), facts);
  t.regex(sentence, /, and "ann" asked to resume it: /);
});

test("every sentence is one line and one sentence, whatever the names are", (t) => {
  const named: Partial<ReturnType<typeof viewOf>> = { taskName: 'a\n"b', runId: "c\u001b[31m" };
  const { sentence } = explainRun(viewOf([], named), facts);
  t.is(sentence.split("\n").length, 1);
  t.false(sentence.includes("\u001b"));
});
