/**
 * When which timer is due, in few bytes for each. Pure.
 *
 * D1. A run has one timer: a newer one replaces the older.
 */

/** One stored schedule. */
export interface Timer {
  /** Its subject. */
  readonly subject: string;
  readonly shard: number;
  /** Sequence of the schedule. */
  readonly sequence: number;
  /** In whole tenths of a second since the epoch of the collection, so that it takes no object. */
  readonly dueTick: number;
  /** Whether it was replaced or removed. */
  isGone: boolean;
  /** Whether its run has gone on since. */
  isAnswered: boolean;
}

const TICK_MS = 100;
/** Below this many, timers that are gone are not worth clearing away. */
const SMALL_HEAP = 1_024;

/** Timers by when they are due. */
export class DueTimers {
  readonly #epochMs: number;
  readonly #bySubject = new Map<string, Timer>();
  /** A binary heap: each is due no later than the two at 2i+1 and 2i+2. */
  #heap: Timer[] = [];

  /** @param epochMs Any time near now, to count from. */
  constructor(epochMs: number) {
    this.#epochMs = epochMs;
  }

  get size(): number {
    return this.#bySubject.size;
  }

  /** Places taken, including those of timers that are gone. */
  get slots(): number {
    return this.#heap.length;
  }

  /** When the next timer is due, in milliseconds since the epoch. */
  get nextDueAt(): number | undefined {
    this.#clearTop();
    const next = this.#heap[0];
    return next && this.#epochMs + next.dueTick * TICK_MS;
  }

  /** Adds a timer; an older one on the same subject is gone. */
  set(timer: {
    readonly subject: string;
    readonly shard: number;
    readonly sequence: number;
    readonly dueAt: number;
  }): void {
    const { subject, shard, sequence, dueAt } = timer;
    const earlier = this.#bySubject.get(subject);
    if (earlier && earlier.sequence >= sequence) return;
    if (earlier) earlier.isGone = true;
    const dueTick = Math.ceil((dueAt - this.#epochMs) / TICK_MS);
    const added: Timer = { subject, shard, sequence, dueTick, isGone: false, isAnswered: false };
    this.#bySubject.set(subject, added);
    this.#push(added);
    if (this.#heap.length > SMALL_HEAP && this.#heap.length > 2 * this.#bySubject.size)
      this.#rebuild();
  }

  /** Forgets a timer, unless a newer one has replaced it. */
  delete(timer: Timer): void {
    timer.isGone = true;
    if (this.#bySubject.get(timer.subject) === timer) this.#bySubject.delete(timer.subject);
  }

  /** The timer on a subject. */
  get(subject: string): Timer | undefined {
    return this.#bySubject.get(subject);
  }

  /** All timers, in no order. */
  values(): IterableIterator<Timer> {
    return this.#bySubject.values();
  }

  /** Takes out the timers that are due at `now`, at most so many. They are forgotten. */
  takeDue(now: number, limit: number): Timer[] {
    const due: Timer[] = [];
    const tick = Math.floor((now - this.#epochMs) / TICK_MS);
    for (;;) {
      this.#clearTop();
      const next = this.#heap[0];
      if (next === undefined || next.dueTick > tick || due.length === limit) return due;
      this.#pop();
      this.delete(next);
      due.push(next);
    }
  }

  #clearTop(): void {
    while (this.#heap[0]?.isGone) this.#pop();
  }

  #push(timer: Timer): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(timer);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = heap[parent] as Timer;
      if (above.dueTick <= timer.dueTick) break;
      heap[at] = above;
      at = parent;
    }
    heap[at] = timer;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last !== undefined && heap.length > 0) this.#sink(last);
  }

  /** Puts a timer at the top and moves it down to where it belongs. */
  #sink(timer: Timer): void {
    const heap = this.#heap;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      const right = heap[child + 1];
      if (right && right.dueTick < (heap[child] as Timer).dueTick) child++;
      const below = heap[child] as Timer;
      if (below.dueTick >= timer.dueTick) break;
      heap[at] = below;
      at = child;
    }
    heap[at] = timer;
  }

  /** Leaves out what is gone. */
  #rebuild(): void {
    const timers = [...this.#bySubject.values()].sort((a, b) => a.dueTick - b.dueTick);
    this.#heap = timers; // sorted, so it is a heap
  }
}
