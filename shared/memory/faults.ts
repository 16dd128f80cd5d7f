/**
 * What may go wrong, decided one operation at a time. A policy that decides by a seeded random source
 * goes wrong in the same way each time.
 */
import type { RandomSource } from "../ids.ts";

/** What becomes of a write. */
export type WriteFault =
  /** It is refused with 10164: another write to the guard's subject is being replicated. */
  | { readonly kind: "conflict" }
  /** It is stored, and nobody learns it. */
  | { readonly kind: "reply-lost" }
  /** It never reaches the stream, and nobody learns it. */
  | { readonly kind: "lost" }
  /** It is looked at only after this time, long after its sender has given up, or has died. */
  | { readonly kind: "delayed"; readonly ms: number }
  /** It is looked at now, and again after this time. */
  | { readonly kind: "repeated"; readonly ms: number };

/** What goes wrong with a delivery. */
export interface DeliveryFault {
  /** It says that it is the first one although it is not. */
  readonly isCountForgotten?: boolean;
  /** It is delivered again after this time although it is held. */
  readonly repeatAfterMs?: number;
}

/** What goes wrong with an acknowledgement, or with a sign that a message is being worked on. */
export type AnswerFault =
  | { readonly kind: "lost" }
  | { readonly kind: "delayed"; readonly ms: number };

/** What goes wrong when a schedule is due. */
export type FiringFault =
  /** It is refused, and not tried again until the server restarts or another server leads. */
  | "refused"
  /** It fires twice. */
  | "repeated";

/** A write as a policy sees it. */
export interface WriteOperation {
  readonly stream: string;
  readonly subject: string;
  /** Who writes; "" for the server itself. */
  readonly client: string;
}

/** A read as a policy sees it. */
export interface ReadOperation {
  readonly stream: string;
  /** Whether the leader is asked. */
  readonly isLeader: boolean;
  /** How many changes the replica could be behind at the most. */
  readonly mostBehind: number;
}

/** Decides what goes wrong. Each method is called once for each operation, in order. */
export interface FaultPolicy {
  /** Milliseconds that a message takes from a client to the server, or back. */
  latencyMs(): number;
  write(operation: WriteOperation): WriteFault | undefined;
  /** How many changes the replica that answers is behind. */
  staleBy(operation: ReadOperation): number;
  deliver(operation: {
    stream: string;
    consumer: string;
    sequence: number;
  }): DeliveryFault | undefined;
  answer(operation: { stream: string; consumer: string }): AnswerFault | undefined;
  fire(operation: { stream: string; subject: string }): FiringFault | undefined;
  /** How much later than it could a schedule fires. */
  firingDelayMs(): number;
  /** Whether a message that was on its way when its connection broke arrives all the same. */
  arrives(): boolean;
}

/** Nothing goes wrong, and nothing takes time. */
export const noFaults: FaultPolicy = {
  latencyMs: () => 0,
  write: () => undefined,
  staleBy: () => 0,
  deliver: () => undefined,
  answer: () => undefined,
  fire: () => undefined,
  firingDelayMs: () => 0,
  arrives: () => true,
};

/** How often things go wrong, each from 0 to 1, and by how much. */
export interface FaultRates {
  readonly conflict?: number;
  readonly replyLost?: number;
  readonly writeLost?: number;
  readonly writeDelayed?: number;
  readonly writeRepeated?: number;
  /** The longest delay of a write, or of its repetition. Default 8,000. */
  readonly writeDelayMs?: number;
  readonly staleRead?: number;
  /** Whether leaders can be stale too, as a deposed one is. Default false. */
  readonly isLeaderStale?: boolean;
  readonly countForgotten?: number;
  readonly deliveredTwice?: number;
  readonly answerLost?: number;
  readonly answerDelayed?: number;
  readonly firingRefused?: number;
  readonly firingRepeated?: number;
  /** Messages take up to so long each way. Default 2. */
  readonly latencyMs?: number;
  /** One in a hundred messages takes up to so long instead. Default 0. */
  readonly slowMs?: number;
}

/** The server wakes its scheduler about this often. */
const FIRING_GRANULARITY_MS = 250;
const WRITE_DELAY_MS = 8_000;
const LATENCY_MS = 2;
const SLOW_SHARE = 0.01;

/** Lets things go wrong as often as the rates say, until it is told to stop. */
export class SeededFaults implements FaultPolicy {
  readonly #random: RandomSource;
  #rates: FaultRates;

  constructor(random: RandomSource, rates: FaultRates) {
    this.#random = random;
    this.#rates = rates;
  }

  /** Nothing goes wrong from now on; messages still take their time. */
  heal(): void {
    const { latencyMs = LATENCY_MS } = this.#rates;
    this.#rates = { latencyMs };
  }

  latencyMs(): number {
    const { latencyMs = LATENCY_MS, slowMs = 0 } = this.#rates;
    const mostMs = slowMs > 0 && this.#happens(SLOW_SHARE) ? slowMs : latencyMs;
    return this.#random() * mostMs;
  }

  write({ client }: WriteOperation): WriteFault | undefined {
    if (client === "") return undefined;
    const { conflict, replyLost, writeLost, writeDelayed, writeRepeated, writeDelayMs } =
      this.#rates;
    if (this.#happens(conflict)) return { kind: "conflict" };
    if (this.#happens(replyLost)) return { kind: "reply-lost" };
    if (this.#happens(writeLost)) return { kind: "lost" };
    const kind = this.#happens(writeDelayed)
      ? "delayed"
      : this.#happens(writeRepeated) && "repeated";
    return kind ? { kind, ms: this.#random() * (writeDelayMs ?? WRITE_DELAY_MS) } : undefined;
  }

  staleBy({ isLeader, mostBehind }: ReadOperation): number {
    const { staleRead, isLeaderStale = false } = this.#rates;
    if ((isLeader && !isLeaderStale) || !this.#happens(staleRead)) return 0;
    return Math.floor(this.#random() * (mostBehind + 1));
  }

  deliver(): DeliveryFault | undefined {
    const isCountForgotten = this.#happens(this.#rates.countForgotten);
    const isRepeated = this.#happens(this.#rates.deliveredTwice);
    if (!isCountForgotten && !isRepeated) return undefined;
    return { isCountForgotten, ...(isRepeated ? { repeatAfterMs: this.#random() * 500 } : {}) };
  }

  answer(): AnswerFault | undefined {
    if (this.#happens(this.#rates.answerLost)) return { kind: "lost" };
    if (!this.#happens(this.#rates.answerDelayed)) return undefined;
    return { kind: "delayed", ms: this.#random() * WRITE_DELAY_MS };
  }

  fire(): FiringFault | undefined {
    if (this.#happens(this.#rates.firingRefused)) return "refused";
    return this.#happens(this.#rates.firingRepeated) ? "repeated" : undefined;
  }

  firingDelayMs(): number {
    return this.#random() * FIRING_GRANULARITY_MS;
  }

  arrives(): boolean {
    return this.#happens(0.5);
  }

  #happens(rate = 0): boolean {
    return rate > 0 && this.#random() < rate;
  }
}
