/**
 * The slots of one pool of this worker, granted in memory by nobody else (rule 27).
 *
 * S1. Never more slots are out than the pool has.
 * S2. A slot is given back once; giving it back again does nothing.
 */

/** A slot that a run holds until it is released. */
export interface Slot {
  readonly taskName: string;
  readonly runId: string;
  /** When it was granted, in milliseconds since the epoch. */
  readonly since: number;
  release(): void;
}

/** A pool of slots. */
export class SlotPool {
  readonly capacity: number;
  readonly #held: Set<Slot> = new Set();
  readonly #queue: ((() => void) | undefined)[] = [];
  readonly #onChange: () => void;

  /** @param onChange Called after each grant and release. */
  constructor(capacity: number, onChange: () => void) {
    this.capacity = capacity;
    this.#onChange = onChange;
  }

  /** Slots that nobody holds. */
  get free(): number {
    return this.capacity - this.#held.size;
  }

  /** The slots that are held, oldest first. */
  get held(): readonly Slot[] {
    return [...this.#held];
  }

  /** Grants a slot if one is free. */
  tryAcquire(holder: { taskName: string; runId: string }, now: number): Slot | undefined {
    if (this.free <= 0) return undefined;
    const slot: Slot = {
      taskName: holder.taskName,
      runId: holder.runId,
      since: now,
      release: () => {
        if (!this.#held.delete(slot)) return;
        this.#queue.shift()?.();
        this.#onChange();
      },
    };
    this.#held.add(slot);
    this.#onChange();
    return slot;
  }

  /** Waits for a slot, in order of asking, before any token gets one. */
  async acquire(holder: { taskName: string; runId: string }, now: () => number): Promise<Slot> {
    for (;;) {
      const slot = this.tryAcquire(holder, now());
      if (slot) return slot;
      await new Promise<void>((resolve) => this.#queue.push(resolve));
    }
  }

  /** How many wait for a slot. */
  get waiting(): number {
    return this.#queue.length;
  }
}
