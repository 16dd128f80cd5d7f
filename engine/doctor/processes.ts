/** Who is there: the engine that leads, and the workers. */
import type { NatsLink } from "../../shared/jetstream/connection.ts";
import { KvBucket } from "../../shared/jetstream/kv.ts";
import { readLeases } from "../../shared/leases.ts";
import type { Names } from "../../shared/subjects.ts";
import { readRecord } from "../lead.ts";
import type { Finding } from "./findings.ts";

/** Which engine leads. Those that stand by leave no trace. */
export async function findEngines(link: NatsLink, names: Names): Promise<Finding[]> {
  const [entry] = await new KvBucket(link, names.engineBucket).entries();
  const lead = entry && readRecord(entry);
  if (!lead)
    return [
      {
        check: "engine",
        verdict: "problem",
        message:
          'No engine is running: runs that wait for events, children or a cancel stay where they are until one does, and lose nothing meanwhile. Start one with "contrail engine".',
        details: {},
      },
    ];
  const { engine, name, since } = lead;
  return [
    {
      check: "engine",
      verdict: "ok",
      message: `Engine ${name} leads since ${since}.`,
      details: { engine, name, since },
    },
  ];
}

/** Which workers live, by their lease records. */
export async function findWorkers(link: NatsLink, names: Names): Promise<Finding[]> {
  const leases = await readLeases(link, names);
  const workers = new Map<string, typeof leases>();
  for (const lease of leases)
    workers.set(lease.worker, [...(workers.get(lease.worker) ?? []), lease]);
  if (workers.size === 0)
    return [
      {
        check: "worker",
        verdict: "note",
        message:
          'No worker is running: runs are queued until one does. Start one with "contrail worker FILE".',
        details: {},
      },
    ];
  return [...workers].map(([worker, records]): Finding => {
    const slots = records.map(
      ({ pool, held, capacity }) => `${held.length} of ${capacity} ${pool} slots held`,
    );
    const { host, pid } = records[0] ?? {};
    return {
      check: "worker",
      verdict: "ok",
      message: `Worker ${worker} lives: ${slots.join(", ")}.`,
      details: {
        worker,
        host,
        pid,
        slots: records.map(({ pool, held, capacity }) => ({ pool, held: held.length, capacity })),
      },
    };
  });
}
