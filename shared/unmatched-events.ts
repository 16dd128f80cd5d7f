/** Events that came and were not what a run waits for: their filter refuses them. */
import { decodeEventPayload } from "./codec.ts";
import type { LeafCondition } from "./entries.ts";
import { UndecodableError } from "./errors.ts";
import { compileFilter } from "./filters.ts";
import type { NatsLink } from "./jetstream/connection.ts";
import type { StoredMessage } from "./jetstream/reader.ts";
import { pendingLeaves } from "./run-state.ts";
import type { RunView } from "./run-view.ts";
import { EVENTS_PREFIX, type Names } from "./subjects.ts";

/** The newest event of a name that a run waits for, which does not match. */
export interface UnmatchedEvent {
  readonly name: string;
  readonly sequence: number;
  readonly data: unknown;
}

/** Events that are looked at for one run, each of which is one read. */
const LOOKS = 3;

/** Looks at the newest event of each name that a waiting run waits for with a filter. */
export async function readUnmatched(
  link: Pick<NatsLink, "reader">,
  names: Names,
  { state }: RunView,
): Promise<UnmatchedEvent[]> {
  if (state.status !== "waiting") return [];
  const waits = [...state.pending.values()];
  const filtered = waits
    .flatMap((wait) => pendingLeaves(wait).map(({ condition }) => condition))
    .filter(isFiltered)
    .slice(0, LOOKS);
  const found = await Promise.all(
    filtered.map(async ({ name, after, where }) => {
      const newest = await link.reader.lastFor(names.eventsStream, EVENTS_PREFIX + name);
      const event = newest && newest.sequence > after ? payloadOf(newest) : undefined;
      if (!newest || !event || compileFilter(where)(event.data)) return [];
      return [{ name, sequence: newest.sequence, data: event.data }];
    }),
  );
  return found.flat();
}

type EventCondition = Extract<LeafCondition, { kind: "event" }>;

/** Of a pattern with wildcards there is no newest event that one read finds. */
function isFiltered(condition: LeafCondition): condition is EventCondition {
  return (
    condition.kind === "event" &&
    condition.where !== undefined &&
    !condition.name.split(".").some((token) => token === "*" || token === ">")
  );
}

/** Nothing when nobody can read it: whoever matches it says so. */
function payloadOf({ data, headers }: StoredMessage): { readonly data: unknown } | undefined {
  try {
    return { data: decodeEventPayload(data, headers.last("Content-Type") ?? "") };
  } catch (error) {
    if (error instanceof UndecodableError) return undefined;
    throw error;
  }
}
