/**
 * One registered wait: what it waits for, what has happened of it, and what its token says. Pure.
 *
 * W1. An event goes to one leaf of a run, never to two; leaves that were opened first get the lower
 *     ones (rule 21).
 * W2. What the run has consumed before is never offered again.
 * W3. A group of children is satisfied once, when none of them is missing.
 */
import { childIdPrefix } from "../shared/child-ids.ts";
import type { Filter } from "../shared/filters.ts";
import type { Because, WaitRegistration, WatchedLeaf } from "../shared/messages.ts";
import type { Names, RunAddress } from "../shared/subjects.ts";
import type { Watcher } from "./event-index.ts";

/** Candidates kept for a group of leaves beyond one each: others of the run may take some. */
const SPARE_CANDIDATES = 64;
/** A token names no more than this many bytes of leaves; the rest is named by the next one. */
export const BECAUSE_BYTES: number = 256 * 1024;

/** A leaf by its operation and number. */
export interface LeafName {
  readonly key: string;
  readonly leaf: number;
}

/** A leaf, and its place among all leaves of its run that wait for events. */
interface OrderedLeaf extends LeafName {
  readonly order: number;
}

const NOTHING: readonly never[] = [];

/** Leaves of one run that wait for the same events, in the order in which they were opened. */
export class EventGroup implements Watcher {
  readonly wait: PendingWait;
  readonly name: string;
  readonly where: Filter | undefined;
  readonly after: number;
  /** Place of each leaf among all of the run, and its name. */
  readonly leaves: OrderedLeaf[];
  indexedBy?: Watcher["indexedBy"];
  matches?: NonNullable<Watcher["matches"]>;
  #found: number[] | undefined;
  /** Everything that matches up to this sequence is in `found`, or was consumed. */
  knownTo: number;
  /** What is offered while it is looked back. */
  #later: number[] | undefined;

  constructor(
    wait: PendingWait,
    event: { name: string; where?: unknown; after: number },
    first: OrderedLeaf,
  ) {
    this.wait = wait;
    this.leaves = [first];
    this.name = event.name;
    this.where = event.where as Filter | undefined;
    this.after = event.after;
    this.knownTo = event.after;
  }

  /** So many candidates are enough to name the right one for each leaf. */
  get limit(): number {
    const others = this.wait.eventLeafCount - this.leaves.length;
    return this.leaves.length + Math.min(others, SPARE_CANDIDATES);
  }

  /** Sequences of matching events, ascending, without those that the run has consumed. */
  get found(): readonly number[] {
    return this.#found ?? NOTHING;
  }

  /** Whether what came before is still looked for. */
  get isLookedBack(): boolean {
    return this.#later !== undefined;
  }

  /** Adds a candidate with a higher sequence than all before, except while it is looked back. */
  offer(sequence: number): void {
    if (this.wait.consumed?.has(sequence)) return;
    if (this.#later === undefined) this.#found ??= [];
    const candidates = this.#later ?? this.#found;
    if (candidates && candidates.length < this.limit) candidates.push(sequence);
  }

  /** What is offered from now on comes after what the look-back will find. */
  beginLookBack(): void {
    this.#later ??= [];
  }

  /** Takes what was found, in order. What was offered meanwhile comes behind it. */
  endLookBack(found: readonly number[], knownTo: number): void {
    const later = this.#later ?? [];
    this.#later = undefined;
    for (const sequence of found) this.offer(sequence);
    for (const sequence of later) this.offer(sequence);
    this.#know(knownTo);
  }

  /** Takes over what an earlier group for the same events knows. What it has no room for, it does not know. */
  learnFrom({ found, knownTo }: EventGroup): void {
    if (knownTo <= this.knownTo) return;
    for (const sequence of found) this.offer(sequence);
    this.#know(knownTo);
  }

  /** Nothing is offered any more; everything up to `knownTo` was, unless it is looked back still. */
  close(knownTo: number): void {
    if (this.#later === undefined) this.#know(knownTo);
    this.#later = undefined;
  }

  #know(to: number): void {
    const isCut = this.found.length >= this.limit;
    this.knownTo = Math.max(this.knownTo, isCut ? (this.found.at(-1) as number) : to);
  }
}

/** Children awaited as one. */
export class ChildGroup {
  readonly wait: PendingWait;
  readonly name: LeafName;
  readonly taskName: string;
  readonly first: number;
  readonly count: number;
  readonly #ended: Uint8Array;
  readonly #recorded: readonly (readonly [number, number])[];
  #missing: number;

  constructor(
    wait: PendingWait,
    leaf: WatchedLeaf,
    condition: { taskName: string; first: number; count: number },
  ) {
    this.wait = wait;
    this.name = { key: leaf.key, leaf: leaf.leaf };
    this.taskName = condition.taskName;
    this.first = condition.first;
    this.count = condition.count;
    this.#ended = new Uint8Array(Math.ceil(condition.count / 8));
    this.#missing = condition.count;
    this.#recorded = leaf.recorded ?? [];
    for (const [from, to] of this.#recorded)
      for (let position = from; position <= to; position++) this.end(position);
  }

  /** How many have not ended. */
  get missing(): number {
    return this.#missing;
  }

  hasEnded(position: number): boolean {
    return ((this.#ended[position >> 3] as number) & (1 << (position & 7))) !== 0;
  }

  /** Notes the end of a child, by its position in the group. */
  end(position: number): void {
    if (position < 0 || position >= this.count || this.hasEnded(position)) return;
    (this.#ended[position >> 3] as number) |= 1 << (position & 7);
    this.#missing--;
  }

  /** Positions that are not recorded in the run's history. */
  *unrecorded(): Generator<number> {
    const ranges = [...this.#recorded].sort((a, b) => a[0] - b[0]);
    let position = 0;
    for (const [from, to] of [...ranges, [this.count, this.count] as const]) {
      for (; position < from && position < this.count; position++) yield position;
      position = Math.max(position, to + 1);
    }
  }

  /** Takes over what another registration of the same group has learned. */
  learnFrom(other: ChildGroup): void {
    for (const position of this.unrecorded()) if (other.hasEnded(position)) this.end(position);
  }
}

/** A child awaited alone. */
export interface SingleChild {
  readonly wait: PendingWait;
  readonly name: LeafName;
  /** Prefix of its subjects. */
  readonly prefix: string;
  hasEnded: boolean;
}

/** A registered wait of one run, until it is answered or replaced. */
export class PendingWait {
  /** Prefix of the run's subjects. */
  readonly prefix: string;
  readonly waitSequence: number;
  readonly startSequence: number;
  readonly isChild: boolean;
  readonly passMs: number;
  /** Sequence of the registration itself. */
  readonly sequence: number;
  /** Sequences of events that the run has consumed. */
  readonly consumed: ReadonlySet<number> | undefined;
  readonly events: readonly EventGroup[];
  readonly groups: readonly ChildGroup[];
  readonly singles: readonly SingleChild[];
  /** What the ids of derived children begin with; empty when it waits for no group. */
  readonly childPrefix: string;
  readonly eventLeafCount: number;
  /** Which events stream the run began with, if it waits for events. */
  readonly eventsCreated: string | undefined;
  /** A reason to wake the run that is none of what it waits for. */
  poke: string | undefined;
  /** Whether everything that came before it has been looked at. */
  isArmed = false;
  /** When the run was last woken for children, on the monotonic clock. */
  wokenAt: number = Number.NEGATIVE_INFINITY;
  /** When the run registered this wait, on the monotonic clock. */
  registeredAt: number = Number.NEGATIVE_INFINITY;
  /** Wake-ups for children in a row, each soon after the one before. */
  streak = 0;
  /** Children awaited alone that have ended. */
  #endedSingles = 0;

  constructor(
    names: Names,
    run: RunAddress,
    { sequence, registration }: { sequence: number; registration: WaitRegistration },
  ) {
    this.prefix = names.run(run).prefix;
    this.sequence = sequence;
    this.waitSequence = registration.waitSequence;
    this.startSequence = registration.startSequence;
    this.isChild = registration.isChild;
    this.passMs = registration.passMs;
    this.eventsCreated = registration.eventsCreated;
    const { consumed, leaves } = registration;
    this.consumed = consumed.length > 0 ? new Set(consumed) : undefined;
    const built = buildLeaves(this, names, leaves);
    this.events = built.events;
    this.groups = built.groups;
    this.singles = built.singles;
    this.eventLeafCount = built.eventLeafCount;
    this.childPrefix = built.groups.length > 0 ? childIdPrefix({ ...run, ...registration }) : "";
  }

  /** Whether there is nothing for the engine to match, as for a run that is paused. */
  get isEmpty(): boolean {
    return this.events.length + this.groups.length + this.singles.length === 0;
  }

  /** Whether an event or a whole group of children has come: what is never held back. */
  get isUrgent(): boolean {
    return (
      this.events.some((group) => group.found.length > 0) ||
      this.groups.some((group) => group.missing === 0) ||
      (this.#endedSingles > 0 && this.#endedSingles === this.singles.length)
    );
  }

  get hasHappened(): boolean {
    return this.#endedSingles > 0 || this.isUrgent;
  }

  /** Children awaited alone that have not ended. */
  get pendingSingles(): number {
    return this.singles.length - this.#endedSingles;
  }

  /** Notes the end of a child awaited alone. */
  endSingle(child: SingleChild): void {
    if (child.hasEnded) return;
    child.hasEnded = true;
    this.#endedSingles++;
  }

  /** Takes over what an earlier registration of the same run has learned. */
  learnFrom(earlier: PendingWait): void {
    if (earlier.startSequence !== this.startSequence) return;
    this.wokenAt = earlier.wokenAt;
    this.streak = earlier.streak;
    for (const group of this.groups) {
      const known = earlier.groups.find(
        ({ first, count, taskName }) =>
          first === group.first && count === group.count && taskName === group.taskName,
      );
      if (known) group.learnFrom(known);
    }
    const known = new Map(earlier.events.map((group) => [groupKey(group), group]));
    for (const group of this.events) {
      const other = known.get(groupKey(group));
      if (other) group.learnFrom(other);
    }
  }

  /** The proof that the token carries: everything that has happened, as far as it fits. */
  because(): Because {
    if (this.poke !== undefined) return { poke: this.poke };
    const room = { bytes: BECAUSE_BYTES };
    const events = this.#assignEvents(room);
    const children = this.#endedChildren(room);
    return {
      ...(events.length > 0 ? { events } : {}),
      ...(children.length > 0 ? { children } : {}),
    };
  }

  /** The lowest event that is left for each leaf, in the order of the leaves (rule 21). */
  #assignEvents(room: { bytes: number }): NonNullable<Because["events"]> {
    const taken = new Set<number>();
    const next = new Map<EventGroup, number>();
    const assigned: [string, number, number][] = [];
    const leaves = this.events
      .filter(({ found }) => found.length > 0)
      .flatMap((group) => group.leaves.map((leaf) => ({ leaf, group })))
      .sort((a, b) => a.leaf.order - b.leaf.order);
    for (const { leaf: name, group } of leaves) {
      let at = next.get(group) ?? 0;
      while (at < group.found.length && taken.has(group.found[at] as number)) at++;
      const sequence = group.found[at];
      next.set(group, at + 1);
      if (sequence === undefined || !takeRoom(room, name.key.length + 20)) continue;
      taken.add(sequence);
      assigned.push([name.key, name.leaf, sequence]);
    }
    return assigned;
  }

  #endedChildren(room: { bytes: number }): NonNullable<Because["children"]> {
    const ended: [string, number, number[]][] = [];
    for (const group of this.groups)
      if (group.missing === 0) {
        const positions = [...group.unrecorded()];
        takeRoom(room, positions.length * 5);
        ended.push([group.name.key, group.name.leaf, positions]);
      }
    for (const { hasEnded, name } of this.singles)
      if (hasEnded && takeRoom(room, name.key.length + 12)) ended.push([name.key, name.leaf, [0]]);
    return ended;
  }
}

function takeRoom(room: { bytes: number }, bytes: number): boolean {
  if (room.bytes < bytes) return false;
  room.bytes -= bytes;
  return true;
}

function groupKey({ name, where, after }: EventGroup): string {
  return JSON.stringify([name, after, where]);
}

function buildLeaves(
  wait: PendingWait,
  names: Names,
  leaves: readonly WatchedLeaf[],
): {
  readonly events: readonly EventGroup[];
  readonly groups: readonly ChildGroup[];
  readonly singles: readonly SingleChild[];
  readonly eventLeafCount: number;
} {
  const byKey = new Map<string, EventGroup>();
  const groups: ChildGroup[] = [];
  const singles: SingleChild[] = [];
  let eventLeafCount = 0;
  for (const leaf of leaves) {
    const { condition } = leaf;
    const name = { key: leaf.key, leaf: leaf.leaf };
    if (condition.kind === "children") groups.push(new ChildGroup(wait, leaf, condition));
    else if (condition.kind === "child")
      singles.push({ wait, name, prefix: names.run(condition).prefix, hasEnded: false });
    else {
      const ordered = { order: eventLeafCount++, ...name };
      const made = new EventGroup(wait, condition, ordered);
      const key = leaves.length === 1 ? "" : groupKey(made);
      const group = byKey.get(key);
      if (group) group.leaves.push(ordered);
      else byKey.set(key, made);
    }
  }
  const events = byKey.size > 0 ? [...byKey.values()] : NOTHING;
  return {
    events,
    groups: groups.length > 0 ? [...groups] : NOTHING,
    singles: singles.length > 0 ? [...singles] : NOTHING,
    eventLeafCount,
  };
}
