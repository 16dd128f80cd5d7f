/**
 * What a claim records: which of the run's pending leaves have happened, as far as its token proves
 * it or its own look finds it.
 *
 * O1. What happened before a timer was due comes before the timer, also when the engine was down and
 *     only the timer woke the run (rule 22).
 * O2. Waits that were created first get the lower events (rule 21), and no event twice.
 */
import type { Entry } from "../shared/entries.ts";
import { type Because, type EnclosedEvent, WAKE_LOST } from "../shared/messages.ts";
import { pendingLeaves, type RunState, type WaitState } from "../shared/run-state.ts";
import type { RunAddress } from "../shared/subjects.ts";
import { lookForChildren, namedChildren, type WaitingParent } from "./child-ends.ts";
import { enclosedOutcome, eventOutcome, isFor, lookForEvents } from "./event-look.ts";
import type { Happened } from "./happened.ts";
import type { Services } from "./services.ts";

/** What a token says to its run. */
export interface Proof {
  readonly address: RunAddress;
  readonly state: RunState;
  readonly because: Because;
  readonly enclosed: readonly EnclosedEvent[];
}

/** The entries that a claim of this token adds, in the order in which they happened. */
export async function settledBy(services: Services, proof: Proof, now: number): Promise<Entry[]> {
  const { address: run, state, because } = proof;
  const waits = [...state.pending.values()];
  const parent = { ...run, startSequence: state.startSequence };
  const due = dueSleeps(state.sleeping.values(), now);
  // Whatever woke it: no timeout is recorded before a look (rule 22).
  const mustLook = due.length > 0 || because.timer !== undefined || because.poke === WAKE_LOST;
  const [events, children] = await (!mustLook
    ? Promise.all([namedEvents(services, proof), namedChildren(services, parent, waits, because)])
    : lookAround(services, parent, waits, state.consumedEvents));
  return inOrder([...events, ...children, ...due]);
}

/** Events and ends of children that there are, whether or not the engine has noticed. */
export function lookAround(
  services: Services,
  parent: WaitingParent,
  waits: readonly WaitState[],
  consumed: ReadonlySet<number>,
): Promise<[events: Happened[], children: Happened[]]> {
  return Promise.all([
    lookForEvents(services, waits, consumed),
    lookForChildren(services, parent, waits),
  ]);
}

/** What happened as entries, by time; an event at the very due time comes before the timer. */
export function inOrder(happened: readonly Happened[]): Entry[] {
  const rank = { event: 0, child: 1, children: 1, sleep: 2 };
  return [...happened]
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

/** The events that the engine named, as far as they are what the run waits for. */
async function namedEvents(
  services: Services,
  { state, because, enclosed }: Proof,
): Promise<Happened[]> {
  const taken = new Set(state.consumedEvents);
  const wanted = (because.events ?? []).filter(([key, leaf, sequence]) => {
    if (!isPending(state, key, leaf) || taken.has(sequence)) return false;
    taken.add(sequence);
    return true;
  });
  const found = await Promise.all(
    wanted.map(async ([key, leaf, sequence]): Promise<Happened[]> => {
      const copy = enclosed.find((event) => event.sequence === sequence);
      const outcome = copy ? enclosedOutcome(copy) : await readOutcome(services, sequence);
      const condition = state.waits.get(key)?.leaves[leaf];
      if (outcome && condition?.kind === "event" && isFor(condition, outcome))
        return [{ key, leaf, outcome, time: outcome.publishedAt }];
      services.log.warn(
        "A token names an event that is not there, or not what the run waits for.",
        {
          sequence,
        },
      );
      return [];
    }),
  );
  return found.flat();
}

async function readOutcome({ names, link }: Services, sequence: number) {
  const stored =
    (await link.reader.get(names.eventsStream, sequence)) ??
    (await link.reader.get(names.eventsStream, sequence, { leader: true }));
  return stored && eventOutcome(stored);
}

function isPending(state: RunState, key: string, leaf: number): boolean {
  const wait = state.waits.get(key);
  return wait?.result === undefined && !wait?.recorded.has(leaf) && wait !== undefined;
}
