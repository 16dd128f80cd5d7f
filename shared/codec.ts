/**
 * How values and messages become bytes and back: CBOR behind one format byte. The only import of
 * cbor-x.
 *
 * C1. Decoding never throws anything but UndecodableError, whatever the bytes are.
 * C2. Decoded objects are plain: no key of a payload reaches a prototype.
 * C3. What was encoded can be decoded.
 */
import { deflateRawSync, inflateRawSync } from "node:zlib";
// Not "cbor-x" itself: where its native part is installed, that would read texts by other rules.
import { addExtension, Decoder, Encoder } from "cbor-x/decode";
import { BYTE_ORDER_MARK, cborProblem, markedTexts, REFERENCE_TAG } from "./cbor-check.ts";
import {
  type ErrorDetails,
  InvalidInputError,
  LimitExceededError,
  UndecodableError,
} from "./errors.ts";
import { VALUE_BYTES } from "./limits.ts";
import { isReference, PayloadReference } from "./payload-reference.ts";
import { type StorageProblem, storageProblem } from "./storable.ts";

/** First byte of every message body that Contrail writes. Another one is another format. */
const FORMAT = 1;
/** The same, deflated: for messages that grow with the number of things they name. */
const DEFLATED = 2;
/** Texts of more bytes are read by `TextDecoder`. */
const READ_AS_FILE_BYTES = 64;
/** Smaller ones are not worth it. */
const DEFLATED_FROM_BYTES = 16 * 1024;
/** What a deflated message may grow to when it is read. */
const INFLATED_BYTES = 64 * 1024 * 1024;
/**
 * ... and how many items it may have then. 64 KB deflated can hold 64 million empty lists, which take
 * gigabytes of memory.
 */
const INFLATED_ITEMS = 4_000_000;

const options = {
  useRecords: false,
  mapsAsObjects: true,
  tagUint8Array: false,
  useToJSON: true,
  copyBuffers: true, // what was decoded is not a view of a buffer of the connection
};
const encoder = new Encoder(options) as unknown as InPlaceEncoder;
const decoder = new Decoder(options);
const strictUtf8 = new TextDecoder("utf-8", { fatal: true });

/**
 * The encoder with flags that its types do not know: it returns the buffer that it always writes into
 * (512) and begins at the same place the next time (1,024), so what it wrote is copied at once.
 */
interface InPlaceEncoder {
  encode(value: unknown, flags: number): Written;
}

type Written = Uint8Array & { readonly start: number; readonly end: number };

const IN_PLACE = 512 | 1_024;

/** Errors and expressions share a tag. The decoder's own way calls whatever the name leads to. */
addExtension({ tag: 27, decode: namedObject } as unknown as Parameters<typeof addExtension>[0]);
addExtension({
  Class: PayloadReference,
  tag: REFERENCE_TAG,
  encode: ({ path, size, digest }: PayloadReference, encodeParts: (parts: unknown) => void) =>
    encodeParts([path, size, digest]),
  decode: reference,
} as unknown as Parameters<typeof addExtension>[0]);

/**
 * Writes a message body.
 * @param what Names the value in the error, for instance `input of run "order-42"`.
 * @throws {InvalidInputError} When it holds a function, a symbol, a promise, a stream, or a circle.
 * @throws {LimitExceededError} When it is larger than anything a server accepts.
 */
export function encode(value: unknown, what: string): Uint8Array {
  let problem: StorageProblem | undefined;
  try {
    problem = storageProblem(value);
    if (problem === undefined) {
      const written = encoder.encode(value, IN_PLACE);
      return framed(written.subarray(written.start, written.end));
    }
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : "something in it cannot be read";
    throw unstorable(what, `cannot be stored: ${reason}`, { cause });
  }
  const { text, path, isTooLarge } = problem;
  if (isTooLarge)
    throw new LimitExceededError(
      `The ${what} ${text}. Store large values elsewhere and pass a reference.`,
      { limitName: "value-bytes", limit: VALUE_BYTES },
    );
  const shown = path.slice(-SHOWN_PATH).join(".");
  throw unstorable(what, shown === "" ? text : `cannot be stored: "${shown}" in it ${text}`);
}

/** How much of the way to a value that cannot be stored an error tells, from the inside. */
const SHOWN_PATH = 8;

function unstorable(what: string, problem: string, details: ErrorDetails = {}): InvalidInputError {
  return new InvalidInputError(
    `The ${what} ${problem}. Use plain data: objects, arrays, maps, sets, texts, numbers, big integers, dates, bytes, booleans, null.`,
    details,
  );
}

/** Messages are cut from pieces of this size: an allocation for each costs more than to fill it. */
const POOL_BYTES = 16 * 1024;
let pool = new Uint8Array(0);
let used = 0;

function allocate(length: number): Uint8Array {
  if (length > POOL_BYTES / 8) return new Uint8Array(length);
  if (used + length > pool.length) {
    pool = new Uint8Array(POOL_BYTES);
    used = 0;
  }
  used += length;
  return new Uint8Array(pool.buffer, used - length, length);
}

function framed(body: Uint8Array, format = FORMAT): Uint8Array {
  const message = allocate(body.length + 1);
  message[0] = format;
  message.set(body, 1);
  return message;
}

/**
 * The same for messages that may name very many things, whose names have much in common: a large one
 * is written deflated.
 * @throws {LimitExceededError} When it has more items than would be read again.
 */
export function encodeCompact(value: unknown, what: string): Uint8Array {
  const message = encode(value, what);
  if (message.length < DEFLATED_FROM_BYTES) return message;
  const body = message.subarray(1);
  // Each item has a byte at least.
  if (body.length > INFLATED_ITEMS && cborProblem(body, true, INFLATED_ITEMS) !== undefined)
    throw new LimitExceededError(
      `The ${what} has more than ${INFLATED_ITEMS} values in it. Store large values elsewhere and pass a reference.`,
      { limitName: "value-bytes", limit: VALUE_BYTES },
    );
  return framed(deflateRawSync(body), DEFLATED);
}

/**
 * Reads a message body.
 * @param where Names the place in the error, for instance a subject and a sequence.
 * @throws {UndecodableError} When the bytes are not of this format.
 */
export function decode(message: Uint8Array, where: string): unknown {
  const format = message[0];
  if (format !== FORMAT && format !== DEFLATED)
    throw new UndecodableError(
      `The message at ${where} does not begin with a known format byte: it was not written by this version of Contrail.`,
    );
  try {
    if (format === FORMAT) return decodeCbor(message, 1, { isOurs: true });
    const limit = { maxOutputLength: INFLATED_BYTES };
    const inflated = inflateRawSync(message.subarray(1), limit);
    return decodeCbor(inflated, 0, { isOurs: true, mostItems: INFLATED_ITEMS });
  } catch (cause) {
    throw new UndecodableError(`The message at ${where} cannot be decoded.`, { cause });
  }
}

/**
 * Only what Contrail wrote may refer to payloads: what anybody published may not.
 * @throws {Error} When the bytes from `start` on are not plain data.
 */
function decodeCbor(
  message: Uint8Array,
  start: number,
  { isOurs = false, mostItems }: { readonly isOurs?: boolean; readonly mostItems?: number } = {},
): unknown {
  // Of whichever class the bytes are, those inside are to be of the plain one.
  const body = new Uint8Array(
    message.buffer,
    message.byteOffset + start,
    message.byteLength - start,
  );
  const problem = cborProblem(body, isOurs, mostItems);
  if (problem !== undefined) throw new TypeError(`It is not plain CBOR: ${problem}.`);
  return decoder.decode(withMarksDoubled(body));
}

const MARK = Buffer.from(BYTE_ORDER_MARK);
/** The head of a text with a length of four bytes. */
const TEXT_HEAD = 0x7a;

/**
 * The decoder reads longer texts as if they were files, whose byte order mark is no part of the text.
 * Where it looks for one it now finds one more. Hardly any message has such a text.
 */
function withMarksDoubled(body: Uint8Array): Uint8Array {
  if (body.length <= READ_AS_FILE_BYTES) return body;
  if (!Buffer.from(body.buffer, body.byteOffset, body.length).includes(MARK)) return body;
  const parts: Uint8Array[] = [];
  let copiedTo = 0;
  for (const { headAt, textAt, length } of markedTexts(body)) {
    if (length <= READ_AS_FILE_BYTES) continue;
    const head = Buffer.of(TEXT_HEAD, 0, 0, 0, 0, ...MARK);
    head.writeUInt32BE(length + MARK.length, 1);
    parts.push(body.subarray(copiedTo, headAt), head);
    copiedTo = textAt;
  }
  const { buffer, byteOffset, length } = Buffer.concat([...parts, body.subarray(copiedTo)]);
  return new Uint8Array(buffer, byteOffset, length); // what is inside is of the class of this
}

function reference(parts: unknown): PayloadReference {
  if (!isReference(parts)) throw new TypeError("A reference to a payload is none.");
  return new PayloadReference(...parts);
}

function namedObject(parts: unknown): unknown {
  if (!Array.isArray(parts) || !parts.every((part) => typeof part === "string"))
    throw new TypeError("A named object is a list of texts.");
  const [name = "", text = "", flags] = parts as string[];
  if (name === "RegExp") return new RegExp(text, flags);
  return Object.assign(new Error(text), { name });
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
      return decodeCbor(payload, 0);
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

/** The payload of an event as it is published. */
export interface EventPayload {
  readonly body: Uint8Array;
  /** Absent for JSON, which is what a payload is unless it says otherwise. */
  readonly contentType?: string;
}

/**
 * Writes the payload of an event as JSON where JSON can hold it, so that any client can read it, else
 * as CBOR. Dates become texts.
 * @throws {InvalidInputError} When it cannot be stored.
 */
export function encodeEventPayload(value: unknown, what: string): EventPayload {
  // refuses what cannot be stored, by the same rules and with the same words
  const cbor = encode(value, what).subarray(1);
  let isJson = true;
  // The holder has the value as it is; bytes of Node have a form of their own in JSON.
  function replace(
    this: { readonly [key: string]: unknown },
    key: string,
    inner: unknown,
  ): unknown {
    isJson &&= isInJson(this[key]);
    return isJson ? inner : null;
  }
  const json = JSON.stringify(value ?? null, replace);
  if (!isJson) return { body: cbor, contentType: "application/cbor" };
  return { body: new TextEncoder().encode(json) };
}

/** Whether JSON has a form for a value, apart from what is inside it. */
function isInJson(value: unknown): boolean {
  if (typeof value === "number") return Number.isFinite(value);
  if (typeof value !== "object" || value === null) return typeof value !== "bigint";
  const isOther =
    value instanceof Map ||
    value instanceof Set ||
    value instanceof Error ||
    value instanceof RegExp ||
    value instanceof ArrayBuffer ||
    ArrayBuffer.isView(value);
  return !isOther;
}
