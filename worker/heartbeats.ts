/**
 * The heartbeats of one attempt: each resets its time limit; what it says is recorded, not each time,
 * so that the next attempt can go on from there.
 */
import type { CancelTimer, Clock } from "../shared/clock.ts";
import { encode } from "../shared/codec.ts";
import { LimitExceededError } from "../shared/errors.ts";
import { HEARTBEAT_BYTES } from "../shared/limits.ts";

/** Details are recorded no more often than this. */
const SHORTEST_PAUSE_MS = 1_000;
/** ... and the longer the attempt goes on the less often: it rests for so much of its time. */
const PAUSE_SHARE = 0.01;

/** What one attempt's heartbeats need. */
export interface HeartbeatOptions {
  readonly clock: Clock;
  /** Puts details into the history. */
  readonly record: (details: unknown) => void;
}

/** The heartbeats of one attempt. */
export class Heartbeats {
  /** Called at each heartbeat. */
  onBeat: () => void = () => {};
  readonly #options: HeartbeatOptions;
  readonly #startedAt: number;
  #nextAt = Number.NEGATIVE_INFINITY;
  #pending: { readonly details: unknown } | undefined;
  #stopTimer: CancelTimer | undefined;
  #isOver = false;

  constructor(options: HeartbeatOptions) {
    this.#options = options;
    this.#startedAt = options.clock.monotonic();
  }

  /**
   * Notes that the attempt goes on. After its end it does nothing.
   * @throws {InvalidInputError} When the details cannot be stored.
   * @throws {LimitExceededError} When they are too large.
   */
  beat(details: unknown): void {
    if (this.#isOver) return;
    const { byteLength } = encode(details, "details of a heartbeat");
    if (byteLength > HEARTBEAT_BYTES)
      throw new LimitExceededError(
        `The details of a heartbeat have ${byteLength} bytes. Expected at most ${HEARTBEAT_BYTES}; keep what is large elsewhere and name it.`,
        { limit: HEARTBEAT_BYTES, actual: byteLength },
      );
    this.onBeat();
    this.#pending = { details };
    const restMs = this.#nextAt - this.#options.clock.monotonic();
    if (restMs <= 0) this.#record();
    else this.#stopTimer ??= this.#options.clock.after(restMs, () => this.#record());
  }

  /** The attempt is over. What is not recorded by now is of no use any more. */
  close(): void {
    this.#isOver = true;
    this.#stopTimer?.();
  }

  #record(): void {
    this.#stopTimer?.();
    this.#stopTimer = undefined;
    const pending = this.#pending;
    if (!pending) return;
    this.#pending = undefined;
    const now = this.#options.clock.monotonic();
    this.#nextAt = now + Math.max(SHORTEST_PAUSE_MS, (now - this.#startedAt) * PAUSE_SHARE);
    this.#options.record(pending.details);
  }
}
