/**
 * What time it is at the server, as far as this process knows: two bounds that hold whatever the
 * clocks of this machine say (rule 14). Pure, over the monotonic clock it is given.
 *
 * T1. `earliest` is never ahead of the server's clock: what is due by it is due.
 * T2. `latest` is never behind it: a sleep counted from it never ends early.
 */

/** Bounds on the server's clock in milliseconds since the epoch. */
export class ServerClock {
  readonly #monotonic: () => number;
  #earliestOffset = Number.NEGATIVE_INFINITY;
  #latestOffset = Number.POSITIVE_INFINITY;

  constructor(monotonic: () => number) {
    this.#monotonic = monotonic;
  }

  /**
   * Learns from an answer that carries the server's time.
   * @param serverMs The time in the answer.
   * @param askedAt Monotonic time when the question was sent.
   * @param answeredAt Monotonic time when the answer arrived.
   */
  learn(serverMs: number, askedAt: number, answeredAt: number): void {
    const earliest = serverMs - answeredAt;
    const latest = serverMs - askedAt;
    // Where old and new bounds contradict each other, the server's clock was set: the new ones hold.
    const agrees = earliest <= this.#latestOffset && latest >= this.#earliestOffset;
    this.#earliestOffset = agrees ? Math.max(earliest, this.#earliestOffset) : earliest;
    this.#latestOffset = agrees ? Math.min(latest, this.#latestOffset) : latest;
  }

  /** Forgets what was learned except the last answer's width, so that drift does not add up. */
  widen(ms: number): void {
    this.#earliestOffset -= ms;
    this.#latestOffset += ms;
  }

  /** How far the bounds are apart, in milliseconds: so late a sleep may end. */
  get width(): number {
    return this.#latestOffset - this.#earliestOffset;
  }

  /** The server's clock shows at least this. */
  earliest(): number {
    return this.#monotonic() + this.#earliestOffset;
  }

  /** The server's clock shows at most this, or showed at a monotonic time. */
  latest(at: number = this.#monotonic()): number {
    return at + this.#latestOffset;
  }
}
