/**
 * One ephemeral consumer of a follower, from its first message to whatever ends it. It hands over
 * what is delivered without gaps, and ends at the first sign of one.
 */
import type { CancelTimer, Clock } from "../clock.ts";
import type { DeliveredMessage } from "./delivery.ts";
import { type PullEnd, Puller } from "./puller.ts";
import type { Wire } from "./wire.ts";

/** A message, or a sequence up to which there is none (any more). */
export type SessionItem = DeliveredMessage | number;

/** At most so many messages are asked for or wait to be handled. */
const WINDOW = 512;
/** Nothing is asked for while so many bytes wait to be handled. */
const QUEUED_BYTES = 4 * 1024 * 1024;
const REQUEST_BYTES = 1024 * 1024;
const EXPIRES_MS = 30_000;
const HEARTBEAT_MS = 1_000;

/** How a session that is in no hurry bounds what it costs. */
export interface Rest {
  readonly clock: Clock;
  /** Nothing is asked for during so many milliseconds after each full request. */
  readonly ms: number;
  /** Whether there is no hurry now. */
  isDue(): boolean;
}

/** Messages of one consumer, in order. */
export class FollowSession {
  readonly #puller: Puller;
  readonly #rest: Rest | undefined;
  #stopResting: CancelTimer | undefined;
  #queue: SessionItem[] = [];
  #next = 0;
  #queuedBytes = 0;
  #outstanding = 0;
  #consumerSequence = 0;
  #ending: string | undefined;
  #isTooLarge = false;
  /** Whether a request brought all that it asked for, and nothing was asked for since. */
  #isFull = false;
  #isForbidden = false;
  #wake: (() => void) | undefined;

  constructor(
    wire: Wire,
    consumer: { readonly stream: string; readonly consumer: string },
    rest?: Rest,
  ) {
    this.#puller = new Puller(wire, consumer);
    this.#rest = rest;
  }

  /** Why it ended; undefined while it goes on. */
  get ending(): string | undefined {
    return this.#ending;
  }

  /** Whether it ended because the user of the connection may not pull from the consumer. */
  get isForbidden(): boolean {
    return this.#isForbidden;
  }

  /** What comes next, if it is here already. Asks for more in time. */
  take(): SessionItem | undefined {
    if (this.#next >= WINDOW || this.#next === this.#queue.length) {
      this.#queue = this.#queue.slice(this.#next);
      this.#next = 0;
    }
    const item = this.#queue[this.#next];
    if (item !== undefined) this.#next++;
    if (typeof item === "object") this.#queuedBytes -= item.data.length;
    this.#ask();
    return item;
  }

  /** Resolves when there is something to take, or nothing more will come. */
  async ready(): Promise<void> {
    if (this.#next < this.#queue.length || this.#ending !== undefined) return;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
  }

  /** Ends it at once. Safe to repeat. */
  end(reason: string): void {
    if (this.#ending !== undefined) return;
    this.#ending = reason;
    this.#stopResting?.();
    this.#puller.discard();
    this.#signal();
  }

  #ask(): void {
    if (this.#ending !== undefined || this.#queuedBytes > QUEUED_BYTES) return;
    const waiting = this.#queue.length - this.#next;
    const room = WINDOW - waiting - this.#outstanding;
    if (this.#outstanding > 0 && room < WINDOW / 2) return;
    if (room <= 0 || this.#isResting()) return;
    const batch = this.#isTooLarge ? 1 : room;
    let received = 0;
    this.#outstanding += batch;
    this.#puller.request({
      batch,
      expiresMs: EXPIRES_MS,
      heartbeatMs: HEARTBEAT_MS,
      ...(this.#isTooLarge ? {} : { maxBytes: REQUEST_BYTES }),
      onMessage: (message) => {
        received++;
        this.#outstanding--;
        this.#receive(message);
      },
      onHeartbeat: ({ consumerSequence, streamSequence }) => {
        if (consumerSequence !== this.#consumerSequence) this.end("a delivery was lost");
        else this.#push(streamSequence);
      },
      onEnd: (end) => {
        this.#outstanding -= end.missing;
        this.#isFull ||= end.reason === "complete" || end.reason === "full";
        // A message larger than a request may be: ask for it alone, whatever its size.
        this.#isTooLarge = end.reason === "full" && received === 0;
        this.#finish(end);
      },
    });
    this.#isTooLarge = false;
  }

  /** Whether the next request has to wait: for the one under way, or for a rest behind a full one. */
  #isResting(): boolean {
    if (this.#stopResting) return true;
    if (!this.#rest?.isDue()) return false;
    if (this.#outstanding > 0) return true;
    if (!this.#isFull) return false;
    this.#isFull = false;
    this.#stopResting = this.#rest.clock.after(this.#rest.ms, () => {
      this.#stopResting = undefined;
      this.#ask();
    });
    return true;
  }

  #receive(message: DeliveredMessage): void {
    if (this.#ending !== undefined) return;
    if (message.consumerSequence !== this.#consumerSequence + 1) {
      this.end("a delivery was lost");
      return;
    }
    this.#consumerSequence++;
    this.#queuedBytes += message.data.length;
    this.#push(message);
  }

  #push(item: SessionItem): void {
    if (this.#ending !== undefined) return;
    const last = this.#queue.length - 1;
    const isNewer = typeof item === "number" && typeof this.#queue[last] === "number";
    if (isNewer && last >= this.#next) this.#queue[last] = item;
    else this.#queue.push(item);
    this.#signal();
  }

  #finish({ reason, description }: PullEnd): void {
    if (this.#ending !== undefined) return;
    if (reason === "complete" || reason === "expired" || reason === "full" || reason === "empty")
      this.#ask();
    else if (reason === "forbidden") {
      this.#isForbidden = true;
      this.end(description);
    } else this.end(description === "" ? reason : `${reason}: ${description}`);
  }

  #signal(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }
}
