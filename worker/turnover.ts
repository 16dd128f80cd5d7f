/** How fast the slots of a pool are given back. */

/** The rate is taken over so long, and is taken for none when it was not asked for ten times as long. */
const SPAN_MS = 10;

/** The rate of late, for as long as it is asked for. */
export class Turnover {
  #since = Number.NEGATIVE_INFINITY;
  #releases = 0;
  #perMs = 0;

  /**
   * How many slots will be given back within this time if all goes on as of late.
   * @param releases How many were given back ever.
   * @param now Monotonic.
   */
  within(ms: number, releases: number, now: number): number {
    const elapsedMs = now - this.#since;
    if (elapsedMs >= SPAN_MS) {
      this.#perMs = elapsedMs > 10 * SPAN_MS ? 0 : (releases - this.#releases) / elapsedMs;
      this.#since = now;
      this.#releases = releases;
    }
    return Math.floor(this.#perMs * ms);
  }
}
