/**
 * Follows the two lease buckets over a whole test: every record that any worker ever wrote, not only
 * those that are still stored when somebody looks.
 */
import type { NatsLink } from "../../../shared/jetstream/connection.ts";
import { KvBucket } from "../../../shared/jetstream/kv.ts";
import type { Names, Pool } from "../../../shared/subjects.ts";

/** A lease record as anybody reads it. */
export interface Lease {
  readonly worker: string;
  readonly pid: number;
  readonly pool: Pool;
  readonly capacity: number;
  readonly held: readonly { readonly task: string; readonly run: string; readonly since: string }[];
  readonly at: string;
}

/** The records of both pools. */
export class LeaseObserver {
  /** Every record that was written since the observer began, in order. */
  readonly records: Lease[] = [];
  /** The last record of each worker and pool; a closed worker has none, a killed one keeps its last. */
  readonly #last = new Map<string, Lease>();
  readonly #link: NatsLink;
  readonly #names: Names;
  readonly #stop: (() => void)[];

  constructor(link: NatsLink, names: Names) {
    this.#link = link;
    this.#names = names;
    this.#stop = (["regular", "durable"] as const).map((pool) => {
      const subscription = link.nc.subscribe(`$KV.${names.slotsBucket(pool)}.*`, {
        callback: (error, message) => {
          if (error === null) this.#take(message.subject, message.data);
        },
      });
      return () => subscription.unsubscribe();
    });
  }

  /** How many slots of a pool all workers together held by their last records. */
  held(pool: Pool): number {
    let held = 0;
    for (const lease of this.#last.values()) if (lease.pool === pool) held += lease.held.length;
    return held;
  }

  /** The last record of a worker. */
  of(worker: string, pool: Pool): Lease | undefined {
    return this.#last.get(`$KV.${this.#names.slotsBucket(pool)}.${worker}`);
  }

  /** The runs that hold a slot of a pool by the last records. */
  holders(pool: Pool): string[] {
    return [...this.#last.values()]
      .filter((lease) => lease.pool === pool)
      .flatMap((lease) => lease.held.map(({ run }) => run));
  }

  /** The records that said more than their worker's capacity: never any. */
  get excesses(): Lease[] {
    return this.records.filter(({ held, capacity }) => held.length > capacity);
  }

  /** What is stored in the bucket now, read as any client does. */
  async stored(pool: Pool): Promise<Lease[]> {
    const bucket = new KvBucket(this.#link, this.#names.slotsBucket(pool));
    const entries = await bucket.entries();
    return entries.map(({ data }) => JSON.parse(Buffer.from(data).toString()) as Lease);
  }

  /** Stops following. */
  close(): void {
    for (const stop of this.#stop) stop();
  }

  #take(subject: string, data: Uint8Array): void {
    if (data.length === 0) {
      this.#last.delete(subject);
      return;
    }
    const lease = JSON.parse(Buffer.from(data).toString()) as Lease;
    this.records.push(lease);
    this.#last.set(subject, lease);
  }
}
