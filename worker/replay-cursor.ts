/**
 * Hands the recorded results to the code that asks for them, and finds where code and history part.
 * Pure. A pass that goes on from the log and a pass that writes it use the same cursor: what was
 * committed a moment ago is handed out in the same way as what was committed last week.
 *
 * R1. Results are handed out in the order in which they were recorded.
 * R2. A result is handed out only to code that has asked for it: else the replay diverged.
 * R3. What was recorded and was not asked for when the code goes on to something new, or ends, is a
 *     divergence too.
 */
import type { Delivery, RunState } from "../shared/run-state.ts";

/** Where the code and its history part. */
export interface Divergence {
  /** Key of the recorded operation that the code did not ask for. */
  readonly recorded: string;
  /** What it asked for instead, not recorded: keys, or "the end". */
  readonly asked: readonly string[];
  readonly likelyCause: string;
}

/** A cursor over the results of one run. */
export class ReplayCursor {
  readonly #state: RunState;
  readonly #asked: Set<string> = new Set();
  #received = 0;

  constructor(state: RunState) {
    this.#state = state;
  }

  /** How many results the code has received. */
  get received(): number {
    return this.#received;
  }

  /** The next recorded result, whether or not the code has asked for it. */
  get next(): Delivery | undefined {
    return this.#state.deliveries[this.#received];
  }

  /** Whether the code has asked for the next recorded result. */
  get canDeliver(): boolean {
    const next = this.next;
    return next !== undefined && this.#asked.has(next.key);
  }

  /** Notes that the code asked for an operation. */
  ask(key: string): void {
    this.#asked.add(key);
  }

  /** Whether the history says what this operation is: it is not begun again. */
  isRecorded(key: string): boolean {
    const { steps, waits, children } = this.#state;
    return steps.has(key) || waits.has(key) || children.has(key);
  }

  /** Moves behind the next result and returns it. */
  take(): Delivery | undefined {
    return this.#state.deliveries[this.#received++];
  }

  /**
   * The divergence at this point, if there is one.
   * @param end Whether the code has come to its end.
   */
  divergence(end: boolean): Divergence | undefined {
    const missing = this.#missing(end);
    if (missing === undefined) return undefined;
    const asked = end ? ["the end"] : [...this.#asked].filter((key) => !this.isRecorded(key));
    return { recorded: missing, asked, likelyCause: likelyCause(missing, asked) };
  }

  #missing(end: boolean): string | undefined {
    const next = this.next;
    if (next && !this.#asked.has(next.key)) return next.key;
    if (next && !end) return undefined;
    const { steps, waits, children, retries, heartbeats } = this.#state;
    const begun = [retries.keys(), heartbeats.keys()];
    for (const keys of [steps, waits.keys(), children.keys(), ...begun])
      for (const key of keys) if (!this.#asked.has(key)) return key;
    return undefined;
  }
}

function likelyCause(recorded: string, asked: readonly string[]): string {
  const first = asked[0];
  if (first === "the end") return "the code ends earlier than it did when this was recorded";
  if (first === undefined)
    return "the code no longer asks for it, or waits for something outside the run";
  const nameOf = (key: string): string => key.slice(key.indexOf(" ") + 1);
  if (first[0] === recorded[0] && nameOf(first) !== nameOf(recorded))
    return "it was renamed, replaced or moved, or its name is not the same each time";
  return "operations were added, removed or put into another order";
}
