/**
 * Follows a stream in order, for ever, whatever becomes of the connection, the servers and its own
 * consumer.
 *
 * F1. Every stored message that matches is handed over once, in order of sequence, without gaps.
 * F2. `position` never passes a message that is stored, matches, and was not handed over and done.
 * F3. What waits to be handled is bounded, in messages and in bytes.
 *
 * The consumer is an ephemeral one without acknowledgements. Its deliveries are counted; a gap, or
 * anything else out of the usual, ends it, and a new one begins behind the position.
 */
import type { ConsumerConfig } from "@nats-io/jetstream";
import { IncompatibleSetupError, NotPermittedError, UnavailableError } from "../errors.ts";
import { newId } from "../ids.ts";
import { callApi, errorOf, isMissing } from "./api.ts";
import { Backoff, pause } from "./backoff.ts";
import type { NatsLink } from "./connection.ts";
import type { DeliveredMessage } from "./delivery.ts";
import { FollowSession, type SessionItem } from "./follow-session.ts";
import type { StoredMessage } from "./stored-message.ts";

/** What to follow, and who takes it. */
export interface FollowerOptions {
  readonly stream: string;
  /** Subjects to follow, wildcards allowed; they must not overlap. None: all of the stream. */
  readonly subjects: readonly string[];
  /**
   * The first sequence to hand over; or "last-per-subject": the last message of each subject that is
   * stored now (after an interruption also older ones), then all that follow. Default 1.
   */
  readonly from?: number | "last-per-subject";
  /** Leaves payloads out. Default false. */
  readonly headersOnly?: boolean;
  /**
   * What is in no hurry rests for so many milliseconds after each 512 messages, once it has caught up:
   * the stream may then grow faster than it is followed. Default 0.
   */
  readonly restMs?: number;
  /**
   * Takes one message. The next one waits until it has returned or its promise is done. When it
   * throws, the follower ends and `done` is rejected with that error.
   */
  onMessage(message: StoredMessage): void | Promise<void>;
  /** Told why following was interrupted; it goes on by itself. */
  onInterruption?(reason: string): void;
}

const RETRY_PAUSES = { shortestMs: 50, longestMs: 2_000 };
/** The server removes a consumer that nobody pulls from for so long. */
const INACTIVE_MS = 60_000;
/** How often a stream that seems to have lost its end is asked again before it is believed. */
const REGRESSION_TRIES = 5;

/** Starts to follow. */
export function follow(link: NatsLink, options: FollowerOptions): Follower {
  return new Follower(link, options);
}

/** A stream that is being followed. */
export class Follower {
  /**
   * Resolves when everything that was stored when the follower began has been handed over and done.
   * Rejected when it ends before.
   */
  readonly caughtUp: Promise<void>;
  /**
   * Resolves when it was closed. Rejected when it cannot go on: `onMessage` threw, or the stream was
   * deleted and created again, or lost its end, or the user of the connection may not follow it.
   */
  readonly done: Promise<void>;
  readonly #link: NatsLink;
  readonly #options: FollowerOptions;
  readonly #abort = new AbortController();
  #settleCaughtUp: { resolve(): void; reject(error: unknown): void } | undefined;
  #position: number;
  #delivered: number;
  #hasProgressed = false;
  #session: FollowSession | undefined;
  #created: string | undefined;
  /**
   * The last message that matched at the beginning. Should it be purged, the position passes it all
   * the same when there is nothing more to deliver.
   */
  #goal: number | undefined;

  constructor(link: NatsLink, options: FollowerOptions) {
    this.#link = link;
    this.#options = options;
    this.#position = typeof options.from === "number" ? Math.max(options.from - 1, 0) : 0;
    this.#delivered = this.#position;
    this.caughtUp = new Promise((resolve, reject) => {
      this.#settleCaughtUp = { resolve, reject };
    });
    this.done = this.#run();
    const endEarly = (cause?: unknown): void => {
      const what = `The follower of ${options.stream} ended before it had caught up.`;
      const isKnown = cause instanceof NotPermittedError;
      this.#settleCaughtUp?.reject(isKnown ? cause : new UnavailableError(what, { cause }));
    };
    void this.done.then(() => endEarly(), endEarly);
    // Both may be left unread: whoever cares awaits them.
    this.caughtUp.catch(() => {});
    this.done.catch(() => {});
  }

  /**
   * Every matching message up to this sequence was handed over and done, or is no longer stored. It
   * follows the end of the stream also when nothing matches, about a second behind.
   */
  get position(): number {
    return this.#position;
  }

  /** Ends it. Resolves when the message that is being handled is done. Safe to repeat. */
  async close(): Promise<void> {
    this.#abort.abort();
    this.#session?.end("closed");
    await this.done.catch(() => {}); // already told to whoever awaits `done`
  }

  async #run(): Promise<void> {
    let backoff = new Backoff(RETRY_PAUSES);
    while (!this.#abort.signal.aborted && !this.#link.nc.isClosed()) {
      this.#hasProgressed = false;
      const reason = await this.#once();
      if (this.#abort.signal.aborted) return;
      this.#options.onInterruption?.(reason);
      if (this.#hasProgressed) backoff = new Backoff(RETRY_PAUSES);
      await pause(this.#link.clock, backoff.next(), this.#abort.signal);
    }
  }

  /** Follows with one consumer until that ends, and says why it did. */
  async #once(): Promise<string> {
    const consumer = `follow-${newId()}`;
    let session: FollowSession;
    try {
      await this.#look();
      await this.#create(consumer);
      if (this.#abort.signal.aborted) return "closed";
      const { stream, restMs: ms = 0 } = this.#options;
      const isDue = (): boolean => ms > 0 && this.#settleCaughtUp === undefined;
      const rest = { clock: this.#link.clock, ms, isDue };
      session = new FollowSession(this.#link, { stream, consumer }, rest);
      this.#session = session;
    } catch (error) {
      if (error instanceof UnavailableError) return error.message;
      throw error;
    }
    try {
      await this.#handle(session);
    } finally {
      session.end("closed");
      this.#session = undefined;
      this.#remove(consumer);
    }
    if (session.isForbidden)
      throw new NotPermittedError(
        `The stream ${this.#options.stream} cannot be followed: ${session.ending}`,
      );
    return session.ending ?? "closed";
  }

  async #handle(session: FollowSession): Promise<void> {
    for (;;) {
      const item = session.take();
      if (item !== undefined) {
        const handled = this.#handleOne(item);
        if (handled !== undefined) await handled;
        this.#checkGoal();
        if (this.#abort.signal.aborted) return;
      } else if (session.ending !== undefined) return;
      else await session.ready();
    }
  }

  #handleOne(item: SessionItem): Promise<void> | undefined {
    if (typeof item === "number") {
      this.#advance(item);
      return undefined;
    }
    const sequence = item.streamSequence;
    if (sequence <= this.#delivered) return undefined;
    this.#delivered = sequence;
    const handled = this.#options.onMessage(new FollowedMessage(item));
    if (handled instanceof Promise) return handled.then(() => this.#advance(sequence));
    this.#advance(sequence);
    return undefined;
  }

  #advance(sequence: number): void {
    this.#position = Math.max(this.#position, sequence);
    this.#hasProgressed = true;
  }

  #checkGoal(): void {
    if (this.#goal === undefined) return;
    if (this.#position < this.#goal) return;
    this.#goal = undefined;
    this.#settleCaughtUp?.resolve();
    this.#settleCaughtUp = undefined;
  }

  /** Looks at the stream: whether it is the same one and, at first, where it ends. */
  async #look(): Promise<void> {
    const { stream, subjects } = this.#options;
    const { reader } = this.#link;
    const { signal } = this.#abort;
    await this.#checkStream();
    if (this.#settleCaughtUp === undefined || this.#goal !== undefined) return;
    const lasts = await Promise.all(
      (subjects.length === 0 ? [">"] : subjects).map((subject) =>
        reader.lastFor(stream, subject, { leader: true, signal }),
      ),
    );
    this.#goal = Math.max(0, ...lasts.map((last) => last?.sequence ?? 0));
    this.#checkGoal();
  }

  /** Throws when the stream is not the one that was followed before. */
  async #checkStream(): Promise<void> {
    const { stream } = this.#options;
    const { signal } = this.#abort;
    for (let tries = 0; ; tries++) {
      const state = await this.#link.reader.streamState(stream, { signal });
      if (state === undefined) throw new UnavailableError(`There is no stream ${stream}.`);
      this.#created ??= state.created;
      if (state.created !== this.#created) throw this.#anotherStream("was created again");
      if (state.lastSequence >= this.#position) return;
      // A deposed leader may have answered, so ask again before believing it.
      if (tries >= REGRESSION_TRIES) throw this.#anotherStream("lost its end");
      await pause(this.#link.clock, RETRY_PAUSES.longestMs, signal);
      if (signal.aborted) throw new UnavailableError("closed");
    }
  }

  #anotherStream(what: string): IncompatibleSetupError {
    const { stream } = this.#options;
    return new IncompatibleSetupError(
      `The stream ${stream} ${what} while it was followed at ${this.#position}. What was read from it no longer holds: start again.`,
      { stream, position: this.#position },
    );
  }

  async #create(name: string): Promise<void> {
    const { stream, subjects, headersOnly = false, from } = this.#options;
    const isFirst = this.#delivered === 0 && from === "last-per-subject";
    const config: Partial<ConsumerConfig> = {
      name,
      description: "Contrail follower",
      ack_policy: "none",
      max_deliver: 1,
      ...(isFirst
        ? { deliver_policy: "last_per_subject" }
        : { deliver_policy: "by_start_sequence", opt_start_seq: this.#position + 1 }),
      filter_subjects: [...subjects],
      headers_only: headersOnly,
      inactive_threshold: INACTIVE_MS * 1e6,
      mem_storage: true,
      num_replicas: 1,
    };
    const subject = `CONSUMER.CREATE.${stream}.${name}`;
    const request = { stream_name: stream, config, action: "create" };
    const { signal } = this.#abort;
    const answer = await callApi(this.#link.requests, subject, request, { signal });
    const error = errorOf(answer);
    if (error === undefined) return;
    if (isMissing(answer)) throw new UnavailableError(`There is no stream ${stream}.`);
    throw new UnavailableError(`A consumer of ${stream} was refused: ${error.description}`);
  }

  /** The server would do it too, a minute later. */
  #remove(consumer: string): void {
    if (this.#link.isConnected)
      this.#link.nc.publish(`$JS.API.CONSUMER.DELETE.${this.#options.stream}.${consumer}`);
  }
}

/** A stored message over a delivered one. */
class FollowedMessage implements StoredMessage {
  readonly #delivered: DeliveredMessage;

  constructor(delivered: DeliveredMessage) {
    this.#delivered = delivered;
  }

  get subject(): string {
    return this.#delivered.subject;
  }

  get sequence(): number {
    return this.#delivered.streamSequence;
  }

  get timeMs(): number {
    return this.#delivered.timeMs;
  }

  get headers(): StoredMessage["headers"] {
    return this.#delivered.headers;
  }

  get data(): Uint8Array {
    return this.#delivered.data;
  }
}
