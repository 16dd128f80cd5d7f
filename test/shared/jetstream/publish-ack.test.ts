import test from "ava";
import fc from "fast-check";
import { parseAcknowledgement } from "../../../shared/jetstream/publish-ack.ts";
import { bytes } from "./fixtures.ts";

const parse = (text: string) => parseAcknowledgement(bytes(text));
const stored = (stream: string, sequence: number, duplicate = false) => ({
  ok: true,
  stream,
  sequence,
  duplicate,
});

test("an acknowledgement is read in each form that servers send", (t) => {
  t.deepEqual(parse('{"stream":"LOG", "seq":12}'), stored("LOG", 12));
  t.deepEqual(parse('{"stream":"LOG","seq":9007199254740991}'), stored("LOG", 9007199254740991));
  t.deepEqual(parse('{"stream":"LOG", "domain":"hub", "seq":12}'), stored("LOG", 12));
  t.deepEqual(parse('{"stream":"LOG", "seq":12, "duplicate": true}'), stored("LOG", 12, true));
  t.deepEqual(parse('{"stream":"LOG", "seq":12,"batch":"b","count":3}'), stored("LOG", 12));
  t.deepEqual(parse('{"seq":12,"stream":"LOG"}'), stored("LOG", 12));
});

test("a refusal is told apart by its code", (t) => {
  const refuse = (code: number, errorCode: number, description: string) =>
    parse(
      JSON.stringify({ error: { code, err_code: errorCode, description }, stream: "", seq: 0 }),
    );
  t.deepEqual(refuse(400, 10071, "wrong last sequence: 42"), {
    ok: false,
    kind: "guard",
    lastSequence: 42,
  });
  t.deepEqual(refuse(400, 10071, "wrong last sequence"), { ok: false, kind: "guard" });
  t.deepEqual(refuse(400, 10164, "wrong last sequence"), { ok: false, kind: "conflict" });
  const isTransient = (code: number, errorCode: number) => {
    const outcome = refuse(code, errorCode, "because");
    t.like(outcome, { ok: false, kind: "refused", code: errorCode, description: "because" });
    return outcome && "isTransient" in outcome && outcome.isTransient;
  };
  t.true(isTransient(503, 10008)); // no leader
  t.true(isTransient(429, 10167)); // too many requests
  t.false(isTransient(503, 10077)); // store failed
  t.false(isTransient(400, 10060)); // another stream expected
});

test("what is no answer of a stream is none", (t) => {
  for (const text of [
    "",
    "}",
    "x",
    "[]",
    "null",
    '{"seq":1}',
    '{"stream":"LOG"}',
    '{"stream":"LOG", "seq":}',
    '{"stream":"LOG", "xeq":1}',
    '{"stream":1, "seq":1}',
    '{"error":"text"}',
    '"seq":1}',
  ])
    t.is(parse(text), undefined, text);
});

test("a refusal that somebody makes long or odd is read at once", (t) => {
  const error = { code: 400, err_code: 10071, description: `${"1".repeat(900_000)}x` };
  t.deepEqual(parse(JSON.stringify({ error })), { ok: false, kind: "guard" });
  const odd = { ...error, description: [{ toString: 1 }] };
  t.deepEqual(parse(JSON.stringify({ error: odd })), { ok: false, kind: "guard" });
});

test("the quick way reads whatever JSON reads, and nothing else", (t) => {
  const name = fc.stringMatching(/^[A-Za-z0-9_-]{1,40}$/);
  const sequence = fc.nat({ max: Number.MAX_SAFE_INTEGER });
  fc.assert(
    fc.property(name, sequence, fc.constantFrom("", " "), (stream, seq, space) => {
      t.deepEqual(parse(`{"stream":"${stream}",${space}"seq":${seq}}`), stored(stream, seq));
    }),
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (data) => {
      t.notThrows(() => parseAcknowledgement(data));
    }),
  );
});
