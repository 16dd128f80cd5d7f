/** A replica of a stream that is behind its leader, and never goes back. */
import { MessageStore, type StoredRecord } from "./message-store.ts";

/** A message that was stored, or the sequence of one that was removed. */
export type Change = StoredRecord | number;

/** What one replica knows. */
export class LaggingReplica {
  readonly #store: MessageStore = new MessageStore();
  #changes: Change[] = [];

  /** How many changes it could be behind at the most. */
  get mostBehind(): number {
    return this.#changes.length;
  }

  note(change: Change): void {
    this.#changes.push(change);
  }

  /** What it knows when it is so many changes behind, or fewer. */
  at(behind: number): MessageStore {
    const known = this.#changes.splice(0, Math.max(this.#changes.length - behind, 0));
    for (const change of known) {
      if (typeof change === "number") this.#store.remove(change);
      else this.#store.append(change);
    }
    return this.#store;
  }
}
