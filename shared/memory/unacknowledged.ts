/**
 * What a consumer has delivered and nobody has acknowledged, and what of it is to be delivered again.
 *
 * U1. Acknowledgements are not fenced: a late one of an earlier holder ends the message for all.
 * U2. What expired together is delivered again in order of sequence, what was given back in the
 *     order in which it was.
 * U3. The floors move as the server moves them, with its odd corners: what is not above them cannot
 *     be given back, and is forgotten when it expires.
 */
import type { CancelTimer, Clock } from "../clock.ts";

interface Delivery {
  /** Its count in the consumer when it was delivered first. */
  readonly consumerSequence: number;
  /** When its holder was heard of, moved where it is to be delivered sooner or later. */
  since: number;
}

/** What it needs of its consumer. */
export interface UnacknowledgedOptions {
  readonly clock: Clock;
  readonly ackWaitMs: number;
  readonly floors: Floors;
  /** Next sequences of the consumer: of its own count, and of the stream. */
  readonly next: () => Floors;
  /** The first sequence that the stream has. */
  readonly firstSequence: () => number;
  /** Something is to be delivered again. */
  readonly onExpired: () => void;
}

/** Sequences of the consumer's own count, and of the stream. */
export interface Floors {
  consumer: number;
  stream: number;
}

/** The server looks a little later than due, so that many are found at once. */
const EXPIRY_DELAY_MS = 1;
/** It looks so soon after a message was given back with a delay. */
const DELAYED_LOOK_MS = 10;

/** The messages of one consumer that are held. */
export class Unacknowledged {
  /** Everything up to here is acknowledged. */
  readonly floors: Floors;
  readonly #options: UnacknowledgedOptions;
  readonly #held: Map<number, Delivery> = new Map();
  /** How often messages were delivered again. */
  readonly #repeats: Map<number, number> = new Map();
  #queue: number[] = [];
  #lookAt = Number.POSITIVE_INFINITY;
  #stopTimer: CancelTimer | undefined;

  constructor(options: UnacknowledgedOptions) {
    this.#options = options;
    this.floors = options.floors;
  }

  /** How many are held. */
  get count(): number {
    return this.#held.size;
  }

  /** The stream sequences of those that are held. */
  get sequences(): readonly number[] {
    return [...this.#held.keys()];
  }

  /** How many were delivered more than once. */
  get repeatedCount(): number {
    return this.#repeats.size;
  }

  /** How many are to be delivered again now. */
  get queuedCount(): number {
    return this.#queue.length;
  }

  /** The next one to deliver again. */
  takeQueued(): number | undefined {
    return this.#queue.shift();
  }

  /** Counts a repeated delivery; returns which one it is, from 2. */
  repeat(sequence: number): number {
    const repeats = (this.#repeats.get(sequence) ?? 0) + 1;
    this.#repeats.set(sequence, repeats);
    return repeats + 1;
  }

  /** Takes a repeat back, and queues the message again. */
  undoRepeat(sequence: number): void {
    if (this.#queue.includes(sequence)) return;
    this.#repeats.set(sequence, (this.#repeats.get(sequence) ?? 0) - 1);
    this.#queue.push(sequence);
  }

  /** Notes a delivery. */
  track(sequence: number, consumerSequence: number): void {
    const now = this.#options.clock.now();
    const held = this.#held.get(sequence);
    if (held) held.since = now;
    else this.#held.set(sequence, { consumerSequence, since: now });
    this.#lookBy(now + this.#options.ackWaitMs + EXPIRY_DELAY_MS);
  }

  isHeld(sequence: number): boolean {
    return this.#held.has(sequence);
  }

  /** The message is done. */
  acknowledge(sequence: number): void {
    if (sequence >= this.#options.next().stream) return;
    const held = this.#held.get(sequence);
    if (held) {
      this.#held.delete(sequence);
      this.#raiseFloors(held.consumerSequence, sequence);
    }
    this.#repeats.delete(sequence);
    this.#unqueue(sequence);
  }

  /**
   * A holder gives a message back.
   * @returns Whether it is to be delivered again at once.
   */
  giveBack(sequence: number, consumerSequence: number, delayMs: number | undefined): boolean {
    const isKnown = consumerSequence > this.floors.consumer;
    const held = this.#held.get(sequence);
    if (!isKnown || consumerSequence > this.#options.next().consumer || !held) return false;
    const now = this.#options.clock.now();
    if (delayMs !== undefined) {
      this.#unqueue(sequence);
      held.since = now - this.#options.ackWaitMs + delayMs;
      this.#lookBy(now + DELAYED_LOOK_MS);
      return false;
    }
    if (!this.#queue.includes(sequence)) this.#queue.push(sequence);
    return true;
  }

  /** The holder works on it. */
  progress(sequence: number): void {
    const held = this.#held.get(sequence);
    if (held) held.since = this.#options.clock.now();
  }

  /** Queues a message that is held, for faults. */
  deliverAgain(sequence: number): boolean {
    if (!this.#held.has(sequence) || this.#queue.includes(sequence)) return false;
    this.#queue.push(sequence);
    return true;
  }

  /** A message that is not held was removed from the stream. */
  forget(sequence: number): void {
    this.#repeats.delete(sequence);
  }

  /** Everything below a sequence was removed from the stream. */
  forgetRepeatsBelow(first: number): void {
    for (const sequence of [...this.#repeats.keys()])
      if (sequence < first) {
        this.#repeats.delete(sequence);
        this.#unqueue(sequence);
      }
  }

  /** Forgets how often messages were delivered, as a server that crashed may. */
  forgetCounts(): void {
    this.#repeats.clear();
  }

  /** What the consumer follows was purged up to `start`; whoever is gone besides is asked for. */
  purge(start: number, isGone: (sequence: number) => boolean): void {
    if (this.floors.stream < start) {
      this.floors.stream = start - 1;
      for (const [sequence, { consumerSequence }] of [...this.#held]) {
        if (sequence > this.floors.stream && !isGone(sequence)) continue;
        this.floors.consumer = Math.max(this.floors.consumer, consumerSequence);
        this.#held.delete(sequence);
        this.#repeats.delete(sequence);
      }
    }
    const next = this.#options.next();
    if (this.#held.size === 0) {
      this.#repeats.clear();
      this.#setFloors(next.consumer - 1, next.stream - 1);
    }
    this.#queue = this.#queue.filter((sequence) => sequence >= next.stream);
  }

  close(): void {
    this.#stopTimer?.();
    this.#stopTimer = undefined;
  }

  #unqueue(sequence: number): void {
    const at = this.#queue.indexOf(sequence);
    if (at >= 0) this.#queue.splice(at, 1);
  }

  #raiseFloors(consumerSequence: number, sequence: number): void {
    const next = this.#options.next();
    if (this.#held.size === 0) this.#setFloors(next.consumer - 1, next.stream - 1);
    else if (consumerSequence === this.floors.consumer + 1) {
      this.#setFloors(consumerSequence, sequence);
      let lowest = Number.POSITIVE_INFINITY;
      for (const other of this.#held.keys()) if (other > sequence && other < lowest) lowest = other;
      const held = this.#held.get(lowest);
      if (held) this.#setFloors(held.consumerSequence - 1, lowest - 1);
    }
  }

  #setFloors(consumer: number, stream: number): void {
    this.floors.consumer = consumer;
    this.floors.stream = stream;
  }

  /** Sees to a look at the latest at this time. */
  #lookBy(at: number): void {
    if (this.#lookAt <= at) return;
    this.#stopTimer?.();
    this.#lookAt = at;
    const { clock } = this.#options;
    this.#stopTimer = clock.after(at - clock.now(), () => {
      this.#lookAt = Number.POSITIVE_INFINITY;
      this.#look();
    });
  }

  #look(): void {
    const { clock, ackWaitMs, firstSequence, next, onExpired } = this.#options;
    const now = clock.now();
    let nextLookMs = ackWaitMs + EXPIRY_DELAY_MS;
    const expired: number[] = [];
    for (const [sequence, held] of [...this.#held]) {
      if (sequence < firstSequence() || sequence <= this.floors.stream) {
        this.#held.delete(sequence);
        this.#repeats.delete(sequence);
        this.#unqueue(sequence);
        this.floors.stream = Math.max(this.floors.stream, sequence);
        this.floors.consumer = Math.max(this.floors.consumer, held.consumerSequence);
        continue;
      }
      const elapsedMs = now - held.since;
      if (elapsedMs < ackWaitMs) nextLookMs = Math.min(nextLookMs, ackWaitMs - elapsedMs);
      else if (!this.#queue.includes(sequence)) expired.push(sequence);
    }
    expired.sort((a, b) => a - b);
    const first = this.#held.get(expired[0] ?? 0);
    const shiftMs = first ? now - first.since : 0;
    for (const sequence of expired) {
      this.#queue.push(sequence);
      const held = this.#held.get(sequence);
      if (held) held.since += shiftMs;
    }
    if (this.#held.size > 0) this.#lookBy(now + nextLookMs);
    else {
      this.#queue = [];
      const { consumer, stream } = next();
      this.#setFloors(consumer - 1, stream - 1);
    }
    if (expired.length > 0) onExpired();
  }
}
