/**
 * Asks the consumer groups of a pool's tasks for tokens, on every shard, for as many as there are
 * free slots, fairly over the tasks.
 *
 * I1. Where tokens are coming, no more are asked for than slots are free.
 * I2. Where none are coming, one is asked for as long as any slot is free, so that no source waits
 *     for another. A token that then finds no slot is given back at once; each such question brings
 *     at most one.
 */

import type { Clock } from "../shared/clock.ts";
import type { DeliveredMessage } from "../shared/jetstream/delivery.ts";
import type { PullEnd, Puller } from "../shared/jetstream/puller.ts";
import type { LogSink } from "../shared/logger.ts";
import type { RunAddress } from "../shared/subjects.ts";
import type { Slot, SlotPool } from "./slots.ts";

/** One consumer group on one shard. */
export interface TokenSource {
  readonly name: string;
  readonly puller: Pick<Puller, "request">;
  /** Whose run a token is for. */
  readonly runOf: (token: DeliveredMessage) => RunAddress;
  /** Takes a token and the slot for it. */
  readonly onToken: (token: DeliveredMessage, slot: Slot) => void;
  /** Makes the consumer again after it was deleted. */
  readonly restore: () => Promise<void>;
}

/** What an intake needs besides its sources. */
export interface IntakeOptions {
  readonly pool: SlotPool;
  readonly clock: Clock;
  readonly log: LogSink;
  /** How long a request waits at the server. */
  readonly expiresMs: number;
}

/** A source is active for so long after its last token. */
const ACTIVE_MS = 1_000;
/** Pause before a source is asked again after an error. */
const PAUSE_MS = 250;

interface SourceState {
  readonly source: TokenSource;
  /** Tokens that were asked for and have not come. */
  outstanding: number;
  lastTokenAt: number;
  isPausing: boolean;
}

/** Fills one pool. */
export class Intake {
  readonly #options: IntakeOptions;
  readonly #sources: SourceState[];
  #isOpen = false;
  #isToFill = false;
  #next = 0;

  constructor(options: IntakeOptions, sources: readonly TokenSource[]) {
    this.#options = options;
    this.#sources = sources.map((source) => ({
      source,
      outstanding: 0,
      lastTokenAt: Number.NEGATIVE_INFINITY,
      isPausing: false,
    }));
  }

  /** Begins to ask. */
  open(): void {
    this.#isOpen = true;
    this.fill();
  }

  /** Asks no more. Tokens that still come are given back. */
  close(): void {
    this.#isOpen = false;
  }

  /**
   * Asks for what the free slots allow. Called whenever a slot may have become free: once for all that
   * become free together, since a request costs the server as much for one token as for many.
   */
  fill(): void {
    if (this.#isToFill) return;
    this.#isToFill = true;
    queueMicrotask(() => {
      this.#isToFill = false;
      this.#fill();
    });
  }

  #fill(): void {
    const { pool, clock } = this.#options;
    const free = pool.free - pool.waiting;
    if (!this.#isOpen || free <= 0 || this.#sources.length === 0) return;
    const now = clock.monotonic();
    const active = this.#sources.filter((state) => now - state.lastTokenAt < ACTIVE_MS);
    const wanted = active.reduce((sum, state) => sum + state.outstanding, 0);
    const share = Math.max(1, Math.floor(free / Math.max(1, active.length)));
    let allowance = free - wanted;
    for (let i = 0; i < this.#sources.length; i++) {
      const state = this.#sources[(this.#next + i) % this.#sources.length] as SourceState;
      const isActive = now - state.lastTokenAt < ACTIVE_MS;
      if (state.isPausing || state.outstanding > (isActive ? share / 2 : 0)) continue;
      const batch = isActive ? Math.min(share - state.outstanding, allowance) : 1;
      if (batch < 1 && state.outstanding > 0) continue;
      if (isActive) allowance -= batch;
      this.#request(state, Math.max(batch, 1));
    }
    this.#next = (this.#next + 1) % this.#sources.length;
  }

  #request(state: SourceState, batch: number): void {
    state.outstanding += batch;
    state.source.puller.request({
      batch,
      expiresMs: this.#options.expiresMs,
      onMessage: (token) => {
        state.outstanding--;
        this.#receive(state, token);
      },
      onEnd: (end) => {
        state.outstanding -= end.missing;
        this.#ended(state, end);
      },
    });
  }

  #receive(state: SourceState, token: DeliveredMessage): void {
    const { pool, clock, log } = this.#options;
    state.lastTokenAt = clock.monotonic();
    if (!this.#isOpen) return token.nak();
    let run: RunAddress;
    try {
      run = state.source.runOf(token);
    } catch (error) {
      log.error("A message on a token's subject names no run; it is dropped.", {
        subject: token.subject,
        error,
      });
      return token.ack();
    }
    const slot = pool.tryAcquire(run, clock.now());
    if (!slot) return token.nak();
    state.source.onToken(token, slot);
    this.fill();
  }

  #ended(state: SourceState, end: PullEnd): void {
    const { clock, log } = this.#options;
    switch (end.reason) {
      case "complete":
      case "empty":
      case "expired":
      case "full":
      case "lost":
      case "reconnected":
        return this.fill();
      case "closed":
        return;
      default:
    }
    if (state.isPausing || !this.#isOpen) return;
    log.warn("Asking for tokens failed; it is tried again.", { source: state.source.name, ...end });
    state.isPausing = true;
    clock.after(PAUSE_MS, () => {
      void state.source
        .restore()
        .catch((error: unknown) => {
          log.warn("A consumer group could not be checked.", { source: state.source.name, error });
        })
        .finally(() => {
          state.isPausing = false;
          this.fill();
        });
    });
  }
}
