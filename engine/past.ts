/**
 * Looks at everything that came before a wait was registered, in reads at least as new as the
 * followers were when it was put into the index (rule 15).
 */
import { childId } from "../shared/child-ids.ts";
import type { StoredMessage } from "../shared/jetstream/reader.ts";
import { type Names, STATUS_HEADER } from "../shared/subjects.ts";
import type { ChildGroup, EventGroup, PendingWait } from "./conditions.ts";
import type { LastReads } from "./last-reads.ts";
import type { LookBack } from "./look-back.ts";
import type { RecentEvents } from "./recent-events.ts";

/** What looking back works with. */
export interface PastOptions {
  readonly names: Names;
  readonly reads: Pick<LastReads, "last">;
  readonly lookBack: Pick<LookBack, "find">;
  readonly recent: RecentEvents;
  /** Up to where the ends of children were followed in a shard. */
  readonly childrenPosition: (shard: number) => number;
  /** Where the log of a shard ended when the term began. */
  readonly logEnd: (shard: number) => number;
}

/** How far the followers were at one moment. */
export interface Positions {
  readonly events: number;
  /** By shard; empty when it does not matter. */
  readonly children: readonly number[];
}

/** Children whose ends are asked for at once, for one run. */
const CHILDREN_PER_LOOK = 4_000;

/** What came before. */
export class Past {
  readonly #options: PastOptions;

  constructor(options: PastOptions) {
    this.#options = options;
  }

  /** How far the followers are now. To be noted in the moment in which the wait is indexed. */
  positions(wait: PendingWait): Positions {
    const { recent, names, childrenPosition } = this.#options;
    const needsChildren = wait.singles.length + wait.groups.length > 0;
    const shards = needsChildren ? names.shardCount : 0;
    return {
      events: recent.lastSequence,
      children: Array.from({ length: shards }, (_, shard) => childrenPosition(shard)),
    };
  }

  /**
   * Offers everything that came before to the wait. After an error it can be called again.
   * @param isCurrent Whether the wait is still the run's.
   * @throws {UnavailableError} When something could not be read in time.
   */
  async look(wait: PendingWait, positions: Positions, isCurrent: () => boolean): Promise<void> {
    const reads: Promise<void>[] = [];
    for (const group of wait.events)
      if (group.isLookedBack && !this.#findRecent(group, positions.events))
        reads.push(this.#readEvents(group, positions.events));
    if (positions.children.length > 0)
      reads.push(this.#readChildren(wait, positions.children, isCurrent));
    if (reads.length > 0) await Promise.all(reads);
  }

  /** Whether the wait was registered before the term began, perhaps long ago. */
  isOld({ sequence, prefix }: PendingWait): boolean {
    return sequence <= this.#options.logEnd(shardOf(prefix));
  }

  /** Whether the run's history goes on after the waiting commit, or was purged. */
  async hasGoneOn({ prefix, isChild, sequence, waitSequence }: PendingWait): Promise<boolean> {
    const { names, reads } = this.#options;
    const history = `${prefix}.${isChild ? "c" : "h"}`;
    const tail = await reads.last(names.logStream(shardOf(prefix)), history, sequence);
    return tail?.sequence !== waitSequence;
  }

  /** Answers from the recent events, if they reach back far enough. */
  #findRecent(group: EventGroup, to: number): boolean {
    const { recent } = this.#options;
    if (recent.firstSequence > group.knownTo + 1) return false;
    const { name, where, knownTo: after } = group;
    const limit = group.limit + (group.wait.consumed?.size ?? 0);
    group.endLookBack(recent.find({ name, where, after, to, limit }), to);
    return true;
  }

  async #readEvents(group: EventGroup, to: number): Promise<void> {
    const found = group.knownTo < to ? await this.#options.lookBack.find(group, to) : [];
    group.endLookBack(found, to);
  }

  async #readChildren(
    wait: PendingWait,
    positions: readonly number[],
    isCurrent: () => boolean,
  ): Promise<void> {
    let batch: Promise<void>[] = [];
    for (const child of wait.singles)
      if (!child.hasEnded)
        batch.push(this.#readChild(child.prefix, positions, () => wait.endSingle(child)));
    for (const group of wait.groups)
      for (const position of group.unrecorded()) {
        if (group.hasEnded(position)) continue;
        const prefix = this.#childPrefix(group, position);
        batch.push(this.#readChild(prefix, positions, () => group.end(position)));
        if (batch.length < CHILDREN_PER_LOOK) continue;
        await Promise.all(batch);
        batch = [];
        if (!isCurrent()) return;
      }
    await Promise.all(batch);
  }

  async #readChild(prefix: string, positions: readonly number[], end: () => void): Promise<void> {
    const { names, reads } = this.#options;
    const shard = shardOf(prefix);
    const position = positions[shard] as number;
    const last = await reads.last(names.logStream(shard), `${prefix}.c`, position);
    if (last && isEnd(last)) end();
  }

  #childPrefix(group: ChildGroup, position: number): string {
    const runId = childId(group.wait.childPrefix, group.first + position);
    return this.#options.names.run({ taskName: group.taskName, runId }).prefix;
  }
}

/** Whether a commit ended its run, by its header alone. */
export function isEnd(message: Pick<StoredMessage, "headers">): boolean {
  const status = message.headers.last(STATUS_HEADER);
  return status === "completed" || status === "failed" || status === "canceled";
}

/** The shard in `<ns>.log.<shard>.<task>.<run>`. */
export function shardOf(prefix: string): number {
  return Number(prefix.split(".", 3)[2]);
}
