/**
 * All pending waits of a namespace: which of them an event, or the end of a child, concerns. Pure.
 *
 * X1. A run has one registration: the last one.
 * X2. What is not in the index costs nothing and is found by looking back when it is registered.
 */
import { splitChildId } from "../shared/child-ids.ts";
import { decodeToken } from "../shared/subjects.ts";
import type { ChildGroup, EventGroup, PendingWait, SingleChild } from "./conditions.ts";
import { EventIndex, type MatchableEvent } from "./event-index.ts";

/** One, or several of them, without a list for one. */
type OneOrMore<T> = T | T[];

/** Pending waits by run, by event and by child. */
export class WaitIndex {
  readonly #byRun = new Map<string, PendingWait>();
  readonly #events = new EventIndex<EventGroup>();
  readonly #singles = new Map<string, OneOrMore<SingleChild>>();
  readonly #groups = new Map<string, PendingWait>();

  /** How many runs wait. */
  get size(): number {
    return this.#byRun.size;
  }

  /** The pending wait of a run, by the prefix of its subjects. */
  get(prefix: string): PendingWait | undefined {
    return this.#byRun.get(prefix);
  }

  values(): IterableIterator<PendingWait> {
    return this.#byRun.values();
  }

  /** Puts a wait in the place of the run's earlier one. */
  add(wait: PendingWait): void {
    const earlier = this.#byRun.get(wait.prefix);
    if (earlier) this.remove(earlier);
    this.#byRun.set(wait.prefix, wait);
    for (const group of wait.events) this.#events.add(group);
    for (const child of wait.singles) {
      const others = this.#singles.get(child.prefix);
      if (others === undefined) this.#singles.set(child.prefix, child);
      else if (Array.isArray(others)) others.push(child);
      else this.#singles.set(child.prefix, [others, child]);
    }
    if (wait.groups.length > 0) this.#groups.set(wait.childPrefix, wait);
  }

  /** Forgets a wait. Nothing happens when it is not there any more. */
  remove(wait: PendingWait): void {
    if (this.#byRun.get(wait.prefix) !== wait) return;
    this.#byRun.delete(wait.prefix);
    for (const group of wait.events) this.#events.delete(group);
    for (const child of wait.singles) {
      const others = this.#singles.get(child.prefix);
      if (!Array.isArray(others)) this.#singles.delete(child.prefix);
      else if (others.length === 1) this.#singles.delete(child.prefix);
      else others.splice(others.indexOf(child), 1);
    }
    if (wait.groups.length > 0) this.#groups.delete(wait.childPrefix);
  }

  /** Offers an event to all who wait for it, and calls back with each of their waits. */
  offerEvent(event: MatchableEvent, touched: (wait: PendingWait) => void): void {
    this.#events.match(event, (group) => {
      group.offer(event.sequence);
      touched(group.wait);
    });
  }

  /**
   * Notes the end of a child, and calls back with each wait that it concerns.
   * @param prefix Prefix of the child's subjects: `<ns>.log.<shard>.<task>.<run>`.
   */
  endChild(prefix: string, touched: (wait: PendingWait) => void): void {
    const singles = this.#singles.get(prefix);
    if (singles !== undefined)
      for (const child of Array.isArray(singles) ? singles : [singles]) {
        child.wait.endSingle(child);
        touched(child.wait);
      }
    if (this.#groups.size === 0) return;
    const [, , , task = "", run = ""] = prefix.split(".");
    const id = splitChildId(tryDecode(run));
    const wait = id && this.#groups.get(id.prefix);
    if (!wait) return;
    const taskName = tryDecode(task);
    for (const group of wait.groups)
      if (contains(group, id.ordinal) && group.taskName === taskName) {
        group.end(id.ordinal - group.first);
        touched(wait);
      }
  }
}

function contains({ first, count }: ChildGroup, ordinal: number): boolean {
  return ordinal >= first && ordinal < first + count;
}

/** Nothing that somebody put under the log's subjects may stop the engine. */
function tryDecode(token: string): string {
  try {
    return decodeToken(token);
  } catch {
    return "";
  }
}
