/** What may happen to what travels between two processes of a chaos run, and what several of it come to. */

/** Which way: `up` is from who connects to who listens. */
export type Direction = "up" | "down";

/** What happens to the bytes of one direction. */
export interface Weather {
  /**
   * Nothing passes until it is over. In a network namespace the packets are lost, and TCP sends again;
   * elsewhere the proxy holds the bytes back.
   */
  readonly isHeld?: boolean;
  /** Nothing is read until it is over, as by a process that is too slow. No packet is lost. */
  readonly isUnread?: boolean;
  /** How much later everything arrives. */
  readonly delayMs?: number;
  /** Every so many writes to a server, one is sent twice. */
  readonly repeatEvery?: number;
}

/** What several faults do to one direction at the same time. */
export function combined(all: readonly Weather[]): Weather {
  const repeats = all.flatMap(({ repeatEvery }) => repeatEvery ?? []);
  return {
    isHeld: all.some(({ isHeld }) => isHeld),
    isUnread: all.some(({ isUnread }) => isUnread),
    delayMs: Math.max(0, ...all.map(({ delayMs }) => delayMs ?? 0)),
    repeatEvery: repeats.length === 0 ? 0 : Math.min(...repeats),
  };
}
