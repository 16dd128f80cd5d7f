/** Messages of a stream, in the forms in which servers return them. */
import { decodeHeaders, type HeaderReader, type ReceivedHeaders } from "./headers.ts";
import type { Reply } from "./requests.ts";

/** A message of a stream. */
export interface StoredMessage {
  readonly subject: string;
  readonly sequence: number;
  /** When the stream's leader stored it: milliseconds since the epoch, with a fraction. */
  readonly timeMs: number;
  readonly headers: HeaderReader;
  /**
   * The payload. It may be a view of a larger buffer, which it keeps from being freed: copy what is
   * kept for long.
   */
  readonly data: Uint8Array;
}

/** A message as a direct read returns it: subject, sequence and time are headers. */
export class DirectMessage implements StoredMessage {
  readonly headers: ReceivedHeaders;
  readonly sequence: number;
  readonly data: Uint8Array;

  constructor({ headers, data }: Reply) {
    this.headers = headers;
    this.data = data;
    this.sequence = Number(headers.last("Nats-Sequence"));
  }

  get subject(): string {
    return this.headers.last("Nats-Subject") ?? "";
  }

  get timeMs(): number {
    return parseTime(this.headers.last("Nats-Time-Stamp") ?? "");
  }
}

/** A message in the JSON of the server. */
export interface LeaderShape {
  readonly subject: string;
  readonly seq: number;
  readonly hdrs?: string;
  readonly data?: string;
  readonly time: string;
}

/** A message as the leader returns it: JSON. */
export class LeaderMessage implements StoredMessage {
  readonly subject: string;
  readonly sequence: number;
  readonly headers: ReceivedHeaders;
  readonly data: Uint8Array;
  readonly #time: string;

  constructor(shape: LeaderShape) {
    this.subject = shape.subject;
    this.sequence = shape.seq;
    this.headers = decodeHeaders(Buffer.from(shape.hdrs ?? "", "base64"));
    this.data = Buffer.from(shape.data ?? "", "base64");
    this.#time = shape.time;
  }

  get timeMs(): number {
    return parseTime(this.#time);
  }
}

/** Milliseconds since the epoch of an RFC 3339 text, with the fraction that `Date` cuts off. */
export function parseTime(text: string): number {
  const dot = text.indexOf(".");
  if (dot < 0) return Date.parse(text);
  const rest = /^\.\d+/.exec(text.slice(dot))?.[0] ?? ".0";
  return Date.parse(text.slice(0, dot) + text.slice(dot + rest.length)) + Number(rest) * 1000;
}
