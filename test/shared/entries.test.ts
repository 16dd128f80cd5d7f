import { inspect } from "node:util";
import test from "ava";
import fc from "fast-check";
import { decode, encode } from "../../shared/codec.ts";
import {
  type Commit,
  decodeCommit,
  type Entry,
  encodeCommit,
  type LeafOutcome,
  type Outcome,
  type StoredCondition,
} from "../../shared/entries.ts";
import { InvalidInputError, UndecodableError } from "../../shared/errors.ts";

const text = fc.string({ maxLength: 20 });
const name = fc.string({ minLength: 1, maxLength: 128 });
const count = fc.nat();
const value = fc
  .jsonValue({ maxDepth: 2 })
  .map((json): unknown => JSON.parse(JSON.stringify(json).replaceAll("__proto__", "proto")));
const failure = fc.record(
  {
    name: text,
    message: text,
    stack: text,
    code: text,
    cause: fc.record({ name: text, message: text }),
  },
  { requiredKeys: ["name", "message"] },
);
const outcome: fc.Arbitrary<Outcome> = fc.oneof(
  fc.record({ status: fc.constant("completed" as const), output: value }),
  fc.record({ status: fc.constantFrom("failed" as const, "canceled" as const), error: failure }),
);
const condition: fc.Arbitrary<StoredCondition> = fc.oneof(
  fc.record({ kind: fc.constant("sleep" as const), dueAt: count }),
  fc.record({
    kind: fc.constant("event" as const),
    name: text,
    where: fc.constant({ a: 1 }),
    after: count,
  }),
  fc.record({ kind: fc.constant("child" as const), taskName: name, runId: name }),
  fc.constant({
    kind: "anyOf" as const,
    of: [["a", { kind: "children", taskName: "t", first: 0, count: 2 }] as const],
  }),
);
const leafOutcome: fc.Arbitrary<LeafOutcome> = fc.oneof(
  fc.constant({ kind: "sleep" as const }),
  fc.record({
    kind: fc.constant("event" as const),
    name: text,
    data: value,
    sequence: count,
    publishedAt: count,
  }),
  fc.record({ kind: fc.constant("child" as const), taskName: text, runId: text, outcome }),
  fc.record({
    kind: fc.constant("children" as const),
    ended: fc.array(fc.tuple(fc.nat(99_999), outcome)),
  }),
);

/** Entries with and without the place in the code. */
function maybePlaced<T>(fields: { [K in keyof T]: fc.Arbitrary<T[K]> }) {
  const placed = { ...fields, source: text } as {
    [K in keyof (T & { source: string })]: fc.Arbitrary<(T & { source: string })[K]>;
  };
  return fc.oneof(fc.record(fields), fc.record(placed)) as fc.Arbitrary<T & { source?: string }>;
}

/** Every kind of entry, with every field: a new kind that is missing here does not compile. */
const byKind: { readonly [K in Entry["kind"]]: fc.Arbitrary<Extract<Entry, { kind: K }>> } = {
  "attempt-failed": maybePlaced({
    kind: fc.constant("attempt-failed" as const),
    key: text,
    at: count,
    attempt: count,
    error: failure,
    retryAt: count,
  }),
  claimed: fc.record({ kind: fc.constant("claimed" as const), worker: text, because: text }),
  "step-completed": maybePlaced({
    kind: fc.constant("step-completed" as const),
    key: text,
    at: count,
    attempts: count,
    durationMs: count,
    value,
  }),
  "step-failed": maybePlaced({
    kind: fc.constant("step-failed" as const),
    key: text,
    at: count,
    attempts: count,
    durationMs: count,
    error: failure,
  }),
  "wait-opened": maybePlaced({
    kind: fc.constant("wait-opened" as const),
    key: text,
    at: count,
    condition,
  }),
  "wait-settled": fc.record({
    kind: fc.constant("wait-settled" as const),
    key: text,
    leaf: count,
    outcome: leafOutcome,
  }),
  "child-started": maybePlaced({
    kind: fc.constant("child-started" as const),
    key: text,
    at: count,
    taskName: text,
    runIds: fc.array(text),
    first: count,
    isLeft: fc.boolean(),
  }),
  waiting: fc.constant({ kind: "waiting" as const }),
  paused: fc.record({ kind: fc.constant("paused" as const), reason: text, details: value }),
  "cancel-requested": fc.record({
    kind: fc.constant("cancel-requested" as const),
    by: text,
    reason: text,
  }),
  heartbeat: fc.record({ kind: fc.constant("heartbeat" as const), key: text, details: value }),
  "timed-out": fc.record({ kind: fc.constant("timed-out" as const), limitMs: count }),
  "operation-interrupted": fc.record({
    kind: fc.constant("operation-interrupted" as const),
    key: text,
    at: count,
  }),
  "cleanup-over": fc.constant({ kind: "cleanup-over" as const }),
  ended: fc.record({ kind: fc.constant("ended" as const), outcome }),
  "change-noted": fc.record({ kind: fc.constant("change-noted" as const), name: text, at: count }),
  "version-pinned": fc.record({ kind: fc.constant("version-pinned" as const), version: text }),
  resumed: fc.record({ kind: fc.constant("resumed" as const), by: text, reason: text }),
  retried: fc.record({
    kind: fc.constant("retried" as const),
    by: text,
    reason: text,
    again: fc.array(text),
  }),
  outlived: fc.constant({ kind: "outlived" as const }),
  continued: fc.record({
    kind: fc.constant("continued" as const),
    input: value,
    count,
    firstOrdinal: count,
    limitFrom: count,
    eventsAfter: count,
    consumed: fc.array(count),
  }),
  retired: fc.record({ kind: fc.constant("retired" as const), end: count }),
  "step-skipped": fc.record({
    kind: fc.constant("step-skipped" as const),
    by: text,
    reason: text,
    key: text,
    value,
  }),
};
const commits: fc.Arbitrary<Commit> = fc.record({
  startSequence: count,
  pass: text,
  token: count,
  time: fc.double({ noNaN: true, min: -8e15, max: 8e15 }).map((time) => time + 0),
  entries: fc.array(fc.oneof(...(Object.values(byKind) as fc.Arbitrary<Entry>[])), {
    maxLength: 5,
  }),
});

/** Whether decoding these bytes ends as it may: with a commit, or with the one error for it. */
function endsWell(message: Uint8Array): boolean {
  try {
    decodeCommit(message, 7, "here");
  } catch (error) {
    return error instanceof UndecodableError;
  }
  return true;
}

test("a commit of any entries comes back as it was written, with its place", (t) => {
  for (const [kind, arbitrary] of Object.entries(byKind))
    fc.assert(
      fc.property(
        commits,
        arbitrary as fc.Arbitrary<Entry>,
        fc.nat(),
        (commit, entry, sequence) => {
          const written = { ...commit, entries: [...commit.entries, entry] };
          const bytes = encodeCommit(written, "history");
          t.deepEqual(decodeCommit(bytes, sequence, "here"), { ...written, sequence }, kind);
          return true;
        },
      ),
      { numRuns: 100 },
    );
});

test("every kind of entry has its own number on the wire, which never changes", (t) => {
  const commit = { startSequence: 1, pass: "p", token: 1, time: 0 };
  const numbers = Object.entries(byKind).map(([kind, arbitrary]) => {
    const [entry] = fc.sample(arbitrary as fc.Arbitrary<Entry>, 1) as [Entry];
    const bytes = encodeCommit({ ...commit, entries: [entry] }, "history");
    const [, , , , [[number]]] = decode(bytes, "here") as [0, 0, 0, 0, [[number]]];
    return [kind, number];
  });
  t.deepEqual(Object.fromEntries(numbers), {
    claimed: 0,
    "step-completed": 1,
    "step-failed": 2,
    "wait-opened": 3,
    "wait-settled": 4,
    "child-started": 5,
    waiting: 6,
    paused: 7,
    "cancel-requested": 8,
    ended: 9,
    "attempt-failed": 10,
    "timed-out": 11,
    "operation-interrupted": 12,
    "cleanup-over": 13,
    heartbeat: 14,
    "change-noted": 15,
    "version-pinned": 16,
    resumed: 17,
    retried: 18,
    "step-skipped": 19,
    outlived: 20,
    continued: 21,
    retired: 22,
  });
});

test("a commit with more fields at the end of its entries is read by this version too", (t) => {
  const later = encode(
    [
      1,
      "p",
      1,
      0,
      [
        [0, "worker", "start", "more"],
        [6, "more"],
      ],
      "more",
    ],
    "commit",
  );
  t.deepEqual(decodeCommit(later, 9, "here").entries, [
    { kind: "claimed", worker: "worker", because: "start" },
    { kind: "waiting" },
  ]);
});

test("a message that is no commit, or has an entry that is none, is undecodable", (t) => {
  const entry = (...tuple: unknown[]): unknown => [1, "p", 1, 0, [tuple]];
  const bodies: unknown[] = [
    ...[null, undefined, 1, "text", {}, [], [1, "p", 1, 0], [1, "p", 1, 0, {}], new Map()],
    ["1", "p", 1, 0, []],
    [1, 2, 1, 0, []],
    [1, "p", null, 0, []],
    [1, "p", 1, new Date(0), []],
    [1, "p", 1, 0, [null]],
    [1, "p", 1, 0, ["waiting"]],
    [1, "p", 1, 0, [{ 0: 6 }]],
    ...[[], [11], [-1], [0.5], [Number.NaN], ["0"], ["map"], ["length"], ["__proto__"], [[6]]].map(
      (tuple) => entry(...tuple),
    ),
    entry(0, "worker"),
    entry(0, "worker", 7),
    entry(1, "key", "0", 1, 1, null),
    entry(3, "key", 0, null),
    entry(3, "key", 0, "sleep"),
    entry(4, "key", 0, undefined),
    entry(1, "key", 0, 1, 1, null, 5),
    entry(15, "name"),
    entry(16, 2),
    entry(9, null),
    entry(9, "completed"),
  ];
  for (const body of bodies)
    t.throws(() => decodeCommit(encode(body, "value"), 7, "h.7"), {
      instanceOf: UndecodableError,
      message: /^The message at h\.7 is not a /,
    });
});

test("what is inside an entry has the form that the fold relies on", (t) => {
  const entry = (...tuple: unknown[]): Uint8Array => encode([1, "p", 1, 0, [tuple]], "value");
  const bad: unknown[][] = [
    [4, "key", 0, {}],
    [4, "key", 0, { kind: "nap" }],
    [4, "key", 0, { kind: "event", name: "e", data: 1, sequence: "1", publishedAt: 0 }],
    [4, "key", 0, { kind: "child", taskName: "t", runId: "r" }],
    [4, "key", 0, { kind: "child", taskName: "t", runId: "r", outcome: { status: "odd" } }],
    [4, "key", 0, { kind: "children", ended: 5 }],
    [4, "key", 0, { kind: "children", ended: [5] }],
    [4, "key", 0, { kind: "children", ended: [[0, null]] }],
    [4, "key", 0, { kind: "children", ended: [[100_000, { status: "completed" }]] }],
    [3, "key", 0, {}],
    [3, "key", 0, 7],
    [3, "key", 0, []],
    [3, "key", 0, { kind: "anyOf" }],
    [3, "key", 0, { kind: "allOf", of: [5] }],
    [3, "key", 0, { kind: "allOf", of: [[{}, { kind: "sleep", dueAt: 1 }]] }],
    [3, "key", 0, { kind: "allOf", of: [["a", { kind: "sleep", dueAt: "soon" }]] }],
    [3, "key", 0, { kind: "sleep", dueAt: 1e300 }],
    [3, "key", 0, { kind: "event", name: 5, after: 0 }],
    [3, "key", 0, { kind: "event", name: "e", after: -1 }],
    [3, "key", 0, { kind: "event", name: "e", after: 0, where: "a" }],
    [3, "key", 0, { kind: "event", name: "e", after: 0, where: { a: 2n ** 60n } }],
    [3, "key", 0, { kind: "child", taskName: "", runId: "r" }],
    [3, "key", 0, { kind: "child", taskName: "t", runId: "r".repeat(129) }],
    [3, "key", Number.NaN, { kind: "sleep", dueAt: 1 }],
    [3, "key", 0, { kind: "child", taskName: "t" }],
    [3, "key", 0, { kind: "children", taskName: "t", first: 0, count: -1 }],
    [3, "key", 0, { kind: "children", taskName: "t", first: 0, count: 1e9 }],
    [5, "key", 0, "t", {}, 0],
    [5, "key", 0, "t", [5], 0],
    [2, "key", 0, 1, 1, {}],
    [9, {}],
    [9, { status: "running" }],
    [9, { status: "failed" }],
    [9, { status: "failed", error: "text" }],
    [9, { status: "canceled", error: { name: "n" } }],
  ];
  for (const tuple of bad)
    t.throws(
      () => decodeCommit(entry(...tuple), 7, "h.7"),
      { instanceOf: UndecodableError },
      inspect(tuple),
    );
});

test("changed bytes of a commit never end in another error than the one for undecodable messages", (t) => {
  const changes = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 3 });
  fc.assert(
    fc.property(commits, changes, (commit, edits) => {
      const bytes = encodeCommit(commit, "history");
      for (const [at, byte] of edits) bytes[at % bytes.length] = byte;
      return endsWell(bytes);
    }),
    { numRuns: 3_000 },
  );
  const anything = fc.anything({ maxDepth: 3 });
  fc.assert(
    fc.property(fc.array(anything, { maxLength: 6 }), (tuple) => {
      try {
        return endsWell(encode([1, "p", 1, 0, [tuple]], "value"));
      } catch (error) {
        return error instanceof InvalidInputError;
      }
    }),
    { numRuns: 3_000 },
  );
  t.pass();
});

test("a commit with a value that cannot be stored is refused and named", (t) => {
  const entry = { kind: "ended", outcome: { status: "completed", output: () => 1 } } as const;
  const commit = { startSequence: 1, pass: "p", token: 1, time: 0, entries: [entry] };
  t.throws(() => encodeCommit(commit, "history of run 1"), {
    instanceOf: InvalidInputError,
    message: /^The history of run 1 .*is a function/,
  });
});
