import test from "ava";
import fc from "fast-check";
import { encode } from "../../shared/codec.ts";
import { InvalidInputError, UndecodableError } from "../../shared/errors.ts";
import {
  type Because,
  type CancelRequest,
  decodeCancel,
  decodeEnclosed,
  decodeExpiry,
  decodeReady,
  decodeStart,
  decodeWait,
  encodeCancel,
  encodeExpiry,
  encodeReady,
  encodeStart,
  encodeWait,
  type Ready,
  type Start,
  type WaitRegistration,
  type WatchedLeaf,
} from "../../shared/messages.ts";

const text = fc.string({ maxLength: 20 });
const name = fc.string({ minLength: 1, maxLength: 128 });
const count = fc.nat();
const positions = fc.array(count, { maxLength: 5 });

const starts: fc.Arbitrary<Start> = fc.record(
  {
    input: fc.oneof(text, fc.constant(undefined), fc.constant({ a: [1, null] })),
    events: fc.record({ after: count, created: text }),
    fork: fc.record({
      runId: name,
      startedAt: count,
      seed: text,
      reason: text,
      commits: fc.array(fc.constant(Uint8Array.of(1, 2))),
    }),
    parent: fc.record({ taskName: name, runId: name, startSequence: count, key: text }),
    nonce: text,
    by: text,
    queueTimeoutMs: count,
  },
  { requiredKeys: ["input", "events", "nonce", "by"] },
);
const because: fc.Arbitrary<Because> = fc.record(
  {
    timer: fc.double({ noNaN: true, min: 0, max: 8e15 }),
    events: fc.array(fc.tuple(text, count, count)),
    children: fc.array(fc.tuple(text, count, positions)),
    cancel: count,
    poke: text,
    repair: fc.record(
      {
        by: text,
        reason: text,
        again: fc.array(text),
        skip: fc.record({ key: text, value: fc.constantFrom(null, 1, "x") }),
      },
      { requiredKeys: ["by", "reason"] },
    ),
  },
  { requiredKeys: [] },
);
const readies: fc.Arbitrary<Ready> = fc.record({
  answers: count,
  startSequence: count,
  isChild: fc.boolean(),
  because,
});
const leaves: fc.Arbitrary<WatchedLeaf> = fc.record({
  key: text,
  leaf: count,
  condition: fc.oneof(
    fc.record({ kind: fc.constant("event" as const), name: text, after: count }),
    fc.record({ kind: fc.constant("child" as const), taskName: name, runId: name }),
    fc.record({
      kind: fc.constant("children" as const),
      taskName: name,
      first: count,
      count: fc.nat(25_000), // of four leaves no more than a run may have
    }),
  ),
  recorded: fc
    .uniqueArray(fc.nat(99_999), { minLength: 6, maxLength: 6 })
    .map((all) => all.sort((a, b) => a - b))
    .map(([a = 0, b = 0, c = 0, d = 0]): [number, number][] => [
      [a, b],
      [c, d],
    ]),
});
const waits: fc.Arbitrary<WaitRegistration> = fc.record(
  {
    waitSequence: count,
    startSequence: count,
    isChild: fc.boolean(),
    leaves: fc.array(leaves, { maxLength: 4 }),
    consumed: positions,
    passMs: count,
    eventsCreated: text,
  },
  { requiredKeys: ["waitSequence", "startSequence", "isChild", "leaves", "consumed", "passMs"] },
);
const cancels: fc.Arbitrary<CancelRequest> = fc.record({
  startSequence: count,
  by: text,
  reason: text,
  isTermination: fc.boolean(),
});

/** Each kind of message: how it is made, written and read, and bodies that are none. */
const kinds: readonly {
  readonly kind: string;
  readonly messages: fc.Arbitrary<unknown>;
  readonly write: (message: never) => Uint8Array;
  readonly read: (message: Uint8Array, where: string) => unknown;
  readonly bad: readonly unknown[];
}[] = [
  {
    kind: "start",
    messages: starts,
    write: encodeStart,
    read: decodeStart,
    bad: [
      [1, "0", "created", null, "nonce", "by"],
      [1, -1, "created", null, "nonce", "by"],
      [1, 0, new Date(0), null, "nonce", "by"],
      [1, 0, "created", null, 5, "by"],
      [1, 0, "created", null, "nonce"],
      [1, 0, "created", undefined, "nonce", "by"],
      [1, 0, "created", "parent", "nonce", "by"],
      [1, 0, "created", ["task", "run", 1], "nonce", "by"],
      [1, 0, "created", ["task", "", 1, "key"], "nonce", "by"],
      [1, 0, "created", ["t".repeat(129), "run", 1, "key"], "nonce", "by"],
      [1, 0, "created", ["task", "run", "1", "key"], "nonce", "by"],
      [1, 0, "created", null, "nonce", "by", "soon"],
      [1, 0, "created", null, "nonce", "by", -1],
      [1, 0, "created", null, "nonce", "by", null, "fork"],
      [1, 0, "created", null, "nonce", "by", null, ["run", 1, "seed", "why", ["commit"]]],
    ],
  },
  {
    kind: "ready",
    messages: readies,
    write: encodeReady,
    read: decodeReady,
    bad: [
      ["1", 1, false, {}],
      [1.5, 1, false, {}],
      [-1, 1, false, {}],
      [1, Number.NaN, false, {}],
      [1, 1, 0, {}],
      [1, 1, false, null],
      [1, 1, false, "timer"],
      [1, 1, false, { timer: "now" }],
      [1, 1, false, { timer: 1e300 }],
      [1, 1, false, { timer: Number.POSITIVE_INFINITY }],
      [1, 1, false, { events: 5 }],
      [1, 1, false, { events: [5] }],
      [1, 1, false, { events: [["key", 0, "1"]] }],
      [1, 1, false, { children: { length: 1 } }],
      [1, 1, false, { children: [["key", 0, 5]] }],
      [1, 1, false, { children: [["key", 0, [-1]]] }],
      [1, 1, false, { cancel: true }],
      [1, 1, false, { poke: 1 }],
      [1, 1, false, { repair: 1 }],
      [1, 1, false, { repair: null }],
      [1, 1, false, { repair: { by: "a" } }],
      [1, 1, false, { repair: { by: "a", reason: "b", again: [1] } }],
      [1, 1, false, { repair: { by: "a", reason: "b", skip: "c" } }],
      [1, 1, false, { repair: { by: "a", reason: "b", skip: null } }],
      [1, 1, false, { repair: { by: "a", reason: "b", skip: {} } }],
    ],
  },
  {
    kind: "wait",
    messages: waits,
    write: encodeWait,
    read: decodeWait,
    bad: [
      [null, 1, false, [], [], 0],
      [1, null, false, [], [], 0],
      [1, 1, "no", [], [], 0],
      [1, 1, false, {}, [], 0],
      [1, 1, false, [], 5, 0],
      [1, 1, false, [], ["5"], 0],
      [1, 1, false, [], [], 0, 7],
      [1, 1, false, [], [], "0"],
      [1, 1, false, [5], [], 0],
      [1, 1, false, [["key", 0, 7, []]], [], 0],
      [1, 1, false, [["key", 0, { kind: "sleep", dueAt: 1 }, []]], [], 0],
      [1, 1, false, [["key", 0, { kind: "nap" }, []]], [], 0],
      [1, 1, false, [["key", 0, { kind: "anyOf", of: [] }, []]], [], 0],
      [1, 1, false, [["key", "0", { kind: "child", taskName: "t", runId: "r" }, []]], [], 0],
      [1, 1, false, [[7, 0, { kind: "child", taskName: "t", runId: "r" }, []]], [], 0],
      [1, 1, false, [["key", 0, { kind: "child", taskName: "t", runId: "r" }, [5]]], [], 0],
      [1, 1, false, [["key", 0, { kind: "child", taskName: "t", runId: "r" }]], [], 0],
    ],
  },
  {
    kind: "expiry",
    messages: fc.record({ startSequence: count, limitMs: count }),
    write: encodeExpiry,
    read: decodeExpiry,
    bad: [[1], ["1", 5], [1, -5]],
  },
  {
    kind: "cancel",
    messages: cancels,
    write: encodeCancel,
    read: decodeCancel,
    bad: [
      ["1", "by", "reason"],
      [1, null, "reason"],
      [1, "by", {}],
      [1, "by"],
    ],
  },
];

for (const { kind, messages, write, read, bad } of kinds) {
  test(`a ${kind} message comes back as it was written`, (t) => {
    fc.assert(
      fc.property(messages, (message) => {
        t.deepEqual(read(write(message as never), "here"), message);
        return true;
      }),
      { numRuns: 300 },
    );
  });

  test(`a body that is no ${kind} message is undecodable, and the error says where it is`, (t) => {
    for (const body of [null, 1, "text", {}, [], new Map(), ...bad])
      t.throws(
        () => read(encode(body, "body"), "x.y.z, sequence 7"),
        { instanceOf: UndecodableError, message: /^The message at x\.y\.z, sequence 7 is not a / },
        JSON.stringify(body),
      );
  });

  test(`changed bytes of a ${kind} message never end in another error`, (t) => {
    const changes = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 3 });
    const endsWell = (body: Uint8Array): boolean => {
      try {
        read(body, "here");
      } catch (error) {
        return error instanceof UndecodableError;
      }
      return true;
    };
    fc.assert(
      fc.property(messages, changes, (message, edits) => {
        const body = write(message as never);
        for (const [at, byte] of edits) body[at % body.length] = byte;
        return endsWell(body);
      }),
      { numRuns: 2_000 },
    );
    fc.assert(
      fc.property(fc.array(fc.anything({ maxDepth: 2 }), { maxLength: 7 }), (body) => {
        try {
          return endsWell(encode(body, "body"));
        } catch (error) {
          return error instanceof InvalidInputError;
        }
      }),
      { numRuns: 2_000 },
    );
    t.pass();
  });
}

test("an input that cannot be stored is refused as the input", (t) => {
  const start = { input: () => 1, events: { after: 0, created: "" }, nonce: "n", by: "b" };
  t.throws(() => encodeStart(start), { instanceOf: InvalidInputError, message: /^The input / });
});

test("a registration without recorded children is read as one with none", (t) => {
  const condition = { kind: "child", taskName: "t", runId: "r" } as const;
  const wait = { waitSequence: 1, startSequence: 1, isChild: true, consumed: [], passMs: 0 };
  const body = encodeWait({ ...wait, leaves: [{ key: "k", leaf: 0, condition }] });
  t.deepEqual(decodeWait(body, "here").leaves, [{ key: "k", leaf: 0, condition, recorded: [] }]);
});

test("a registration that would cost the engine more than a run may have is undecodable", (t) => {
  const group = (count: number): unknown => ({ kind: "children", taskName: "t", first: 0, count });
  const wait = (...leaves: readonly (readonly [condition: unknown, recorded?: unknown])[]) => {
    const rows = leaves.map(([condition, recorded = []], i) => ["k", i, condition, recorded]);
    return encode([1, 1, false, rows, [], 0], "wait");
  };
  t.is(
    decodeWait(
      wait(
        [group(50_000)],
        [
          group(50_000),
          [
            [0, 9],
            [11, 11],
          ],
        ],
      ),
      "here",
    ).leaves.length,
    2,
  );
  const event = { kind: "event", name: "e", after: 0 };
  const bad = [
    wait([group(50_000)], [group(50_001)]),
    wait([group(5), [[0, 2 ** 53 - 1]]]),
    wait([group(5), [[3, 1]]]),
    wait([
      group(5),
      [
        [0, 2],
        [2, 3],
      ],
    ]),
    wait([
      group(5),
      [
        [0, 2],
        [0, 2],
      ],
    ]),
    wait([group(5), [[0, 100_000]]]),
    wait([{ ...event, where: { a: 2n ** 60n } }]),
    wait([{ ...event, where: { a: [new Map([["b", 1]])] } }]),
    wait([{ ...event, where: new Set() }]),
    wait([{ ...event, where: { a: undefined } }]),
  ];
  for (const [i, body] of bad.entries())
    t.throws(() => decodeWait(body, "here"), { instanceOf: UndecodableError }, String(i));
  const where = { a: { $in: [1, null, "x", { b: true }] } };
  t.deepEqual(decodeWait(wait([{ ...event, where }]), "here").leaves[0]?.condition, {
    ...event,
    where,
  } as never);
});

test("copies of events in a token are read as they were written, and what is no copy is left out", (t) => {
  const ready: Ready = {
    answers: 7,
    startSequence: 1,
    isChild: false,
    because: { events: [["w0 paid", 0, 5]] },
  };
  const copy = { sequence: 5, name: "paid", timeMs: 1_000, contentType: "", data: Buffer.of(49) };
  const [read] = decodeEnclosed(encodeReady(ready, [copy]), "here");
  t.deepEqual({ ...read, data: Buffer.from(read?.data ?? []) }, copy);
  t.deepEqual(decodeEnclosed(encodeReady(ready), "here"), []);
  const row = [5, "paid", 1_000, "", Buffer.of(49)];
  const broken = row.map((_, i) => row.map((field, j) => (i === j ? null : field)));
  t.deepEqual(decodeEnclosed(encode([7, 1, false, {}, [1, ...broken]], "token"), "here"), []);
});
