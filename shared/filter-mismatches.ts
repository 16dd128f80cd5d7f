/**
 * Filters that ask for a value of another type than events have: 42 is never "42". An event that
 * merely has another value is one for somebody else, and not worth a word.
 */
import { decodeEventPayload } from "./codec.ts";
import type { LeafCondition } from "./entries.ts";
import { UndecodableError } from "./errors.ts";
import { equalityKeys, type Filter, valuesAt } from "./filters.ts";
import type { NatsLink } from "./jetstream/connection.ts";
import type { StoredMessage } from "./jetstream/reader.ts";
import { pendingLeaves } from "./run-state.ts";
import type { RunView } from "./run-view.ts";
import { EVENTS_PREFIX, type Names } from "./subjects.ts";

/** An event that came and could not match, whichever value of its type it had. */
export interface FilterMismatch {
  readonly name: string;
  readonly sequence: number;
  /** Where in the payload. */
  readonly path: string;
  readonly expected: string | number | boolean;
  readonly found: string | number | boolean;
}

/** Events that are looked at for one run, each of which is one read. */
const LOOKS = 3;

/** Looks at the newest event of each name that a waiting run waits for with a filter. */
export async function readMismatches(
  link: Pick<NatsLink, "reader">,
  names: Names,
  { state }: RunView,
): Promise<FilterMismatch[]> {
  if (state.status !== "waiting") return [];
  const filtered = [...state.pending.values()]
    .flatMap((wait) => pendingLeaves(wait).map(({ condition }) => condition))
    .filter(isFiltered)
    .slice(0, LOOKS);
  const found = filtered.map(async ({ name, after, where }) => {
    const newest = await link.reader.lastFor(names.eventsStream, EVENTS_PREFIX + name);
    if (!newest || newest.sequence <= after) return [];
    const mismatch = typeMismatch(where as Filter, payloadOf(newest));
    return mismatch ? [{ name, sequence: newest.sequence, ...mismatch }] : [];
  });
  return (await Promise.all(found)).flat();
}

/** The first field for which a filter asks for another type than the payload has there. */
export function typeMismatch(
  where: Filter | undefined,
  payload: unknown,
): Pick<FilterMismatch, "path" | "expected" | "found"> | undefined {
  for (const [path, expected] of equalityKeys(where)) {
    const values = [...valuesAt(payload, path)];
    const [found] = values;
    if (found !== undefined && values.every((value) => typeof value !== typeof expected))
      return { path, expected, found };
  }
  return undefined;
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
function payloadOf({ data, headers }: StoredMessage): unknown {
  try {
    return decodeEventPayload(data, headers.last("Content-Type") ?? "");
  } catch (error) {
    if (error instanceof UndecodableError) return undefined;
    throw error;
  }
}
