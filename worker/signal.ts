/** Something happened; look again. Raising it twice before anybody looks is raising it once. */
export class Signal {
  #raised = false;
  #wake: (() => void) | undefined;

  /** Wakes the one who waits, or lets the next wait return at once. */
  raise(): void {
    this.#raised = true;
    this.#wake?.();
  }

  /** Forgets that it was raised: for whoever looks now, at all that it may have told of. */
  clear(): void {
    this.#raised = false;
  }

  /** Returns when it has been raised since the last time this returned. One waiter at a time. */
  async wait(): Promise<void> {
    while (!this.#raised)
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    this.#wake = undefined;
    this.#raised = false;
  }
}

export { nextTurn as drainMicrotasks } from "../shared/turn.ts";
