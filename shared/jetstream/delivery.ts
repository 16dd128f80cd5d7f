/** What a consumer says about a message it delivers: all of it is in the reply subject. */
import type { Msg, NatsConnection } from "@nats-io/transport-node";
import { type HeaderReader, headersOf, type ReceivedHeaders } from "./headers.ts";

/** Facts about one delivery. */
export interface DeliveryInfo {
  readonly stream: string;
  readonly consumer: string;
  /** 1 for the first delivery, as far as the consumer remembers. */
  readonly deliveryCount: number;
  readonly streamSequence: number;
  /** Counts the deliveries of this consumer from 1, without gaps. */
  readonly consumerSequence: number;
  /** When the stream's leader stored the message: milliseconds since the epoch, with a fraction. */
  readonly timeMs: number;
  /** Messages that match the consumer and come after this one. */
  readonly pending: number;
}

/** A message of a consumer, to be acknowledged. */
export interface DeliveredMessage extends DeliveryInfo {
  readonly subject: string;
  /** The payload; a view of a larger buffer, so copy what is kept for long. */
  readonly data: Uint8Array;
  readonly headers: HeaderReader;
  /** Monotonic time when the request was sent that this message answers. It was delivered later. */
  readonly requestedAt: number;
  /** Monotonic time when this process read it. It may have been delivered much earlier. */
  readonly receivedAt: number;
  /** Says that the message is done. Nobody learns whether that arrives; it may be delivered again. */
  ack(): void;
  /** Gives the message back, to be delivered again, to anybody, after the delay (default none). */
  nak(delayMs?: number): void;
  /** Keeps the message from being delivered again for another `ack_wait`. */
  progress(): void;
}

/**
 * Reads `$JS.ACK.<stream>.<consumer>.<deliveries>.<stream seq>.<consumer seq>.<nanos>.<pending>`, or
 * the longer form with a domain and an account in front. Nothing when it is neither.
 */
export function parseDelivery(reply: string): DeliveryInfo | undefined {
  if (!reply.startsWith("$JS.ACK.")) return undefined;
  const tokens = reply.split(".");
  const from = tokens.length === 9 ? 2 : tokens.length >= 11 ? 4 : 0;
  if (from === 0) return undefined;
  return {
    stream: tokens[from] as string,
    consumer: tokens[from + 1] as string,
    deliveryCount: Number(tokens[from + 2]),
    streamSequence: Number(tokens[from + 3]),
    consumerSequence: Number(tokens[from + 4]),
    timeMs: Number(tokens[from + 5]) / 1e6,
    pending: Number(tokens[from + 6]),
  };
}

const ACK = Buffer.from("+ACK");
const NAK = Buffer.from("-NAK");
const PROGRESS = Buffer.from("+WPI");

/** When a message was asked for and when it came. */
export interface DeliveryTimes {
  readonly requestedAt: number;
  readonly receivedAt: number;
}

/** A delivered message over the client's. */
export class Delivered implements DeliveredMessage {
  readonly stream: string;
  readonly consumer: string;
  readonly deliveryCount: number;
  readonly streamSequence: number;
  readonly consumerSequence: number;
  readonly timeMs: number;
  readonly pending: number;
  readonly requestedAt: number;
  readonly receivedAt: number;
  readonly #nc: NatsConnection;
  readonly #message: Msg;
  #headers: ReceivedHeaders | undefined;

  constructor(nc: NatsConnection, message: Msg, info: DeliveryInfo, times: DeliveryTimes) {
    this.#nc = nc;
    this.#message = message;
    this.stream = info.stream;
    this.consumer = info.consumer;
    this.deliveryCount = info.deliveryCount;
    this.streamSequence = info.streamSequence;
    this.consumerSequence = info.consumerSequence;
    this.timeMs = info.timeMs;
    this.pending = info.pending;
    this.requestedAt = times.requestedAt;
    this.receivedAt = times.receivedAt;
  }

  get subject(): string {
    return this.#message.subject;
  }

  get data(): Uint8Array {
    return this.#message.data;
  }

  get headers(): HeaderReader {
    this.#headers ??= headersOf(this.#message);
    return this.#headers;
  }

  ack(): void {
    this.#answer(ACK);
  }

  nak(delayMs = 0): void {
    if (delayMs <= 0) this.#answer(NAK);
    else this.#answer(Buffer.from(`-NAK {"delay":${Math.round(delayMs * 1e6)}}`));
  }

  progress(): void {
    this.#answer(PROGRESS);
  }

  #answer(verb: Uint8Array): void {
    const reply = this.#message.reply;
    if (reply === undefined || this.#nc.isClosed()) return;
    try {
      this.#nc.publish(reply, verb);
    } catch {
      // The connection drains or is closed: like a lost acknowledgement, which may happen anyway.
    }
  }
}
