/**
 * Reads the last messages of subjects, at least as new as the reader asks for, many in one request.
 *
 * L1. An answer knew the stream at least up to the sequence that was asked for, or it came from the
 *     stream's leader (rule 15).
 *
 * A server says how new its answer is only when it finds something, so each request also asks for a
 * subject that is known to be stored.
 */
import type { Clock } from "../shared/clock.ts";
import { LimitExceededError, UnavailableError } from "../shared/errors.ts";
import { matchesName } from "../shared/event-names.ts";
import { pause } from "../shared/jetstream/backoff.ts";
import type { Reader, StoredMessage } from "../shared/jetstream/reader.ts";

/** What these reads need. */
export interface LastReadsOptions {
  readonly reader: Pick<Reader, "multiLast" | "lastFor" | "streamState" | "get">;
  readonly clock: Clock;
  /** Ends all reads. */
  readonly signal: AbortSignal;
}

interface Question {
  readonly subject: string;
  readonly atLeast: number;
  tries: number;
  resolve(message: StoredMessage | undefined): void;
  reject(error: unknown): void;
}

interface StreamQueue {
  readonly stream: string;
  /** A subject that is stored in the stream, as far as is known. */
  witness: string | undefined;
  waiting: Question[];
  running: number;
  isScheduled: boolean;
}

const SUBJECTS_PER_REQUEST = 900;
/** Requests to one stream at a time; what is asked meanwhile goes together into the next one. */
const REQUESTS_AT_ONCE = 4;
/** Answers of replicas that are behind, before the leader is asked. */
const STALE_TRIES = 3;
const STALE_PAUSE_MS = 20;

/** Batched reads of last messages. */
export class LastReads {
  readonly #options: LastReadsOptions;
  readonly #queues = new Map<string, StreamQueue>();

  constructor(options: LastReadsOptions) {
    this.#options = options;
  }

  /** Tells of a subject that is stored in a stream. */
  witness(stream: string, subject: string): void {
    this.#queue(stream).witness = subject;
  }

  /**
   * The last message of a literal subject, or nothing, as the stream was at `atLeast` or later.
   * @throws {UnavailableError} When there was no answer in time.
   */
  last(stream: string, subject: string, atLeast: number): Promise<StoredMessage | undefined> {
    const queue = this.#queue(stream);
    return new Promise((resolve, reject) => {
      queue.waiting.push({ subject, atLeast, tries: 0, resolve, reject });
      this.#schedule(queue);
    });
  }

  /**
   * The highest sequence of all subjects that a wildcard covers, 0 when there is none, as the stream
   * was at `atLeast` or later.
   * @throws {UnavailableError} When there was no answer in time.
   */
  async lastMatching(stream: string, wildcard: string, atLeast: number): Promise<number> {
    const { reader, clock, signal } = this.#options;
    for (let tries = 0; tries <= STALE_TRIES; tries++) {
      const { witness } = this.#queue(stream);
      const other = witness !== undefined && !matchesName(wildcard, witness) ? [witness] : [];
      const subjects = [wildcard, ...other];
      const read = reader.multiLast(stream, subjects, { signal });
      const lasts = await read.catch((error: unknown) => {
        if (error instanceof LimitExceededError) return undefined; // over a thousand subjects
        throw error;
      });
      if (lasts === undefined) break;
      if (lasts.upToSequence >= atLeast)
        return lasts.messages.reduce((highest, { sequence, subject }) => {
          return subject === other[0] ? highest : Math.max(highest, sequence);
        }, 0);
      if (lasts.messages.length === 0)
        this.#queue(stream).witness = await this.#findWitness(stream);
      await pause(clock, STALE_PAUSE_MS, signal);
    }
    const last = await reader.lastFor(stream, wildcard, { leader: true, signal });
    return last?.sequence ?? 0;
  }

  #queue(stream: string): StreamQueue {
    let queue = this.#queues.get(stream);
    if (queue === undefined) {
      queue = { stream, witness: undefined, waiting: [], running: 0, isScheduled: false };
      this.#queues.set(stream, queue);
    }
    return queue;
  }

  /** What is asked before the microtasks are done goes into one request. */
  #schedule(queue: StreamQueue): void {
    if (queue.isScheduled || queue.running >= REQUESTS_AT_ONCE) return;
    queue.isScheduled = true;
    queueMicrotask(() => {
      queue.isScheduled = false;
      while (queue.waiting.length > 0 && queue.running < REQUESTS_AT_ONCE) {
        queue.running++;
        const batch = queue.waiting.splice(0, SUBJECTS_PER_REQUEST);
        void this.#ask(queue, batch)
          .catch((error: unknown) => {
            for (const question of batch) question.reject(error);
          })
          .finally(() => {
            queue.running--;
            this.#schedule(queue);
          });
      }
    });
  }

  async #ask(queue: StreamQueue, batch: Question[]): Promise<void> {
    const { reader, signal } = this.#options;
    if (signal.aborted) throw closed();
    queue.witness ??= await this.#findWitness(queue.stream);
    const { witness } = queue;
    const subjects = new Set(batch.map(({ subject }) => subject));
    if (witness !== undefined) subjects.add(witness);
    const { messages, upToSequence } = await reader.multiLast(queue.stream, [...subjects], {
      signal,
    });
    const found = new Map(messages.map((message) => [message.subject, message]));
    // The witness was purged, or this replica has nothing: look for another one.
    if (messages.length === 0 && queue.witness === witness) queue.witness = undefined;
    const stale: Question[] = [];
    for (const question of batch) {
      const isFresh = upToSequence >= question.atLeast || question.atLeast === 0;
      if (isFresh) question.resolve(found.get(question.subject));
      else stale.push(question);
    }
    if (stale.length > 0) await this.#askAgain(queue, stale);
  }

  async #askAgain(queue: StreamQueue, stale: Question[]): Promise<void> {
    const { clock, signal } = this.#options;
    const again = stale.filter((question) => question.tries++ < STALE_TRIES);
    const rest = stale.filter((question) => !again.includes(question));
    if (again.length > 0) {
      await pause(clock, STALE_PAUSE_MS, signal);
      queue.waiting.push(...again);
    }
    await Promise.all(rest.map((question) => this.#askLeader(queue.stream, question)));
  }

  async #askLeader(stream: string, question: Question): Promise<void> {
    const { reader, signal } = this.#options;
    try {
      question.resolve(await reader.lastFor(stream, question.subject, { leader: true, signal }));
    } catch (error) {
      question.reject(error);
    }
  }

  async #findWitness(stream: string): Promise<string | undefined> {
    const { reader, signal } = this.#options;
    const state = await reader.streamState(stream, { signal });
    if (state === undefined || state.messageCount === 0) return undefined;
    const last = await reader.get(stream, state.lastSequence, { leader: true, signal });
    return last?.subject;
  }
}

function closed(): UnavailableError {
  return new UnavailableError("The engine stopped reading: it is closed, or another one leads.");
}
