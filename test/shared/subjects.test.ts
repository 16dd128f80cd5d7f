import test from "ava";
import fc from "fast-check";
import { InvalidInputError, UndecodableError } from "../../shared/errors.ts";
import { NAME_BYTES } from "../../shared/limits.ts";
import {
  checkName,
  decodeToken,
  encodeToken,
  type LogKind,
  Names,
  prefixOf,
  type RunAddress,
} from "../../shared/subjects.ts";

const KINDS: readonly LogKind[] = [
  ...(["token.start", "token.ready", "h", "c", "wait", "timer"] as const),
  ...(["cancel", "deadline", "expired"] as const),
];
const HOSTILE = [
  ...["*", ">", ".", "..", "a.b", "*.>", "$JS.API", "$KV", " ", "a b", "\t", "\r\n", "\u0000"],
  ...["_", "__", "_2a", "-", "ä", "漢字", "🦊", "e\u0301", "\uFEFF", "__proto__", "constructor"],
];

/** Texts of any characters but halves of surrogate pairs. */
const texts = fc.oneof(
  fc.string({ unit: "binary", minLength: 1 }),
  fc.string({
    unit: fc.constantFrom("*", ">", ".", "_", "a", "2", "-", " ", "\u0000"),
    minLength: 1,
  }),
  fc.constantFrom(...HOSTILE),
);
const names = texts.filter((text) => Buffer.byteLength(text) <= NAME_BYTES);

test("a token of any text has only characters that mean nothing to the server", (t) => {
  fc.assert(
    fc.property(texts, (text) => /^[A-Za-z0-9_-]+$/.test(encodeToken(text))),
    {
      numRuns: 2_000,
    },
  );
  t.is(encodeToken("order 42"), "order_2042");
  t.is(encodeToken("a_b.c*"), "a__b_2ec_2a");
  t.is(encodeToken("x".repeat(5_000)).length, 5_000);
  t.is(encodeToken("*".repeat(5_000)).length, 15_000);
});

test("a token says which text it was made of, and two texts never share one", (t) => {
  fc.assert(
    fc.property(texts, (text) => decodeToken(encodeToken(text)) === text),
    {
      numRuns: 5_000,
    },
  );
  fc.assert(
    fc.property(texts, texts, (a, b) => (a === b) === (encodeToken(a) === encodeToken(b))),
    { numRuns: 2_000 },
  );
  t.is(new Set(HOSTILE.map(encodeToken)).size, HOSTILE.length);
});

test("a token that no text has is undecodable", (t) => {
  const tokens = fc.string({ unit: fc.constantFrom("_", "2", "a", "f", "A", "F", "-", "c", "3") });
  fc.assert(
    fc.property(fc.oneof(tokens, fc.string({ unit: "binary" })), (token) => {
      let text: string;
      try {
        text = decodeToken(token);
      } catch (error) {
        return error instanceof UndecodableError;
      }
      return encodeToken(text) === token;
    }),
    { numRuns: 10_000 },
  );
  for (const token of ["_", "_2", "a_2G", "_2A", "_61", "_c3", "_ed_a0_80", "ä", "a b", "*", "a."])
    t.throws(() => decodeToken(token), { instanceOf: UndecodableError }, token);
});

test("a name is a text of 1 to 128 bytes of well-formed Unicode, and nothing else", (t) => {
  for (const name of [...HOSTILE, "x".repeat(NAME_BYTES), "ä".repeat(NAME_BYTES / 2)])
    t.notThrows(() => checkName(name, "run id"), name);
  const refuse = (name: unknown, message: RegExp): void => {
    const error = t.throws(() => checkName(name, "run id"), { instanceOf: InvalidInputError });
    t.regex(error?.message ?? "", message);
    t.true((error?.message.length ?? 0) < 300);
  };
  refuse("", /^The run id "" is empty\. Expected a text of 1 to 128 bytes; shorten it/);
  refuse("x".repeat(NAME_BYTES + 1), /has 129 bytes/);
  refuse("ä".repeat(NAME_BYTES / 2 + 1), /has 130 bytes/);
  refuse("x".repeat(5_000), /has 5000 bytes/);
  refuse("a\ud800", /has half of a surrogate pair/);
  refuse("\udc00a", /has half of a surrogate pair/);
  for (const value of [undefined, null, 7, {}, ["a"], Symbol("s"), () => "a"])
    refuse(value, /^The run id is of type \w+\./);
});

test("a namespace is 1 to 32 letters, digits or hyphens", (t) => {
  for (const namespace of ["a", "A-9", "x".repeat(32)])
    t.is(new Names(namespace, 1).namespace, namespace);
  for (const namespace of ["", "a.b", "*", ">", "a b", "a_b", "ä", "a\n", "x".repeat(33)])
    t.throws(() => new Names(namespace, 1), { instanceOf: InvalidInputError }, namespace);
});

test("a log subject says whose message it is and of which kind", (t) => {
  fc.assert(
    fc.property(names, names, fc.integer({ min: 1, max: 64 }), (taskName, runId, shards) => {
      const ns = new Names("ns", shards);
      const address: RunAddress = { taskName, runId };
      const { prefix, shard, stream } = ns.run(address);
      t.is(stream, ns.logStream(shard));
      t.true(shard >= 0 && shard < shards);
      for (const kind of KINDS)
        t.deepEqual(ns.parse(`${prefix}.${kind}`), { ...address, shard, kind });
      for (const kind of KINDS) t.is(prefixOf(`${prefix}.${kind}`), prefix);
      return true;
    }),
    { numRuns: 500 },
  );
});

test("a subject that Contrail does not write is refused: of another shard, kind, form or namespace", (t) => {
  const ns = new Names("ns", 4);
  const { prefix, shard } = ns.run({ taskName: "task", runId: "run" });
  const elsewhere = `ns.log.${(shard + 1) % 4}.task.run.token.start`;
  const subjects = [
    elsewhere,
    `ns.log.0${shard}.task.run.token.start`,
    `ns.log.${shard}.0.task.run.token.start`,
    `ns.log.x.task.run.token.start`,
    `ns.log.4.task.run.token.start`,
    `ns.log.-1.task.run.token.start`,
    `${prefix}.end`,
    `${prefix}.__proto__`,
    `${prefix}.h.h`,
    `${prefix}.start`,
    `${prefix}.token`,
    `${prefix}.token.h`,
    `${prefix}.token.token.start`,
    `${prefix}.`,
    prefix,
    `other.log.${shard}.task.run.token.start`,
    `ns.live.${shard}.task.run.token.start`,
    `ns.log.${shard}.ta*sk.run.token.start`,
    `ns.log.${shard}.task.r_zz.token.start`,
    "",
    ".....",
  ];
  for (const subject of subjects)
    t.throws(() => ns.parse(subject), { instanceOf: UndecodableError }, subject);
});

test("what is too short to be of a run is its own prefix, and belongs to no run", (t) => {
  for (const subject of ["", "ns", "ns.log.1.task"]) t.is(prefixOf(subject), subject);
});

test("a run's shard is the same on every machine, and runs are spread over all", (t) => {
  const ns = new Names("ns", 4);
  t.is(
    ns.run({ taskName: "fulfil-order", runId: "order-42" }).prefix,
    "ns.log.1.fulfil-order.order-42",
  );
  const counts = [0, 0, 0, 0];
  for (let i = 0; i < 10_000; i++) {
    const { shard } = ns.run({ taskName: "task", runId: `run-${i}` });
    counts[shard] = (counts[shard] ?? 0) + 1;
  }
  for (const count of counts) t.true(count > 2_200 && count < 2_800, `${counts}`);
  t.deepEqual(ns.runOfTokens("a_20b", "c"), ns.run({ taskName: "a b", runId: "c" }));
});

test("consumers, streams and buckets have names of their own that the server takes", (t) => {
  const ns = new Names("ns", 2);
  fc.assert(
    fc.property(names, names, (a, b) => {
      const name = ns.taskConsumer(a);
      t.regex(name, /^[A-Za-z0-9_-]{1,200}$/);
      return (a === b) === (name === ns.taskConsumer(b));
    }),
  );
  const long = "*".repeat(NAME_BYTES);
  t.regex(ns.taskConsumer(long), /^[A-Za-z0-9_-]{1,200}$/);
  const hash = ns.taskConsumer(long).slice("hash-".length);
  t.not(ns.taskConsumer(hash), ns.taskConsumer(long));
  t.is(ns.taskTokens("a b", 1), "ns.log.1.a_20b.*.token.*");
  t.is(ns.logSubjects(1), "ns.log.1.>");
  t.is(ns.everyRun(1, "wait"), "ns.log.1.*.*.wait");
  t.is(ns.everyLive("c"), "ns.live.*.*.c");
  t.is(ns.endSubject("client.1"), "ns.end.client.1");
  t.is(ns.liveSubjects, "ns.live.>");
  t.is(ns.liveSubject({ taskName: "a b", runId: "c" }, "h"), "ns.live.a_20b.c.h");
  t.deepEqual(
    [
      ns.eventsStream,
      ns.slotsBucket("regular"),
      ns.slotsBucket("durable"),
      ns.engineBucket,
      ns.apiPrefix,
    ],
    ["ns_EVENTS", "ns_slots_regular", "ns_slots_durable", "ns_engine", "ns.api"],
  );
});

test("parts and facts of a payload have the subjects of an object store", (t) => {
  const ns = new Names("ns", 1);
  t.is(ns.payloadChunks("pack.o-1.a"), "$O.ns_payloads.C.pack.o-1.a");
  t.is(ns.payloadInformation("pack"), "$O.ns_payloads.M.cGFjaw==");
  t.is(ns.payloadInformation("packed"), "$O.ns_payloads.M.cGFja2Vk");
});
