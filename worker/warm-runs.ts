/**
 * Suspended continuations kept in memory, so that a wake-up that lands on the same worker goes on
 * without replay. A cache: dropping one only costs a replay.
 */
import type { EventPosition } from "../shared/messages.ts";
import type { RunAddress } from "../shared/subjects.ts";
import type { Execution } from "./execution.ts";
import type { PassRun } from "./pass-run.ts";
import type { Work } from "./work.ts";

/** What of a start concerns the code. */
export interface CodeOrigin {
  /** When the code of a fork began, and what its random values come from. */
  readonly startedAt?: number;
  readonly seed?: string;
  readonly events: EventPosition;
  /** The run that started it, of a child. */
  readonly parent?: RunAddress;
  /** Names the call that started the run. */
  readonly nonce: string;
}

/** The code of a suspended run, waiting where it stopped. */
export interface WarmRun {
  readonly execution: Execution<Work>;
  /** Gives the code the signal of the pass that goes on. */
  readonly attach: (run: PassRun) => void;
  readonly origin: CodeOrigin;
}

/** A bounded cache; the run that was suspended first is dropped first. */
export class WarmRuns {
  readonly #limit: number;
  readonly #runs: Map<string, WarmRun> = new Map();

  /** @param limit How many runs are kept; 0 keeps none. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** How many are kept. */
  get size(): number {
    return this.#runs.size;
  }

  /** Keeps a run that was just suspended. */
  put(history: string, run: WarmRun): void {
    if (this.#limit === 0) return;
    this.#runs.delete(history);
    this.#runs.set(history, run);
    if (this.#runs.size <= this.#limit) return;
    const [oldest] = this.#runs.keys();
    if (oldest !== undefined) this.#runs.delete(oldest);
  }

  /**
   * Forgets a run that has ended. Its code may still be kept: a wake-up that came before it was put
   * here was answered by a replay.
   */
  drop(history: string): void {
    this.#runs.delete(history);
  }

  /** Takes a run out, if it is kept and still waits at this very commit. */
  take(history: string, waitSequence: number): WarmRun | undefined {
    const run = this.#runs.get(history);
    if (!run) return undefined;
    this.#runs.delete(history);
    const { state } = run.execution;
    return state.status === "waiting" && state.tail === waitSequence ? run : undefined;
  }
}
