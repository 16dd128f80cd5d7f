/** Who is there: the engine that leads, and the workers. */
import { UnavailableError } from "../../shared/errors.ts";
import type { NatsLink } from "../../shared/jetstream/connection.ts";
import { KvBucket } from "../../shared/jetstream/kv.ts";
import { readLeases } from "../../shared/leases.ts";
import { LEAD_KEY, type Names } from "../../shared/subjects.ts";
import { readRecord } from "../lead.ts";
import type { Finding } from "./findings.ts";

const ANSWER_MS = 300;

/** Which engine leads, and how many there are. */
export async function findEngines(link: NatsLink, names: Names): Promise<Finding[]> {
  const [entries, engines] = await Promise.all([
    new KvBucket(link, names.engineBucket).entries(LEAD_KEY),
    askEngines(link, names),
  ]);
  const lead = entries[0] && readRecord(entries[0]);
  const answering = `${engines.length} ${engines.length === 1 ? "engine answers" : "engines answer"}`;
  if (!lead)
    return [
      {
        check: "engine",
        verdict: "problem",
        message: `No engine leads; ${answering}. Runs that wait for events, children or a cancel stay where they are until one does, and lose nothing meanwhile. Start one with "contrail engine".`,
        details: { engines },
      },
    ];
  const { engine, name, since } = lead;
  return [
    {
      check: "engine",
      verdict: "ok",
      message: `Engine ${name} leads since ${since}; ${answering}.`,
      details: { engine, name, since, engines },
    },
  ];
}

/** The names of the engines that offer the micro service, standing by or not. */
async function askEngines(link: NatsLink, names: Names): Promise<string[]> {
  const engines: string[] = [];
  const ask = link.requests.ask({
    subject: `$SRV.PING.${names.namespace}`,
    payload: "",
    what: "which engines there are",
    withinMs: 1, // every engine answers once, and then there is silence
    silenceMs: ANSWER_MS,
    receive: ({ data }) => {
      const engine = engineIn(data);
      if (engine !== undefined) engines.push(engine);
      return "more";
    },
  });
  await ask.catch((error: unknown) => {
    if (!(error instanceof UnavailableError)) throw error;
  });
  return engines.sort();
}

/** The engine that an answer of a micro service names. Anybody may answer, and with anything. */
export function engineIn(data: Uint8Array): string | undefined {
  try {
    const answer = JSON.parse(Buffer.from(data).toString("utf8")) as {
      readonly metadata?: { readonly engine?: unknown } | null;
    } | null;
    const engine = answer?.metadata?.engine;
    return typeof engine === "string" ? engine : undefined;
  } catch {
    return undefined; // no JSON
  }
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
