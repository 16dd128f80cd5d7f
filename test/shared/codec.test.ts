import { deflateRawSync } from "node:zlib";
import test, { type ExecutionContext } from "ava";
import fc from "fast-check";
import {
  decode,
  decodeEventPayload,
  encode,
  encodeCompact,
  encodedBytes,
  encodeEventPayload,
} from "../../shared/codec.ts";
import { InvalidInputError, LimitExceededError, UndecodableError } from "../../shared/errors.ts";
import { BIG_INTEGER_BYTES, VALUE_BYTES, VALUE_DEPTH } from "../../shared/limits.ts";

const utf8 = new TextEncoder();
const bytes = (...parts: (number | string)[]): Uint8Array =>
  Uint8Array.from(
    parts.flatMap((part) => (typeof part === "number" ? [part] : [...utf8.encode(part)])),
  );
/** CBOR bytes as a message of ours. */
const message = (...parts: (number | string)[]): Uint8Array => bytes(1, ...parts);
const there = (value: unknown): unknown => decode(encode(value, "value"), "here");

/** Data as users have it; without what is documented to change: -0, `__proto__`, lone surrogates. */
const data = fc.anything({
  key: fc.string({ unit: "grapheme" }).filter((key) => key !== "__proto__"),
  values: [
    fc.boolean(),
    fc.integer(),
    fc.maxSafeInteger(),
    fc.double().map((number) => (number === 0 ? 0 : number)),
    fc.string({ unit: "binary" }),
    fc.string({ maxLength: 300 }),
    fc.constantFrom(null, undefined, Number.MAX_SAFE_INTEGER, Number.MIN_VALUE),
    fc.bigInt({ min: -(2n ** 200n), max: 2n ** 200n }),
    fc.date({ min: new Date(-1e14), max: new Date(1e14), noInvalidDate: true }),
  ],
  withMap: true,
  withSet: true,
  withTypedArray: true,
  maxDepth: 4,
});

function refused(t: ExecutionContext, value: unknown, message: RegExp): void {
  const error = t.throws(() => encode(value, "output of the run"), {
    instanceOf: InvalidInputError,
  });
  t.regex(error?.message ?? "", message);
  t.regex(error?.message ?? "", /^The output of the run /);
}

test("plain data comes back as it went in", (t) => {
  fc.assert(
    fc.property(data, (value) => {
      t.deepEqual(there(value), value);
      return true;
    }),
    { numRuns: 2_000 },
  );
});

test("bytes come back as plain bytes of their own, from whichever buffer they are read", (t) => {
  const value = { a: Buffer.from("abc"), b: new Uint8Array([1, 2]), c: new Float64Array([1.5]) };
  const encoded = encode(value, "value");
  const read = decode(Buffer.from(encoded), "here") as { a: Uint8Array; b: Uint8Array };
  t.is(Object.getPrototypeOf(read.a), Uint8Array.prototype);
  t.deepEqual(read, { a: utf8.encode("abc"), b: new Uint8Array([1, 2]), c: value.c } as never);
  const buffer = Buffer.from(encoded);
  const kept = decode(buffer, "here");
  buffer.fill(0);
  t.deepEqual(kept, read);
});

test("errors and expressions come back, and nothing else is made by its name", (t) => {
  const error = there(new TypeError("no")) as Error;
  t.true(error instanceof Error);
  t.deepEqual([error.name, error.message], ["TypeError", "no"]);
  t.deepEqual(there(/a+/gi), /a+/gi);
  for (const name of ["valueOf", "constructor", "__defineGetter__", "eval", "Function"]) {
    const made = decode(message(0xd8, 27, 0x82, 0x60 + name.length, name, 0x61, "1"), "here");
    t.true(made instanceof Error && made.message === "1", name);
  }
  for (const parts of [[0x80, 0xff], [0x82, 0x63, "abc", 0x01], [0xf6], [0x62, "ab"]])
    t.throws(() => decode(message(0xd8, 27, ...parts), "here"), { instanceOf: UndecodableError });
  const broken = message(0xd8, 27, 0x83, 0x66, "RegExp", 0x61, "(", 0x60);
  t.throws(() => decode(broken, "here"), { instanceOf: UndecodableError });
});

test("objects with a JSON form are stored as that, as a Temporal instant is", (t) => {
  const at = { toJSON: () => "2026-01-01T00:00:00Z", hidden: 1 };
  Object.setPrototypeOf(at, { constructor: class Instant {} });
  t.deepEqual(there({ at }), { at: "2026-01-01T00:00:00Z" });
  t.is(there(new URL("https://example.org/")), "https://example.org/");
  class Point {
    x = 1;
    y = [2];
  }
  t.deepEqual(there(new Point()), { x: 1, y: [2] });
});

test("no key reaches a prototype", (t) => {
  const value: unknown = JSON.parse('{"__proto__":{"polluted":1},"constructor":{"prototype":2}}');
  const read = there(value) as Record<string, unknown>;
  t.is(Object.getPrototypeOf(read), Object.prototype);
  t.is(read["polluted"], undefined);
  t.deepEqual(read["constructor"], { prototype: 2 });
  t.is(({} as Record<string, unknown>)["polluted"], undefined);
  const event = decodeEventPayload(utf8.encode('{"__proto__":{"polluted":1}}'), "");
  t.is(Object.getPrototypeOf(event), Object.prototype);
  t.is((event as Record<string, unknown>)["polluted"], undefined);
});

test("a value that cannot be stored is refused with what and where it is", (t) => {
  const circle: { self?: unknown } = {};
  circle.self = circle;
  refused(t, circle, /"self\.self.*" in it is circular, or nested more than 200 deep/);
  refused(t, () => 1, /is a function/);
  refused(t, { a: [{ b: () => 1 }] }, /"a\.0\.b" in it is a function/);
  refused(t, new Set([Symbol("s")]), /is a symbol/);
  refused(t, new Map([[Symbol("s"), 1]]), /is a symbol/);
  refused(t, new Map([["k", Symbol("s")]]), /is a symbol/);
  refused(t, { later: Promise.resolve(1) }, /"later" in it is a promise; await it/);
  refused(t, [1, 2][Symbol.iterator](), /is an iterator or a stream/);
  refused(t, new Blob([]).stream(), /is an iterator or a stream/);
  refused(t, 1n << BigInt(BIG_INTEGER_BYTES * 8), /is an integer of more than 4096 bytes/);
  refused(t, -(1n << BigInt(BIG_INTEGER_BYTES * 8)) - 1n, /is an integer of more/);
  const angry = {
    get field() {
      throw new Error("not now");
    },
  };
  refused(t, angry, /cannot be stored: not now/);
  const rude = {
    get field() {
      throw "a text";
    },
  };
  refused(t, rude, /cannot be stored: something in it cannot be read/);
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  refused(t, { proxy }, /cannot be stored/);
});

test("a value too large to be sent anywhere is refused before it fills the memory", (t) => {
  const circle: { text: string; self?: unknown } = { text: "x".repeat(2 ** 20) };
  circle.self = circle;
  let doubled: unknown = "x";
  for (let i = 0; i < 100; i++) doubled = [doubled, doubled];
  const cases = [
    circle,
    doubled,
    new Array(2 ** 31),
    new Uint8Array(VALUE_BYTES),
    new Array(2 ** 26),
  ];
  for (const value of cases) {
    const error = t.throws(() => encode({ value }, "input"), { instanceOf: LimitExceededError });
    t.regex(error?.message ?? "", /^The input takes more than 67108864 bytes/);
  }
});

test("whatever was tried before, the next value is stored and read", (t) => {
  const circle: unknown[] = [];
  circle.push(circle);
  fc.assert(
    fc.property(
      fc.constantFrom(circle, () => 1, { a: Symbol("s") }),
      data,
      (bad, good) => {
        t.throws(() => encode(bad, "value"));
        t.throws(() => decode(bytes(1, 0x9f, 0x01), "here"));
        t.deepEqual(there(good), good);
        return true;
      },
    ),
    { numRuns: 200 },
  );
});

test("what is encoded can be decoded, as deep and as large as it is let in", (t) => {
  const nestings: ((inner: unknown) => unknown)[] = [
    (inner) => [inner],
    (inner) => ({ inner }),
    (inner) => new Map([["inner", inner]]),
    (inner) => new Map([[inner, 1]]),
    (inner) => new Set([inner]),
  ];
  for (const nest of nestings)
    for (const [leaf, levels] of [
      [1, VALUE_DEPTH],
      [new Date(0), VALUE_DEPTH - 1],
      [new Error("x"), VALUE_DEPTH - 1],
    ] as const) {
      let value: unknown = leaf;
      for (let i = 0; i < levels; i++) value = nest(value);
      t.notThrows(() => there(value));
      t.throws(() => encode(nest(value), "value"), { instanceOf: InvalidInputError });
    }
  const big = 2n ** BigInt(BIG_INTEGER_BYTES * 8) - 1n;
  t.deepEqual(there([big, -big - 1n]), [big, -big - 1n]);
  t.is((there("é".repeat(100_000)) as string).length, 100_000);
});

test("bytes that are no message are undecodable, never anything worse", (t) => {
  const check = (garbage: Uint8Array): boolean => {
    try {
      encode(decode(garbage, "here"), "value");
    } catch (error) {
      return error instanceof UndecodableError || error instanceof InvalidInputError;
    }
    return true;
  };
  const withFormat = fc.uint8Array({ maxLength: 200 }).map((rest) => bytes(1, ...rest));
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), check), { numRuns: 2_000 });
  fc.assert(fc.property(withFormat, check), { numRuns: 20_000 });
  t.throws(() => decode(new Uint8Array(), "here"), { instanceOf: UndecodableError });
  t.throws(() => decode(bytes(3, 0x01), "run 7"), { message: /at run 7 does not begin with/ });
});

test("a message with some of its bytes changed or cut off decodes, or is undecodable", (t) => {
  const changes = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(data, changes, fc.nat(), (value, edits, cut) => {
      const whole = encode(value, "value");
      const cutOff = whole.slice(0, cut % whole.length);
      t.throws(() => decode(cutOff, "here"), { instanceOf: UndecodableError });
      const changed = whole.slice();
      for (const [at, byte] of edits) changed[at % changed.length] = byte;
      try {
        decode(changed, "here");
      } catch (error) {
        return error instanceof UndecodableError;
      }
      return true;
    }),
    { numRuns: 3_000 },
  );
});

test("hostile CBOR is refused at once, before it takes time or memory", (t) => {
  const deep = (head: number[], levels: number): Uint8Array =>
    Buffer.concat([
      message(),
      ...Array.from({ length: levels }, () => Uint8Array.from(head)),
      bytes(0x01),
    ]);
  const repeat = (count: number, ...parts: number[]): number[] =>
    Array.from({ length: count }, () => parts).flat();
  const million = new Uint8Array(1_000_006);
  million.set([1, 0xc2, 0x5a, 0x00, 0x0f, 0x42, 0x40]);
  const hostile: { readonly [name: string]: Uint8Array } = {
    "lists nested 100,000 deep": deep([0x81], 100_000),
    "open lists nested 100,000 deep": deep([0x9f], 100_000),
    "maps nested 100,000 deep": deep([0xa1, 0x01], 100_000),
    "tags nested 100,000 deep": deep([0xd9, 0x01, 0x02], 100_000),
    "a list of 4 billion": message(0x9a, 0xff, 0xff, 0xff, 0xff),
    "a hundred lists of 33 million": message(...repeat(100, 0x9a, 0x01, 0xff, 0xff, 0xff)),
    "a map of 2^53": message(0xbb, 0, 0x20, 0, 0, 0, 0, 0, 0),
    "a text of 4 billion": message(0x7a, 0xff, 0xff, 0xff, 0xff),
    "an integer of a million bytes": million,
    "an integer that is a list": message(0xc2, 0x81, 0x41, 0x01),
    "an integer without bytes": message(0xc2),
    "tables of shared values": message(0xd8, 51, 0x84, 0x81, 0x01, 0x80, 0x80, 0xe0),
    "a shared value": message(0xd8, 28, 0x81, 0xd8, 29, 0x00),
    "a record": message(0xd9, 0xdf, 0xff, 0x83, 0x19, 0xe0, 0x00, 0x81, 0x61, "a", 0x01),
    "a legacy record": message(0xd8, 105, 0x83, 0x19, 0xe0, 0x00, 0x81, 0x61, "a", 0x01),
    "bundled texts": message(0xd9, 0xdf, 0xf9, 0x82, 0x01, 0x61, "a"),
    "a tag of nobody": message(0xda, 0x53, 0x68, 0x72, 0x64, 0x01),
    "the end of nothing": message(0xff),
    "the end of a counted list": message(0x81, 0xff),
    "the end of a tag": message(0x9f, 0xc1, 0xff),
    "a text without a length": message(0x7f, 0x61, "a", 0xff),
    "bytes without a length": message(0x5f, 0x41, 0x01, 0xff),
    "a number without an end": message(0x1f),
    "a negative number without an end": message(0x3f),
    "a tag without a number": message(0xdf, 0x01),
    "an unknown value": message(0xe0),
    "an unknown value of a byte": message(0xf8, 0xff),
    "a length of an unknown kind": message(0x1c),
    "a length cut off": message(0x1b, 0, 0, 0),
    "two values": message(0x01, 0x01),
  };
  for (const [name, body] of Object.entries(hostile)) {
    t.throws(() => decode(body, "here"), { instanceOf: UndecodableError }, name);
    const payload = body.subarray(1);
    t.deepEqual(decodeEventPayload(payload, "application/cbor"), Uint8Array.from(payload), name);
  }
});

test("an error says what is wrong with the bytes, and at which", (t) => {
  const error = t.throws(() => decode(message(0x82, 0x01, 0xd8, 28, 0x01), "x.y.z, sequence 7"), {
    instanceOf: UndecodableError,
  });
  t.is(error?.message, "The message at x.y.z, sequence 7 cannot be decoded.");
  t.regex(String(error?.cause), /tag 28 is not known, at byte 4/);
});

test("CBOR of other writers is read: open lists and maps, halves, tagged as CBOR", (t) => {
  const read = (...parts: (number | string)[]): unknown => decode(message(...parts), "here");
  t.deepEqual(read(0x9f, 0x01, 0x02, 0xff), [1, 2]);
  t.deepEqual(read(0x9f, 0xff), []);
  t.deepEqual(read(0xbf, 0x61, "a", 0x9f, 0xff, 0x61, "b", 0xf9, 0x3c, 0x00, 0xff), {
    a: [],
    b: 1,
  });
  t.is(read(0xd9, 0xd9, 0xf7, 0x18, 0x2a), 42);
  t.is(read(0xfa, 0x3f, 0xc0, 0x00, 0x00), 1.5);
  t.is(read(0x1b, 0, 0x20, 0, 0, 0, 0, 0, 0), 2n ** 53n);
  t.deepEqual(read(0xc0, 0x74, "2026-01-01T00:00:00Z"), new Date(Date.UTC(2026, 0, 1)));
});

test("a large message of much the same is written compactly, and read back the same", (t) => {
  const rows = Array.from({ length: 5_000 }, (_, i) => ({ key: `w${i} run pack-item`, leaf: i }));
  const compact = encodeCompact(rows, "wait");
  t.true(compact.length * 3 < encode(rows, "wait").length);
  t.deepEqual(decode(compact, "here"), rows);
  t.deepEqual(encodeCompact([1], "wait"), encode([1], "wait"));
  t.throws(() => encodeCompact(() => 1, "wait"), { instanceOf: InvalidInputError });
});

test("a compact message that is none, or grows beyond measure, is undecodable", (t) => {
  const deflated = (body: Uint8Array): Uint8Array =>
    Buffer.concat([Uint8Array.of(2), deflateRawSync(body)]);
  const bomb = Buffer.alloc(80 * 2 ** 20, 0x81);
  bomb[bomb.length - 1] = 0x01;
  const bad = [
    Uint8Array.of(2),
    Uint8Array.of(2, 0x01),
    deflated(new Uint8Array()),
    deflated(bytes(0xd8, 28, 0x81, 0xd8, 29, 0x00)),
    deflated(Buffer.alloc(100_000, 0x81)),
    deflated(bomb),
  ];
  for (const body of bad) t.throws(() => decode(body, "here"), { instanceOf: UndecodableError });
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (rest) => {
      try {
        decode(bytes(2, ...rest), "here");
      } catch (error) {
        return error instanceof UndecodableError;
      }
      return true;
    }),
    { numRuns: 2_000 },
  );
});

test("the payload of an event is CBOR where it says so, else JSON, else text, else bytes", (t) => {
  const cbor = encode({ a: 1 }, "value").subarray(1);
  t.deepEqual(decodeEventPayload(cbor, "application/cbor"), { a: 1 });
  t.deepEqual(decodeEventPayload(cbor, "Application/CBOR; charset=x"), { a: 1 });
  t.deepEqual(decodeEventPayload(utf8.encode('{"a":1}'), ""), { a: 1 });
  t.is(decodeEventPayload(utf8.encode("hello"), ""), "hello");
  t.is(decodeEventPayload(utf8.encode('{"a":'), ""), '{"a":');
  t.is(decodeEventPayload(new Uint8Array(), "application/cbor"), null);
  t.deepEqual(decodeEventPayload(bytes(0xff, 0xfe), ""), bytes(0xff, 0xfe));
  t.deepEqual(decodeEventPayload(utf8.encode("hello"), "application/cbor"), utf8.encode("hello"));
});

test("the payload of an event is read whatever it is, and is never a view of the message", (t) => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 100 }),
      fc.constantFrom("", "application/cbor", "application/json", "\u0000"),
      (payload, contentType) => {
        const value = decodeEventPayload(payload, contentType);
        if (ArrayBuffer.isView(value)) t.not(value.buffer, payload.buffer);
        return true;
      },
    ),
    { numRuns: 5_000 },
  );
  const deep = utf8.encode("[".repeat(100_000) + "]".repeat(100_000));
  t.notThrows(() => decodeEventPayload(deep, ""));
});

test("what JSON can hold is published as JSON and read back the same", (t) => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const normal: unknown = JSON.parse(JSON.stringify(value));
      const { body, contentType } = encodeEventPayload(value, "payload");
      t.is(contentType, undefined);
      t.deepEqual(decodeEventPayload(body, ""), normal);
      return true;
    }),
  );
  const at = new Date(0);
  const { body } = encodeEventPayload({ at, none: undefined }, "payload");
  t.deepEqual(decodeEventPayload(body, ""), { at: at.toISOString() });
  t.is(decodeEventPayload(encodeEventPayload(undefined, "payload").body, ""), null);
  t.throws(() => encodeEventPayload(() => 1, "payload"), { instanceOf: InvalidInputError });
});

test("what JSON cannot hold is published as CBOR and read back the same", (t) => {
  const payloads: readonly unknown[] = [
    new Map([["a", 1]]),
    { deep: [{ set: new Set([1]) }] },
    new Uint8Array([1, 2]),
    { numbers: new Float64Array([1.5]) },
    { big: 2n ** 70n },
    [Number.NaN],
    { far: Number.POSITIVE_INFINITY },
    { text: /a/g },
  ];
  const { body, contentType = "" } = encodeEventPayload({ b: Buffer.from("ab") }, "payload");
  t.deepEqual(decodeEventPayload(body, contentType), { b: utf8.encode("ab") });
  for (const payload of payloads) {
    const { body, contentType = "" } = encodeEventPayload(payload, "payload");
    t.is(contentType, "application/cbor");
    t.deepEqual(decodeEventPayload(body, contentType), payload);
  }
});

test("the size of a value is that of its message", (t) => {
  t.is(encodedBytes("abc", "value"), encode("abc", "value").length);
});

test("a text keeps the byte order mark it begins with, however long it is and wherever it is", (t) => {
  for (const length of [0, 12, 13, 60, 61, 62, 63, 64, 300, 70_000]) {
    const marked = `\ufeff${"x".repeat(length)}`;
    const twice = `\ufeff${marked}`;
    const value = {
      [marked]: [marked, twice, `x${marked}`],
      map: new Map([[twice, marked]]),
      n: 1,
    };
    t.deepEqual(there(value), value, String(length));
    const { body, contentType = "" } = encodeEventPayload(value, "payload");
    t.deepEqual(decodeEventPayload(body, contentType), value, String(length));
  }
  const bytesAlike = { bytes: Uint8Array.of(0xef, 0xbb, 0xbf, ...new Uint8Array(80)), n: 1 };
  t.deepEqual(there(bytesAlike), bytesAlike);
  const rows = Array.from({ length: 5_000 }, () => `\ufeff${"row ".repeat(20)}`);
  t.deepEqual(decode(encodeCompact(rows, "wait"), "here"), rows);
});

test("a compact message of more values than memory is for is neither written nor read", (t) => {
  const many = Buffer.alloc(4_000_010, 0x80);
  many.set([0x9a, 0x00, 0x3d, 0x09, 0x05]); // a list of 4,000,005 empty lists
  const error = t.throws(
    () => decode(Buffer.concat([Uint8Array.of(2), deflateRawSync(many)]), "here"),
    { instanceOf: UndecodableError },
  );
  t.regex(String(error?.cause), /more than 4000000 items/);
  t.throws(() => encodeCompact(new Array(4_000_005).fill(0), "wait"), {
    instanceOf: LimitExceededError,
  });
});

test("data with fields called constructor and toJSON is refused by its name", (t) => {
  refused(t, { a: { constructor: 1, toJSON: 2 } }, /"a" in it has a field "toJSON"/);
  t.deepEqual(there({ toJSON: 2 }), { toJSON: 2 });
  t.deepEqual(there({ constructor: 1, toJSON: 0 }), { constructor: 1, toJSON: 0 });
});
