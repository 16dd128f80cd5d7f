/**
 * Asks the consumer groups of a pool's tasks for tokens, on every shard, for as many as there are
 * free slots, fairly over the tasks.
 *
 * I1. Of sources that are known to have tokens, no more are asked for than slots are free, or will be
 *     when the answer is here, by the rate at which they were given back of late.
 * I2. As long as any slot is free, one token is asked for at every source, so that none waits for
 *     another: at once where the slots allow, and else a moment later, when what was asked for did not
 *     fill them.
 * I3. A token that finds no slot gets the next one if that is given back in a moment; else the token is
 *     given back, to any worker.
 */

import type { Clock } from "../shared/clock.ts";
import type { DeliveredMessage } from "../shared/jetstream/delivery.ts";
import type { PullEnd, Puller } from "../shared/jetstream/puller.ts";
import type { LogSink } from "../shared/logger.ts";
import type { RunAddress } from "../shared/subjects.ts";
import type { Slot, SlotPool } from "./slots.ts";
import { Turnover } from "./turnover.ts";

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
/** A source that has tokens answers within so long, or others have taken them. */
const ANSWER_MS = 10;
/** How long a token that finds no slot waits for one. */
const HOLD_MS = 25;
/** So long before a slot will be given back a token is asked for: what an answer takes, and some. */
const LEAD_MS = 3;
/** Pause before a source is asked again after an error. */
const PAUSE_MS = 250;

interface SourceState {
  readonly source: TokenSource;
  /** Tokens that were asked for and have not come. */
  outstanding: number;
  lastTokenAt: number;
  /** Whether more tokens were behind the last one. */
  hasMore: boolean;
  /** When a token came, or the first one was asked for. */
  heardAt: number;
  isPausing: boolean;
}

/** Fills one pool. */
export class Intake {
  readonly #options: IntakeOptions;
  readonly #sources: SourceState[];
  #isOpen = false;
  #isToFill = false;
  #isToFillLate = false;
  #next = 0;
  readonly #turnover: Turnover = new Turnover();
  /** What gives back the tokens that wait for a slot. */
  readonly #held: Set<() => void> = new Set();

  constructor(options: IntakeOptions, sources: readonly TokenSource[]) {
    this.#options = options;
    this.#sources = sources.map((source) => ({
      source,
      outstanding: 0,
      lastTokenAt: Number.NEGATIVE_INFINITY,
      hasMore: false,
      heardAt: 0,
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
    for (const giveBack of [...this.#held]) giveBack();
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

  /** @param isLate What was asked for had its time to fill the slots. */
  #fill(isLate = false): void {
    const { pool, clock } = this.#options;
    const now = clock.monotonic();
    const soonFree = this.#turnover.within(LEAD_MS, pool.releases, now);
    const free = Math.max(pool.free, soonFree) - pool.waiting;
    if (!this.#isOpen || free <= 0) return;
    const sources = this.#inTurn().filter(({ isPausing }) => !isPausing);
    const active = sources.filter(({ lastTokenAt }) => now - lastTokenAt < ACTIVE_MS);
    const ready = active.filter((state) => isReady(state, now));
    const share = Math.max(1, Math.floor(free / Math.max(1, active.length)));
    this.#ask(ready, free - outstandingOf(ready), share);
    const left = this.#ask(active, free - outstandingOf(active), share);
    const unasked = sources.filter(({ outstanding }) => outstanding === 0);
    if (left > 0 || isLate) for (const state of unasked) this.#request(state, 1);
    else if (unasked.length > 0) this.#fillLate();
  }

  /** All sources, each time beginning with another one. */
  #inTurn(): SourceState[] {
    const first = this.#next++ % Math.max(1, this.#sources.length);
    return [...this.#sources.slice(first), ...this.#sources.slice(0, first)];
  }

  /** Brings sources up to their share, as far as the allowance goes. Returns what is left of it. */
  #ask(sources: readonly SourceState[], allowance: number, share: number): number {
    let left = allowance;
    for (const state of sources) {
      if (left <= 0) break;
      if (state.outstanding > share / 2) continue;
      const batch = Math.min(share - state.outstanding, left);
      this.#request(state, batch);
      left -= batch;
    }
    return left;
  }

  #fillLate(): void {
    if (this.#isToFillLate) return;
    this.#isToFillLate = true;
    this.#options.clock.after(ANSWER_MS, () => {
      this.#isToFillLate = false;
      this.#fill(true);
    });
  }

  #request(state: SourceState, batch: number): void {
    if (state.outstanding === 0) state.heardAt = this.#options.clock.monotonic();
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
    state.lastTokenAt = state.heardAt = clock.monotonic();
    state.hasMore = token.pending > 0;
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
    if (!slot) return this.#hold(state, token, run);
    state.source.onToken(token, slot);
    this.fill();
  }

  /** Gives a token the next slot if that is given back in a moment; else gives the token back. */
  #hold({ source }: SourceState, token: DeliveredMessage, run: RunAddress): void {
    const { pool, clock } = this.#options;
    const giveBack = (): void => {
      forget();
      token.nak();
    };
    const give = (slot: Slot): void => {
      forget();
      source.onToken(token, slot);
    };
    const withdraw = pool.enqueue({ holder: run, now: () => clock.now(), give });
    const stop = clock.after(HOLD_MS, giveBack);
    const forget = (): void => {
      stop();
      withdraw();
      this.#held.delete(giveBack);
    };
    this.#held.add(giveBack);
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

/** Whether tokens are known to be there: nobody else has taken them, as far as its silence tells. */
function isReady({ hasMore, outstanding, heardAt }: SourceState, now: number): boolean {
  return hasMore && (outstanding === 0 || now - heardAt < ANSWER_MS);
}

function outstandingOf(sources: readonly SourceState[]): number {
  return sources.reduce((sum, { outstanding }) => sum + outstanding, 0);
}
