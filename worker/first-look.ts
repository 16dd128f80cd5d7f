/**
 * The look at the history that a first delivery of a start needs before its code runs (rule 7):
 * one read for all the tokens that came together.
 */
import type { StoredMessage } from "../shared/jetstream/reader.ts";
import type { WorkerLink } from "./services.ts";

/** What is stored last on the subjects that were asked for. */
export type Lasts = ReadonlyMap<string, StoredMessage>;

interface Batch {
  readonly subjects: string[];
  readonly result: Promise<Lasts>;
}

/** Collects the questions of tokens that came in one piece into one read a stream. */
export class FirstLook {
  readonly #link: WorkerLink;
  readonly #batches: Map<string, Batch> = new Map();

  constructor(link: WorkerLink) {
    this.#link = link;
  }

  /** The last messages of these subjects; holds those of others too. */
  lasts(stream: string, subjects: readonly string[]): Promise<Lasts> {
    let batch = this.#batches.get(stream);
    if (!batch) {
      const collected: string[] = [];
      // Behind the call that hands the tokens out, and before what is written then goes its way.
      const result = Promise.resolve().then(() => {
        this.#batches.delete(stream);
        return this.#read(stream, collected);
      });
      batch = { subjects: collected, result };
      this.#batches.set(stream, batch);
    }
    batch.subjects.push(...subjects);
    return batch.result;
  }

  async #read(stream: string, subjects: readonly string[]): Promise<Lasts> {
    const { messages } = await this.#link.reader.multiLast(stream, subjects);
    return new Map(messages.map((message) => [message.subject, message]));
  }
}
