/**
 * The lease records that workers write: which worker holds which slots for which runs. They show and
 * decide nothing (rule 27), and anybody who may write to the bucket can put anything there.
 */
import type { NatsLink } from "./jetstream/connection.ts";
import { KvBucket } from "./jetstream/kv.ts";
import type { Names, Pool } from "./subjects.ts";

/** A slot that is held. */
export interface HeldSlot {
  readonly task: string;
  readonly run: string;
  /** When it was granted, as ISO 8601 text by the worker's clock. */
  readonly since: string;
}

/** What one worker says about its slots of one pool, as it is stored: JSON. */
export interface LeaseRecord {
  /** Unique to the worker's process. */
  readonly worker: string;
  readonly host: string;
  readonly pid: number;
  readonly pool: Pool;
  /** Slots in all, held or free. */
  readonly capacity: number;
  readonly held: readonly HeldSlot[];
  /** When this was true, as ISO 8601 text by the worker's clock. */
  readonly at: string;
}

/** Longer than a record's life: then no server will take it away any more. */
const OUTLIVED_MS = 5_000;

/**
 * The records of all workers that live, of both pools, ordered by pool and worker. What is no record
 * is left out, and so is a record whose life has long been over: a server that was killed, or whose
 * disk was full, may have brought it back without its time to live. A record is at most some tens of milliseconds old, and
 * outlives a worker that was killed by half a claim timeout.
 * @throws {UnavailableError} When no server answers.
 */
export async function readLeases(link: NatsLink, names: Names): Promise<LeaseRecord[]> {
  const pools = await Promise.all(
    (["regular", "durable"] as const).map(async (pool) => {
      const bucket = new KvBucket(link, names.slotsBucket(pool));
      const [entries, state] = await Promise.all([
        bucket.entries(),
        link.reader.streamState(bucket.stream),
      ]);
      const now = state?.answeredAtMs ?? 0;
      return entries
        .filter(({ timeMs, liveForMs = Infinity }) => now < timeMs + liveForMs + OUTLIVED_MS)
        .flatMap(({ data }) => parseLease(data) ?? [])
        .filter((lease) => lease.pool === pool)
        .sort((a, b) => (a.worker < b.worker ? -1 : 1));
    }),
  );
  return pools.flat();
}

/** Reads a record. Nothing when it is none. */
export function parseLease(data: Uint8Array): LeaseRecord | undefined {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder().decode(data));
  } catch {
    return undefined; // somebody else wrote there
  }
  return isLease(value) ? value : undefined;
}

function isLease(value: unknown): value is LeaseRecord {
  if (!isRecord(value)) return false;
  const { worker, host, pid, pool, capacity, held, at } = value;
  return (
    typeof worker === "string" &&
    typeof host === "string" &&
    typeof pid === "number" &&
    (pool === "regular" || pool === "durable") &&
    typeof capacity === "number" &&
    typeof at === "string" &&
    Array.isArray(held) &&
    held.every(isHeldSlot)
  );
}

function isHeldSlot(value: unknown): value is HeldSlot {
  return (
    isRecord(value) &&
    typeof value["task"] === "string" &&
    typeof value["run"] === "string" &&
    typeof value["since"] === "string"
  );
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}
