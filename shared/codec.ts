/**
 * How values and messages become bytes and back: CBOR behind one format byte. The only import of
 * cbor-x.
 *
 * C1. Decoding never throws anything but UndecodableError, whatever the bytes are.
 * C2. Decoded objects are plain: no key of a payload reaches a prototype.
 */
import { Decoder, Encoder } from "cbor-x";
import { InvalidInputError, UndecodableError } from "./errors.ts";

/** First byte of every message body that Contrail writes. Another one is another format. */
const FORMAT = 1;

const options = { useRecords: false, mapsAsObjects: true, tagUint8Array: false } as const;
const encoder = new Encoder(options);
const decoder = new Decoder(options);
const strictUtf8 = new TextDecoder("utf-8", { fatal: true });

/**
 * Writes a message body.
 * @param what Names the value in the error, for instance `input of run "order-42"`.
 * @throws {InvalidInputError} When it holds a function, a symbol, or a circle.
 */
export function encode(value: unknown, what: string): Uint8Array {
  try {
    const body = encoder.encode(value);
    const message = new Uint8Array(body.length + 1);
    message[0] = FORMAT;
    message.set(body, 1);
    return message;
  } catch (cause) {
    const problem =
      cause instanceof RangeError
        ? "is circular or nested too deeply"
        : `cannot be stored: ${cause instanceof Error ? cause.message : String(cause)}`;
    throw new InvalidInputError(
      `The ${what} ${problem}. Use plain data: objects, arrays, maps, sets, texts, numbers, big integers, dates, bytes, booleans, null.`,
      { cause },
    );
  }
}

/**
 * Reads a message body.
 * @param where Names the place in the error, for instance a subject and a sequence.
 * @throws {UndecodableError} When the bytes are not of this format.
 */
export function decode(message: Uint8Array, where: string): unknown {
  if (message[0] !== FORMAT)
    throw new UndecodableError(
      `The message at ${where} does not begin with the format byte ${FORMAT}: it was not written by this version of Contrail.`,
    );
  try {
    return decoder.decode(message.subarray(1));
  } catch (cause) {
    throw new UndecodableError(`The message at ${where} cannot be decoded.`, { cause });
  }
}

/** The bytes a value takes in a message. */
export function encodedBytes(value: unknown, what: string): number {
  return encode(value, what).length;
}

/**
 * Reads the payload of an event, which anybody may have published: CBOR where `contentType` says so,
 * else JSON, else text, else the bytes as they are; nothing at all is null. Never throws.
 */
export function decodeEventPayload(payload: Uint8Array, contentType: string): unknown {
  if (payload.length === 0) return null;
  if (/\bcbor\b/i.test(contentType)) {
    try {
      return decoder.decode(payload);
    } catch {
      return Uint8Array.from(payload); // not what the header says: the receiver gets the bytes
    }
  }
  let text: string;
  try {
    text = strictUtf8.decode(payload);
  } catch {
    return Uint8Array.from(payload); // neither JSON nor text
  }
  try {
    return JSON.parse(text);
  } catch {
    return text; // plain text is a value too: nats pub events.greeting hello
  }
}

/** Writes the payload of an event as JSON where JSON can hold it, so that any client can read it. */
export function encodeEventPayload(value: unknown, what: string): Uint8Array {
  encode(value, what); // refuses what cannot be stored, by the same rules and with the same words
  return new TextEncoder().encode(
    JSON.stringify(value ?? null, (_key, inner) =>
      typeof inner === "bigint" ? inner.toString() : inner,
    ),
  );
}
