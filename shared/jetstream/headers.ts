/**
 * Message headers as bytes. The client library's own header object checks and copies every key
 * several times; a history's commits only ever need to write a short list and look up a few names.
 */
import { type Msg, type MsgHdrs, MsgImpl } from "@nats-io/transport-node";
import { InvalidInputError } from "../errors.ts";

/** Headers to send, in order. Names and values must not hold line breaks. */
export type HeaderList = readonly (readonly [name: string, value: string])[];

/** Headers of a message that was received, read only when asked for. */
export interface HeaderReader {
  /** The first value under exactly this name. Case matters. */
  get(name: string): string | undefined;
  /** The last value: what the server itself appended, however a publisher tried to forge it. */
  last(name: string): string | undefined;
}

const PREAMBLE = "NATS/1.0";

/**
 * Writes headers as the server expects them.
 * @throws {InvalidInputError} When a name or value holds a line break.
 */
export function encodeHeaders(list: HeaderList): Uint8Array {
  let text = PREAMBLE;
  for (const [name, value] of list) {
    if (hasLineBreak(name) || hasLineBreak(value))
      throw new InvalidInputError(
        `The header ${JSON.stringify(name)} cannot be sent: its name or value ${JSON.stringify(value)} holds a line break.`,
        { header: name },
      );
    text += `\r\n${name}: ${value}`;
  }
  return Buffer.from(`${text}\r\n\r\n`, "utf8");
}

/**
 * Dresses header bytes for the client's `publish`, which does nothing with headers but ask for
 * their bytes. A test sends such headers and reads them back, so a change of that would be seen.
 */
export function asClientHeaders(bytes: Uint8Array): MsgHdrs {
  return { encode: () => bytes } as unknown as MsgHdrs;
}

/** The headers of a received message; empty when it has none. Costs nothing until they are read. */
export function headersOf(message: Msg): ReceivedHeaders {
  return new ReceivedHeaders(headerBytes(message));
}

/** Headers that came as bytes, for instance inside a JSON reply. */
export function decodeHeaders(bytes: Uint8Array): ReceivedHeaders {
  return new ReceivedHeaders(bytes);
}

/** Headers of one received message. */
export class ReceivedHeaders implements HeaderReader {
  readonly #bytes: Uint8Array;
  #text: string | undefined;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get isEmpty(): boolean {
    return this.#bytes.length === 0;
  }

  /** The server's status code (404, 409, ...), or 0 for an ordinary message. */
  get status(): number {
    if (this.#bytes.length <= PREAMBLE.length || this.#bytes[PREAMBLE.length] !== 0x20) return 0;
    const code = Number.parseInt(this.#read().slice(PREAMBLE.length), 10);
    return Number.isNaN(code) ? 0 : code;
  }

  /** What follows the status code, such as `Leadership Change`. */
  get description(): string {
    const text = this.#read();
    const line = text.slice(PREAMBLE.length, text.indexOf("\r\n")).trim();
    const space = line.indexOf(" ");
    return space < 0 ? "" : line.slice(space + 1);
  }

  get(name: string): string | undefined {
    const text = this.#read();
    return valueAt(text, name, text.indexOf(`\r\n${name}:`));
  }

  last(name: string): string | undefined {
    const text = this.#read();
    return valueAt(text, name, text.lastIndexOf(`\r\n${name}:`));
  }

  #read(): string {
    if (this.#text === undefined) {
      const { buffer, byteOffset, length } = this.#bytes;
      this.#text = Buffer.from(buffer, byteOffset, length).toString("utf8");
    }
    return this.#text;
  }
}

function valueAt(text: string, name: string, at: number): string | undefined {
  if (at < 0) return undefined;
  const start = at + name.length + 3;
  const end = text.indexOf("\r\n", start);
  return text.slice(start, end < 0 ? undefined : end).trim();
}

function hasLineBreak(text: string): boolean {
  return text.includes("\n") || text.includes("\r");
}

const NOTHING = new Uint8Array(0);
const encoder = new TextEncoder();

/**
 * The header bytes lie directly before the payload, in the same buffer, and the message's size
 * tells how many they are. When they are not where they should be, the client's slow way is taken.
 */
function headerBytes(message: Msg): Uint8Array {
  const { data } = message;
  if (message instanceof MsgImpl) {
    const names = Buffer.byteLength(message.subject) + Buffer.byteLength(message.reply);
    const length = message.size() - names - data.length;
    if (length <= 0) return NOTHING;
    const start = data.byteOffset - length;
    const bytes = start < 0 ? NOTHING : new Uint8Array(data.buffer, start, length);
    if (isPreamble(bytes)) return bytes;
  }
  const { headers } = message;
  if (headers === undefined) return NOTHING;
  let text = PREAMBLE + (headers.code > 0 ? ` ${headers.code} ${headers.description}` : "");
  for (const [name, values] of headers) for (const value of values) text += `\r\n${name}: ${value}`;
  return encoder.encode(`${text}\r\n\r\n`);
}

/** Whether the bytes begin with `NATS/1.0` and end with an empty line. */
function isPreamble(bytes: Uint8Array): boolean {
  return (
    bytes.length >= 12 &&
    bytes[0] === 0x4e &&
    bytes[4] === 0x2f &&
    bytes[7] === 0x30 &&
    bytes[bytes.length - 2] === 0x0d &&
    bytes[bytes.length - 1] === 0x0a
  );
}
