/** Where the events stream ends, known without asking each time (rule 20). */
import { IncompatibleSetupError } from "./errors.ts";
import type { Reader } from "./jetstream/reader.ts";
import type { EventPosition } from "./messages.ts";

/** A reading this old is read again before a run starts from it. */
const FRESH_MS = 1_000;

/** Remembers the end of the events stream. A stale end is lower, so nothing is missed by it. */
export class EventsPosition {
  readonly #reader: Pick<Reader, "streamState">;
  readonly #stream: string;
  readonly #monotonic: () => number;
  #position: EventPosition | undefined;
  #readAt = Number.NEGATIVE_INFINITY;
  #reading: Promise<EventPosition> | undefined;

  constructor(reader: Pick<Reader, "streamState">, stream: string, monotonic: () => number) {
    this.#reader = reader;
    this.#stream = stream;
    this.#monotonic = monotonic;
  }

  /** A sequence stored before now, at most a second old. Usually needs no question to the server. */
  async recent(): Promise<EventPosition> {
    const isFresh = this.#monotonic() - this.#readAt < FRESH_MS;
    return isFresh && this.#position ? this.#position : this.read();
  }

  /** The last sequence as the stream's leader knows it now. Calls at the same time share a reading. */
  async read(): Promise<EventPosition> {
    this.#reading ??= this.#ask().finally(() => {
      this.#reading = undefined;
    });
    return this.#reading;
  }

  /** Notes the acknowledged sequence of an event that this process published. */
  note(sequence: number): void {
    if (this.#position && sequence > this.#position.after)
      this.#position = { ...this.#position, after: sequence };
  }

  async #ask(): Promise<EventPosition> {
    const askedAt = this.#monotonic();
    const state = await this.#reader.streamState(this.#stream);
    if (!state)
      throw new IncompatibleSetupError(
        `There is no stream ${this.#stream}. Start an engine, or run "contrail setup".`,
        { stream: this.#stream },
      );
    this.#readAt = askedAt;
    this.#position = { after: state.lastSequence, created: state.created };
    return this.#position;
  }
}
