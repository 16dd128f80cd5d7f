/** What the main thread and the thread that watches its event loop tell each other; see loop-watch.ts. */

/** Cells of the memory that both see. */
export const CELL = { beats: 0, isDebugged: 1, count: 2 } as const;

/** What the thread is started with. */
export interface WatchData {
  readonly cells: SharedArrayBuffer;
  /** How often the loop says that it turns, and how often the thread looks. */
  readonly beatMs: number;
  /** Looks without a beat after which the loop is blocked. */
  readonly looks: number;
  /** An expression for the runs at work: a JSON list of texts. */
  readonly atWork: string;
}

/** What the thread has to know of the workers. */
export interface WatchOrders {
  /** Their names, for people. */
  readonly workers: string;
  /** After this long it says so itself: nobody else may ever. */
  readonly tellAfterMs: number;
  /** After this long it ends the process; never when absent. */
  readonly endAfterMs?: number;
}

/** What the thread saw. */
export interface BlockedLoop {
  readonly ms: number;
  /** What the loop was at when that was noticed, as a stack trace, innermost first; or empty. */
  readonly stack: string;
  /** The runs that held a slot then, as `task/run`. */
  readonly atWork: readonly string[];
}
