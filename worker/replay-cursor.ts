/**
 * Hands the recorded results to the code that asks for them, and finds where code and history part.
 * Pure. A pass that goes on from the log and a pass that writes it use the same cursor: what was
 * committed a moment ago is handed out in the same way as what was committed last week.
 *
 * R1. Results are handed out in the order in which they were recorded.
 * R2. A result is handed out only to code that has asked for it: else the replay diverged.
 * R3. What was recorded and was not asked for when the code goes on to something new, or ends, is a
 *     divergence too.
 * R4. So is what code asks for and is not recorded, at a place where it was suspended afterwards: all
 *     that it asked for then is recorded.
 * R5. So is code that ends with no more results than it had when it was suspended.
 */
import type { Delivery, RunState, WaitState } from "../shared/run-state.ts";

/** Where code and history part. */
export interface Divergence {
  /**
   * The history has what the code did not ask for; or the code asks for what the history does not
   * have where it would have to; or the code asks for something else under the same name; or it ends
   * where it went on.
   */
  readonly kind: "missing" | "added" | "different" | "ended";
  /** Key of the recorded operation that tells; nothing when there is none. */
  readonly recorded?: string;
  /** What the code asked for instead: keys. None when it has ended, or asks for nothing. */
  readonly asked: readonly string[];
  readonly likelyCause: string;
}

/** A cursor over the results of one run. */
export class ReplayCursor {
  readonly #state: RunState;
  /** What the code asked for, with how many results it had received then. */
  readonly #asked: Map<string, number> = new Map();
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

  /** Whether the code has asked for something that is not recorded. */
  get hasAskedElse(): boolean {
    return this.#unrecorded().length > 0;
  }

  /** Notes that the code asked for an operation. */
  ask(key: string): void {
    this.#asked.set(key, this.#received);
  }

  /** Notes that an operation that was asked for is the recorded one with another key. */
  rename(asked: string, recorded: string): void {
    this.#asked.set(recorded, this.#asked.get(asked) as number);
    this.#asked.delete(asked);
  }

  /** Whether the history says what this operation is: it is not begun again. */
  isRecorded(key: string): boolean {
    const { steps, waits, children } = this.#state;
    return steps.has(key) || waits.has(key) || children.has(key);
  }

  /** Recorded waits that the code has not asked for. */
  unaskedWaits(): WaitState[] {
    return [...this.#state.waits.values()].filter(({ key }) => !this.#asked.has(key));
  }

  /** Moves behind the next result and returns it. */
  take(): Delivery | undefined {
    return this.#state.deliveries[this.#received++];
  }

  /**
   * The divergence at this point, if something recorded was not asked for (R2, R3).
   * @param end Whether the code has come to its end.
   */
  divergence(end: boolean): Divergence | undefined {
    const recorded = this.#missing(end);
    if (recorded === undefined) return undefined;
    if (end) return { kind: "ended", recorded, asked: [], likelyCause: ENDS_EARLIER };
    const unrecorded = this.#unrecorded();
    const asked = unrecorded.length > 0 ? unrecorded : this.#open();
    const likelyCause = whyMissing(recorded, asked, unrecorded.length > 0);
    return { kind: "missing", recorded, asked, likelyCause };
  }

  /**
   * The divergence of code that has received all that is recorded, and was executed from its beginning,
   * from what it did before it was suspended last (R4, R5).
   * @param endedAt How many results the code had received when it came to its end, if it has.
   */
  divergenceSinceSuspended(endedAt?: number): Divergence | undefined {
    const { suspendedAt, retries, waits, pending } = this.#state;
    if (suspendedAt === undefined) return undefined;
    const [wait] = [...pending.keys(), ...retries.keys(), ...[...waits.keys()].slice(-1)];
    const recorded = wait === undefined ? {} : { recorded: wait };
    if (endedAt !== undefined && endedAt <= suspendedAt)
      return { kind: "ended", ...recorded, asked: [], likelyCause: ENDS_EARLIER };
    const asked = this.#unrecorded().filter(
      (key) => !retries.has(key) && (this.#asked.get(key) as number) <= suspendedAt,
    );
    if (asked.length === 0) return undefined;
    return { kind: "added", ...recorded, asked, likelyCause: ADDED };
  }

  /** Keys that the code asked for and that are not recorded. */
  #unrecorded(): string[] {
    return [...this.#asked.keys()].filter((key) => !this.isRecorded(key));
  }

  /** Keys that the code asked for and whose results it has not received. */
  #open(): string[] {
    const { deliveries } = this.#state;
    const received = new Set(deliveries.slice(0, this.#received).map(({ key }) => key));
    return [...this.#asked.keys()].filter((key) => !received.has(key));
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

const ENDS_EARLIER = "the code ends earlier than it did when this was recorded";
const ADDED = "something was added to the code at a place that this run has passed";

function whyMissing(recorded: string, asked: readonly string[], isNew: boolean): string {
  const first = asked[0];
  if (first === undefined)
    return "the code no longer asks for it, or waits for something outside the run";
  if (!isNew) return "the order was changed, or it was removed";
  const nameOf = (key: string): string => key.slice(key.indexOf(" ") + 1);
  const isSameKind = first[0] === recorded[0];
  if (!isSameKind && nameOf(first) === nameOf(recorded)) return "it is of another kind now";
  if (isSameKind && recorded[0] === "w" && nameOf(first) !== nameOf(recorded))
    return "what the code waits for was changed, or is not the same each time";
  if (isSameKind && nameOf(first) !== nameOf(recorded))
    return "it was renamed, replaced or moved, or its name is not the same each time";
  return "operations were added, removed or put into another order";
}
