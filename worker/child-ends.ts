/** Reads the ends of the children a run waits for, in batches, from their histories. */

import { childIdPrefix } from "../shared/child-ids.ts";
import { decodeCommit, type Outcome } from "../shared/entries.ts";
import type { StoredMessage } from "../shared/jetstream/reader.ts";
import type { Because } from "../shared/messages.ts";
import { pendingLeaves, type WaitState } from "../shared/run-state.ts";
import type { RunAddress } from "../shared/subjects.ts";
import type { Happened } from "./happened.ts";
import type { Services } from "./services.ts";

/** The run that waits. */
export interface WaitingParent extends RunAddress {
  readonly startSequence: number;
}

/** Children whose ends are put into one entry. */
const CHILDREN_PER_ENTRY = 500;
/** So many children that a replica does not show as ended are asked of the leader one by one. */
const ASKED_OF_LEADER = 16;

/** A child that is awaited, by leaf and position in its group. */
interface AwaitedChild extends RunAddress {
  readonly key: string;
  readonly leaf: number;
  /** Position in a group, or nothing for a child awaited alone. */
  readonly position: number | undefined;
}

/** The ends that the engine named. */
export function namedChildren(
  services: Services,
  parent: WaitingParent,
  waits: Iterable<WaitState>,
  because: Because,
): Promise<Happened[]> {
  const named = new Map<string, ReadonlySet<number>>();
  for (const [key, leaf, positions] of because.children ?? [])
    named.set(`${leaf} ${key}`, new Set(positions));
  const awaited = awaitedChildren(parent, waits).filter(({ key, leaf, position }) =>
    named.get(`${leaf} ${key}`)?.has(position ?? 0),
  );
  return readEnds(services, awaited, true);
}

/** The ends that there are, found without the engine. */
export function lookForChildren(
  services: Services,
  parent: WaitingParent,
  waits: Iterable<WaitState>,
): Promise<Happened[]> {
  return readEnds(services, awaitedChildren(parent, waits), false);
}

/** Every child that the run waits for and whose end is not recorded. */
function awaitedChildren(parent: WaitingParent, waits: Iterable<WaitState>): AwaitedChild[] {
  const prefix = childIdPrefix(parent);
  const awaited: AwaitedChild[] = [];
  for (const wait of waits)
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
      if (mustEnd || missing.size <= ASKED_OF_LEADER)
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
