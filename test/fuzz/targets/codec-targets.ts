/** Bytes into values and back. */
import { isDeepStrictEqual } from "node:util";
import { cborProblem } from "../../../shared/cbor-check.ts";
import {
  decode,
  decodeEventPayload,
  encode,
  encodeCompact,
  encodedBytes,
  encodeEventPayload,
} from "../../../shared/codec.ts";
import { describe } from "../../../shared/describe.ts";
import { InvalidInputError, LimitExceededError, UndecodableError } from "../../../shared/errors.ts";
import { toJson } from "../../../shared/json.ts";
import { storageProblem } from "../../../shared/storable.ts";
import { changed, goldenBodies, messageBody, payloadBody } from "../inputs/bytes.ts";
import { anything, storable } from "../inputs/values.ts";
import { isSameData } from "../same-data.ts";
import { attempt, hold, REFUSED, type Target, target } from "../target.ts";

/** What every decoder must be able to read after whatever it was given. */
const CANARY = { a: [1, new Map([["k", { b: 2n ** 70n }]])], status: "completed", m: { x: {} } };
const canary = encode(CANARY, "canary");

function refusals<T>(action: () => T): T | typeof REFUSED {
  return attempt(action, InvalidInputError, LimitExceededError);
}

/** What a value is written as is read and written as the same again. */
function comesBack(value: unknown): void {
  const written = refusals(() => encode(value, "value"));
  if (written === REFUSED) return;
  const again = encode(decode(written, "there"), "value");
  hold(Buffer.compare(written, again) === 0, "what was written is written differently when read");
}

/** A value that was read can be shown, and leaves the decoder as it was. */
function isHarmless(value: unknown): void {
  hold(isDeepStrictEqual(decode(canary, "canary"), CANARY), "the next message is read differently");
  hold(describe(value).length <= 100, "a value is described at length");
  JSON.parse(toJson(value));
}

/** The targets of shared/codec.ts. */
export const codecTargets: readonly Target[] = [
  target({
    name: "codec/decode",
    covers: ["shared/codec.ts decode", "shared/cbor-check.ts cborProblem"],
    make: (random) =>
      messageBody(random, () =>
        random.chance(0.3) ? random.pick(goldenBodies()) : encode(storable(random), "value"),
      ),
    check(bytes) {
      const before = Buffer.from(bytes);
      const value = attempt(() => decode(bytes, "here"), UndecodableError);
      hold(before.equals(bytes), "the message was changed");
      if (value === REFUSED) return isHarmless(undefined);
      if (bytes[0] === 1) hold(cborProblem(bytes.subarray(1), true) === undefined, "checked twice");
      isHarmless(value);
      comesBack(value);
    },
  }),
  target({
    name: "codec/event-payload",
    covers: ["shared/codec.ts decodeEventPayload"],
    make: (random) => ({
      contentType: random.pick(["", "application/cbor", "application/json", "a/b; cbor", "CBOR\n"]),
      body: random.chance(0.7)
        ? payloadBody(random, () => encode(storable(random), "value"))
        : changed(random, Buffer.from(JSON.stringify({ order: { id: "42" }, __proto__: 1 }))),
    }),
    check({ contentType, body }) {
      const value = decodeEventPayload(body, contentType);
      isHarmless(value);
      const written = refusals(() => encodeEventPayload(value, "payload"));
      if (written === REFUSED) return;
      const read = decodeEventPayload(written.body, written.contentType ?? "");
      const again = encodeEventPayload(read, "payload");
      hold(Buffer.compare(again.body, written.body) === 0, "a payload that is written differently");
    },
  }),
  target({
    name: "codec/encode",
    covers: ["shared/codec.ts encode", "shared/storable.ts storageProblem"],
    make: anything,
    check(value) {
      const written = refusals(() => encode(value, "value"));
      if (written !== REFUSED) {
        hold(storageProblem(value) === undefined, "encoded, and cannot be stored");
        comesBack(decode(written, "there")); // halves of pairs, -0 and some keys are not what they were
      }
      isHarmless(undefined);
    },
  }),
  target({
    name: "codec/there-and-back",
    covers: ["shared/codec.ts encodeCompact"],
    make: storable,
    check(value) {
      const written = encode(value, "value");
      hold(written.length === encodedBytes(value, "value"), "the bytes were counted differently");
      const read = decode(written, "there");
      hold(isSameData(read, value), "what was read is not what was written");
      const compact = encodeCompact([value, "x".repeat(20_000)], "value");
      hold(
        isSameData((decode(compact, "there") as unknown[])[0], value),
        "not the same when compact",
      );
    },
  }),
];
