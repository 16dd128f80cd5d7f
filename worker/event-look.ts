/** Looks for events without the engine (rule 22). */
import { decodeEventPayload } from "../shared/codec.ts";
import type { LeafCondition, LeafOutcome } from "../shared/entries.ts";
import { matchesName } from "../shared/event-names.ts";
import { compileFilter } from "../shared/filters.ts";
import type { StoredMessage } from "../shared/jetstream/reader.ts";
import type { EnclosedEvent } from "../shared/messages.ts";
import { pendingLeaves, type WaitState } from "../shared/run-state.ts";
import { EVENTS_PREFIX } from "../shared/subjects.ts";
import type { Happened } from "./happened.ts";
import type { Services } from "./services.ts";

type EventOutcome = Extract<LeafOutcome, { kind: "event" }>;

/** How often a replica that is behind the leader is read again. */
const STALE_READINGS = 20;

/** The lowest matching event of each pending leaf, in the order of the waits (rule 21). */
export async function lookForEvents(
  services: Services,
  waits: Iterable<WaitState>,
  consumed: ReadonlySet<number>,
): Promise<Happened[]> {
  const taken = new Set(consumed);
  const found: Happened[] = [];
  for (const wait of waits)
    for (const { leaf, condition } of pendingLeaves(wait)) {
      if (condition.kind !== "event") continue;
      const matches = compileFilter(condition.where);
      for (const message of await readEvents(services, condition.name, condition.after)) {
        const outcome = eventOutcome(message);
        if (taken.has(message.sequence) || !matches(outcome.data)) continue;
        taken.add(message.sequence);
        found.push({ key: wait.key, leaf, outcome, time: message.timeMs });
        break;
      }
    }
  return found;
}

/** All events of a name or pattern behind a sequence, as new as the leader knows them now. */
async function readEvents(
  { link, names }: Services,
  name: string,
  after: number,
): Promise<StoredMessage[]> {
  const subject = EVENTS_PREFIX + name;
  const last = await link.reader.lastFor(names.eventsStream, subject, { leader: true });
  if (!last || last.sequence <= after) return [];
  let stored: StoredMessage[] = [];
  for (let reading = 0; reading < STALE_READINGS; reading++) {
    stored = await link.reader.readSubject(names.eventsStream, subject, after + 1);
    if ((stored.at(-1)?.sequence ?? 0) >= last.sequence) break;
  }
  return stored;
}

/** An event that a token encloses, as it is recorded. */
export function enclosedOutcome(event: EnclosedEvent): EventOutcome {
  const { sequence, name, timeMs, contentType, data } = event;
  return {
    kind: "event",
    name,
    data: decodeEventPayload(data, contentType),
    sequence,
    publishedAt: timeMs,
  };
}

/** An event as it is recorded. */
export function eventOutcome(stored: StoredMessage): EventOutcome {
  return {
    kind: "event",
    name: stored.subject.slice(EVENTS_PREFIX.length),
    data: decodeEventPayload(stored.data, stored.headers.last("Content-Type") ?? ""),
    sequence: stored.sequence,
    publishedAt: stored.timeMs,
  };
}

/** Whether a leaf waits for this event. */
export function isFor(
  { name, where, after }: Extract<LeafCondition, { kind: "event" }>,
  { sequence, data, ...event }: EventOutcome,
): boolean {
  return sequence > after && matchesName(name, event.name) && compileFilter(where)(data);
}
