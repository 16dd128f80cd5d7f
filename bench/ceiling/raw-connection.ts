/**
 * Plain NATS at its leanest: publishes whose acknowledgements arrive at one inbox, and pulls that are
 * never short of requests. No retries, no timeouts: whatever is not as expected ends the process.
 */
import { connect, type Msg, type MsgHdrs, type NatsConnection } from "@nats-io/transport-node";

/** Called with the sequence under which a message was stored. */
export type Stored = (sequence: number) => void;

const QUOTE_S = 0x73; // of {"stream": an error begins with {"error" or {"type"
const DIGIT_0 = 0x30;
const EMPTY = new Uint8Array(0);
/** Messages asked for at once; asked for again when half of them have come. */
const PULL_BATCH = 512;
const PULL_EXPIRES_NS = 30e9;

/** A connection of a ceiling's process. */
export class RawConnection {
  readonly nc: NatsConnection;
  readonly #inbox: string;
  readonly #pending: Map<number, Stored> = new Map();
  #count = 0;

  private constructor(nc: NatsConnection) {
    this.nc = nc;
    this.#inbox = `_INBOX.${process.pid}x${Date.now().toString(36)}.`;
    nc.subscribe(`${this.#inbox}*`, {
      callback: (error, message) => {
        if (error) return fail(error);
        const number = Number(message.subject.slice(this.#inbox.length));
        const stored = this.#pending.get(number);
        this.#pending.delete(number);
        const sequence = sequenceOf(message);
        if (sequence !== undefined) stored?.(sequence);
      },
    });
  }

  /** Connects. */
  static async open(servers: readonly string[], name: string): Promise<RawConnection> {
    return new RawConnection(await connect({ servers: [...servers], name }));
  }

  /** Publishes to a stream. */
  publish(
    subject: string,
    body: Uint8Array,
    headers: Uint8Array | undefined,
    stored: Stored,
  ): void {
    const number = this.#count++;
    this.#pending.set(number, stored);
    const reply = this.#inbox + number;
    if (headers === undefined) this.nc.publish(subject, body, { reply });
    else this.nc.publish(subject, body, { reply, headers: asHeaders(headers) });
  }

  /** Publishes to a stream and waits until it is stored. */
  store(subject: string, body: Uint8Array, headers?: Uint8Array): Promise<number> {
    return new Promise((resolve) => this.publish(subject, body, headers, resolve));
  }

  /** Acknowledges a delivered message. */
  acknowledge(message: Msg): void {
    this.nc.publish(message.reply as string, EMPTY);
  }

  /** Pulls from a consumer for as long as the connection lives. */
  pull(stream: string, consumer: string, take: (message: Msg) => void): void {
    const inbox = `${this.#inbox}pull.${stream}.${consumer}`;
    const request = JSON.stringify({ batch: PULL_BATCH, expires: PULL_EXPIRES_NS });
    let outstanding = 0;
    const ask = (): void => {
      outstanding += PULL_BATCH;
      const subject = `$JS.API.CONSUMER.MSG.NEXT.${stream}.${consumer}`;
      this.nc.publish(subject, request, { reply: inbox });
    };
    this.nc.subscribe(inbox, {
      callback: (error, message) => {
        if (error) return fail(error);
        if (!message.reply) {
          const left = message.headers?.last("Nats-Pending-Messages");
          outstanding -= left ? Number(left) : 0; // the request has expired
        } else {
          outstanding--;
          take(message);
        }
        if (outstanding <= PULL_BATCH / 2) ask();
      },
    });
    ask();
  }

  close(): Promise<void> {
    return this.nc.close();
  }
}

/** The client asks headers for nothing but their bytes. */
function asHeaders(bytes: Uint8Array): MsgHdrs {
  return { encode: () => bytes } as unknown as MsgHdrs;
}

/** Headers that guard a write: the subject must end at this sequence. */
export function guard(sequence: number): Uint8Array {
  return sequence === 0 ? GUARD_0 : guardBytes(sequence);
}

function guardBytes(sequence: number): Uint8Array {
  return Buffer.from(`NATS/1.0\r\nNats-Expected-Last-Subject-Sequence: ${sequence}\r\n\r\n`);
}

const GUARD_0 = guardBytes(0);

/** The sequence of an acknowledgement such as `{"stream":"A", "seq":12}`. */
function sequenceOf({ data }: Msg): number | undefined {
  let at = data.length - 2;
  let sequence = 0;
  let digit = (data[at] as number) - DIGIT_0;
  for (let scale = 1; digit >= 0 && digit <= 9; scale *= 10) {
    sequence += digit * scale;
    digit = (data[--at] as number) - DIGIT_0;
  }
  if (data[2] === QUOTE_S && sequence > 0) return sequence;
  fail(new Error(`A ceiling's write was refused: ${Buffer.from(data).toString()}`));
  return undefined;
}

/** Ends the process. What a callback throws would end the client's reading loop without a word. */
export function fail(error: unknown): void {
  queueMicrotask(() => {
    throw error;
  });
}
