/**
 * What a claim records: which of the run's pending leaves have happened, as far as its token proves
 * it or its own look finds it.
 *
 * O1. What happened before a timer was due comes before the timer, also when the engine was down and
 *     only the timer woke the run (rule 22).
 * O2. Waits that were created first get the lower events (rule 21), and no event twice.
 */
import { decodeEventPayload } from "../shared/codec.ts";
import { decodeCommit, type Entry, type LeafOutcome, type Outcome } from "../shared/entries.ts";
import { compileFilter, type Filter } from "../shared/filters.ts";
import type { StoredMessage } from "../shared/jetstream/reader.ts";
import type { Because } from "../shared/messages.ts";
import { pendingLeaves, type RunState, type WaitState } from "../shared/run-state.ts";
import { EVENTS_PREFIX, type RunAddress } from "../shared/subjects.ts";
import { childIdPrefix } from "./children.ts";
import type { Services } from "./services.ts";

/** A leaf that happened, with when it did, to bring it into order. */
interface Happened {
  readonly key: string;
  readonly leaf: number;
  readonly outcome: LeafOutcome;
  readonly time: number;
}

/** Children whose ends are put into one entry. */
const CHILDREN_PER_ENTRY = 500;

/** The entries that a claim of this token adds, in the order in which they happened. */
export async function settledBy(
  services: Services,
  run: RunAddress,
  state: RunState,
  because: Because,
  now: number,
): Promise<Entry[]> {
  const happened = dueSleeps(state.pending.values(), now);
  const timer = because.timer !== undefined;
  const [events, children] = await Promise.all([
    timer ? lookForEvents(services, state) : namedEvents(services, state, because),
    timer ? lookForChildren(services, run, state) : namedChildren(services, run, state, because),
  ]);
  const rank = { event: 0, child: 1, children: 1, sleep: 2 };
  return [...events, ...children, ...happened]
    .sort((a, b) => a.time - b.time || rank[a.outcome.kind] - rank[b.outcome.kind])
    .map(({ key, leaf, outcome }): Entry => ({ kind: "wait-settled", key, leaf, outcome }));
}

/** The sleeps that are due. */
export function dueSleeps(waits: Iterable<WaitState>, now: number): Happened[] {
  const due: Happened[] = [];
  for (const wait of waits)
    for (const { leaf, condition } of pendingLeaves(wait))
      if (condition.kind === "sleep" && condition.dueAt <= now)
        due.push({ key: wait.key, leaf, outcome: { kind: "sleep" }, time: condition.dueAt });
  return due;
}

/** The events that the engine named. */
async function namedEvents(
  services: Services,
  state: RunState,
  because: Because,
): Promise<Happened[]> {
  const wanted = (because.events ?? []).filter(
    ([key, leaf, sequence]) => isPending(state, key, leaf) && !state.consumedEvents.has(sequence),
  );
  const found = await Promise.all(
    wanted.map(async ([key, leaf, sequence]): Promise<Happened[]> => {
      const stream = services.names.eventsStream;
      const stored =
        (await services.link.reader.get(stream, sequence)) ??
        (await services.link.reader.get(stream, sequence, { leader: true }));
      if (stored) return [{ key, leaf, outcome: eventOutcome(stored), time: stored.timeMs }];
      services.log.warn("An event was gone before the run that it woke could read it.", {
        sequence,
      });
      return [];
    }),
  );
  return found.flat();
}

/** The lowest matching event of each pending wait, found without the engine. */
async function lookForEvents(services: Services, state: RunState): Promise<Happened[]> {
  const taken = new Set(state.consumedEvents);
  const found: Happened[] = [];
  for (const wait of state.pending.values())
    for (const { leaf, condition } of pendingLeaves(wait)) {
      if (condition.kind !== "event") continue;
      const matches = compileFilter((condition.where ?? {}) as Filter);
      const stored = await services.link.reader.readSubject(
        services.names.eventsStream,
        EVENTS_PREFIX + condition.name,
        condition.after + 1,
      );
      for (const message of stored) {
        const outcome = eventOutcome(message);
        if (taken.has(message.sequence) || !matches(outcome.data)) continue;
        taken.add(message.sequence);
        found.push({ key: wait.key, leaf, outcome, time: message.timeMs });
        break;
      }
    }
  return found;
}

function eventOutcome(stored: StoredMessage): Extract<LeafOutcome, { kind: "event" }> {
  return {
    kind: "event",
    name: stored.subject.slice(EVENTS_PREFIX.length),
    data: decodeEventPayload(stored.data, stored.headers.last("Content-Type") ?? ""),
    sequence: stored.sequence,
    publishedAt: stored.timeMs,
  };
}

/** A child that is awaited, by leaf and position in its group. */
interface AwaitedChild extends RunAddress {
  readonly key: string;
  readonly leaf: number;
  /** Position in a group, or nothing for a child awaited alone. */
  readonly position: number | undefined;
}

function namedChildren(
  services: Services,
  run: RunAddress,
  state: RunState,
  because: Because,
): Promise<Happened[]> {
  const named = new Map<string, ReadonlySet<number>>();
  for (const [key, leaf, positions] of because.children ?? [])
    named.set(`${leaf} ${key}`, new Set(positions));
  const awaited = awaitedChildren(run, state).filter(({ key, leaf, position }) =>
    named.get(`${leaf} ${key}`)?.has(position ?? 0),
  );
  return readEnds(services, awaited, true);
}

function lookForChildren(
  services: Services,
  run: RunAddress,
  state: RunState,
): Promise<Happened[]> {
  return readEnds(services, awaitedChildren(run, state), false);
}

/** Every child that the run waits for and whose end is not recorded. */
function awaitedChildren(run: RunAddress, state: RunState): AwaitedChild[] {
  const prefix = childIdPrefix({ ...run, startSequence: state.startSequence });
  const awaited: AwaitedChild[] = [];
  for (const wait of state.pending.values())
    for (const { leaf, condition } of pendingLeaves(wait)) {
      const { key } = wait;
      if (condition.kind === "child") {
        const { taskName, runId } = condition;
        awaited.push({ key, leaf, position: undefined, taskName, runId });
      } else if (condition.kind === "children") {
        const before = wait.recorded.get(leaf)?.outcome;
        const recorded = new Set(before?.kind === "children" ? before.ended.map(([at]) => at) : []);
        for (let position = 0; position < condition.count; position++)
          if (!recorded.has(position))
            awaited.push({
              key,
              leaf,
              position,
              taskName: condition.taskName,
              runId: `${prefix}-${condition.first + position}`,
            });
      }
    }
  return awaited;
}

/**
 * Reads the ends of children from their histories.
 * @param mustEnd They are known to have ended: whom a replica does not show is asked of the leader.
 */
async function readEnds(
  services: Services,
  awaited: readonly AwaitedChild[],
  mustEnd: boolean,
): Promise<Happened[]> {
  const bySubject = new Map<string, AwaitedChild>();
  const byStream = new Map<string, string[]>();
  for (const child of awaited) {
    const { prefix, stream } = services.names.run(child);
    const subject = `${prefix}.c`;
    bySubject.set(subject, child);
    const subjects = byStream.get(stream);
    if (subjects) subjects.push(subject);
    else byStream.set(stream, [subject]);
  }
  const ends: { child: AwaitedChild; outcome: Outcome; time: number }[] = [];
  await Promise.all(
    [...byStream].map(async ([stream, subjects]) => {
      const { messages } = await services.link.reader.multiLast(stream, subjects);
      const missing = new Set(subjects);
      const take = (message: StoredMessage | undefined): void => {
        const outcome = message && endOf(message);
        const child = message && bySubject.get(message.subject);
        if (!message || !outcome || !child) return;
        missing.delete(message.subject);
        ends.push({ child, outcome, time: message.timeMs });
      };
      for (const message of messages) take(message);
      if (mustEnd)
        for (const subject of missing)
          take(await services.link.reader.lastFor(stream, subject, { leader: true }));
    }),
  );
  return groupEnds(ends);
}

/** One entry for each child that is awaited alone, and few for each group. */
function groupEnds(
  ends: readonly { child: AwaitedChild; outcome: Outcome; time: number }[],
): Happened[] {
  const single: Happened[] = [];
  const groups = new Map<string, { child: AwaitedChild; outcome: Outcome; time: number }[]>();
  for (const end of ends) {
    const { child, outcome, time } = end;
    const { key, leaf, taskName, runId } = child;
    if (child.position === undefined)
      single.push({ key, leaf, outcome: { kind: "child", taskName, runId, outcome }, time });
    else {
      const group = groups.get(`${leaf} ${key}`);
      if (group) group.push(end);
      else groups.set(`${leaf} ${key}`, [end]);
    }
  }
  const grouped = [...groups.values()].flatMap((group) => {
    const parts: Happened[] = [];
    const time = group.reduce((latest, end) => Math.max(latest, end.time), 0);
    for (let i = 0; i < group.length; i += CHILDREN_PER_ENTRY) {
      const part = group.slice(i, i + CHILDREN_PER_ENTRY);
      const { key, leaf } = (part[0] as (typeof group)[number]).child;
      const ended = part.map(({ child, outcome }) => [child.position as number, outcome] as const);
      parts.push({ key, leaf, outcome: { kind: "children", ended }, time });
    }
    return parts;
  });
  return [...single, ...grouped];
}

function endOf(message: StoredMessage): Outcome | undefined {
  const commit = decodeCommit(message.data, message.sequence, message.subject);
  const last = commit.entries.at(-1);
  return last?.kind === "ended" ? last.outcome : undefined;
}

function isPending(state: RunState, key: string, leaf: number): boolean {
  const wait = state.waits.get(key);
  return wait?.result === undefined && !wait?.recorded.has(leaf) && wait !== undefined;
}
