/** A replica that is behind: a reader that answers as of an earlier sequence, except as the leader. */
import type {
  LastMessages,
  Reader,
  ReadOptions,
  StoredMessage,
} from "../../shared/jetstream/reader.ts";

type Reads = Pick<
  Reader,
  "lastFor" | "get" | "readPage" | "readSubject" | "multiLast" | "streamState"
>;

/** Reads from a replica that has stopped at some sequence. */
export class StaleReader implements Reads {
  readonly #reader: Reader;
  #upTo = Number.POSITIVE_INFINITY;
  #readingsLeft = Number.POSITIVE_INFINITY;
  readonly #slowClocks = new Map<string, number>();
  /** How many reads it answered as of the earlier sequence. */
  staleCount = 0;

  constructor(reader: Reader) {
    this.#reader = reader;
  }

  /** From now on the replica has what was stored up to this sequence, for so many readings. */
  stopAt(sequence: number, readings: number = Number.POSITIVE_INFINITY): void {
    this.#upTo = sequence;
    this.#readingsLeft = readings;
  }

  /** The clock of the server that stored this stream is behind by so much. */
  setClockBehind(stream: string, byMs: number): void {
    this.#slowClocks.set(stream, byMs);
  }

  /** The replica has caught up. */
  catchUp(): void {
    this.#upTo = Number.POSITIVE_INFINITY;
  }

  async lastFor(
    stream: string,
    subject: string,
    options: ReadOptions = {},
  ): Promise<StoredMessage | undefined> {
    if (options.leader) return this.#reader.lastFor(stream, subject, options);
    return (await this.multiLast(stream, [subject])).messages[0];
  }

  async get(
    stream: string,
    sequence: number,
    options: ReadOptions = {},
  ): Promise<StoredMessage | undefined> {
    if (!options.leader && sequence > this.#limit()) return undefined;
    return this.#reader.get(stream, sequence, options);
  }

  async readSubject(...args: Parameters<Reader["readSubject"]>): Promise<StoredMessage[]> {
    const limit = this.#limit();
    const found = await this.#reader.readSubject(...args);
    const byMs = this.#slowClocks.get(args[0]) ?? 0;
    return found.filter(({ sequence }) => sequence <= limit).map((each) => storedBy(each, byMs));
  }

  async readPage(...args: Parameters<Reader["readPage"]>): ReturnType<Reader["readPage"]> {
    const limit = this.#limit();
    const { messages, pending } = await this.#reader.readPage(...args);
    return { messages: messages.filter(({ sequence }) => sequence <= limit), pending };
  }

  async multiLast(stream: string, subjects: readonly string[]): Promise<LastMessages> {
    const limit = this.#limit();
    if (limit === Number.POSITIVE_INFINITY) return this.#reader.multiLast(stream, subjects);
    if (limit === 0) return { messages: [], upToSequence: 0 };
    return this.#reader.multiLast(stream, subjects, { upToSequence: limit });
  }

  streamState(...args: Parameters<Reader["streamState"]>): ReturnType<Reader["streamState"]> {
    return this.#reader.streamState(...args);
  }

  #limit(): number {
    if (this.#upTo === Number.POSITIVE_INFINITY) return this.#upTo;
    if (this.#readingsLeft-- <= 0) return Number.POSITIVE_INFINITY;
    this.staleCount++;
    return this.#upTo;
  }
}

/** A message as it would be if the server that stored it had a clock behind by so much. */
function storedBy(message: StoredMessage, byMs: number): StoredMessage {
  const { subject, sequence, timeMs, headers, data } = message;
  return { subject, sequence, timeMs: timeMs - byMs, headers, data };
}
