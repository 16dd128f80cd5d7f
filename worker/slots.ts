/**
 * The slots of one pool of this worker, granted in memory by nobody else (rule 27).
 *
 * S1. Never more slots are out than the pool has.
 * S2. A slot is given back once; giving it back again does nothing.
 * S3. Who waits for a slot gets the next one that is given back, in order.
 */

/** A slot that a run holds until it is released. */
export interface Slot {
  readonly taskName: string;
  readonly runId: string;
  /** When it was granted, in milliseconds since the epoch. */
  readonly since: number;
  release(): void;
}

/** Somebody who waits for a slot. */
export interface Waiting {
  readonly holder: { readonly taskName: string; readonly runId: string };
  /** Read when the slot is granted. */
  readonly now: () => number;
  readonly give: (slot: Slot) => void;
}

/** A pool of slots. */
export class SlotPool {
  readonly capacity: number;
  readonly #held: Set<Slot> = new Set();
  readonly #queue: Waiting[] = [];
  readonly #onChange: () => void;
  #releases = 0;

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

  /** How many slots were given back since the pool was made. */
  get releases(): number {
    return this.#releases;
  }

  /** How many wait for a slot. */
  get waiting(): number {
    return this.#queue.length;
  }

  /** Grants a slot if one is free. */
  tryAcquire(holder: { taskName: string; runId: string }, now: number): Slot | undefined {
    if (this.free <= 0) return undefined;
    const slot = this.#grant(holder, now);
    this.#onChange();
    return slot;
  }

  /** Waits for a slot, in order of asking, before any token gets one. */
  acquire(holder: Waiting["holder"], now: () => number): Promise<Slot> {
    const slot = this.tryAcquire(holder, now());
    if (slot) return Promise.resolve(slot);
    return new Promise((give) => this.enqueue({ holder, now, give }));
  }

  /**
   * Waits for the next slot that is given back and that nobody waited for before.
   * @returns Takes the wish back; does nothing when it was granted.
   */
  enqueue(wish: Waiting): () => void {
    this.#queue.push(wish);
    return () => {
      const index = this.#queue.indexOf(wish);
      if (index >= 0) this.#queue.splice(index, 1);
    };
  }

  #grant({ taskName, runId }: { taskName: string; runId: string }, now: number): Slot {
    const slot: Slot = { taskName, runId, since: now, release: () => this.#release(slot) };
    this.#held.add(slot);
    return slot;
  }

  /** Gives the slot on to the first who waits, at once, so that nobody comes in between. */
  #release(slot: Slot): void {
    if (!this.#held.delete(slot)) return;
    this.#releases++;
    const next = this.#queue.shift();
    if (next) next.give(this.#grant(next.holder, next.now()));
    this.#onChange();
  }
}
