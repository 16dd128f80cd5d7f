/** Gathers what is known of a run besides its own log, to explain it. */
import type { RunFacts } from "./explain.ts";
import type { NatsLink } from "./jetstream/connection.ts";
import { KvBucket } from "./jetstream/kv.ts";
import { readLeases } from "./leases.ts";
import { LEAD_KEY, type Names, type RunAddress } from "./subjects.ts";
import { readTaskGroup } from "./task-group.ts";

/**
 * Reads the facts about a run: four questions to the servers, asked at once.
 * @throws {UnavailableError} When no server answers.
 */
export async function readFacts(link: NatsLink, names: Names, run: RunAddress): Promise<RunFacts> {
  const [leases, group, leads, events] = await Promise.all([
    readLeases(link, names),
    readTaskGroup(link, names, run),
    new KvBucket(link, names.engineBucket).keys(LEAD_KEY),
    link.reader.streamState(names.eventsStream),
  ]);
  return {
    now: events?.answeredAtMs ?? link.clock.now(),
    leases,
    group,
    hasEngine: leads.length > 0,
    firstEvent: events?.firstSequence ?? 0,
  };
}
