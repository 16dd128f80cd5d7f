/**
 * Shows which slots this worker holds for which runs, in the two buckets: one record a pool, written
 * when something changed but at most every few tens of milliseconds, and renewed before it expires.
 * Records show; they decide nothing (rule 27).
 */
import type { CancelTimer, Clock } from "../shared/clock.ts";
import type { Publisher } from "../shared/jetstream/publisher.ts";
import type { LeaseRecord } from "../shared/leases.ts";
import { LEASE_SHARE_OF_CLAIM, LEASE_WRITE_INTERVAL_MS } from "../shared/limits.ts";
import type { LogSink } from "../shared/logger.ts";
import { HEADERS, type Names, type Pool } from "../shared/subjects.ts";
import type { SlotPool } from "./slots.ts";

/** What a keeper needs. */
export interface LeaseKeeperOptions {
  readonly publisher: Pick<Publisher, "publish">;
  readonly names: Names;
  readonly clock: Clock;
  readonly log: LogSink;
  readonly workerId: string;
  readonly host: string;
  readonly claimTimeoutMs: number;
}

/** Keeps the record of one pool true. */
export class LeaseKeeper {
  readonly #options: LeaseKeeperOptions;
  readonly #pool: Pool;
  readonly #slots: SlotPool;
  readonly #ttlSeconds: number;
  #stopTimer: CancelTimer | undefined;
  #dueAt = 0;
  #writtenAt = Number.NEGATIVE_INFINITY;
  #isClosed = false;

  constructor(options: LeaseKeeperOptions, pool: Pool, slots: SlotPool) {
    this.#options = options;
    this.#pool = pool;
    this.#slots = slots;
    this.#ttlSeconds = Math.max(
      1,
      Math.floor((options.claimTimeoutMs * LEASE_SHARE_OF_CLAIM) / 1e3),
    );
    this.#schedule(0);
  }

  /** Something changed: the record is written soon. */
  changed(): void {
    const sinceMs = this.#options.clock.monotonic() - this.#writtenAt;
    this.#schedule(Math.max(0, LEASE_WRITE_INTERVAL_MS - sinceMs));
  }

  /** Removes the record. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#stopTimer?.();
    await this.#options.publisher.publish(this.#subject, new Uint8Array(), [
      ["KV-Operation", "DEL"],
      [HEADERS.timeToLive, `${this.#ttlSeconds}s`],
    ]);
  }

  get #subject(): string {
    return `$KV.${this.#options.names.slotsBucket(this.#pool)}.${this.#options.workerId}`;
  }

  #schedule(delayMs: number): void {
    const { clock } = this.#options;
    const dueAt = clock.monotonic() + delayMs;
    if (this.#isClosed || (this.#stopTimer && this.#dueAt <= dueAt)) return;
    this.#stopTimer?.();
    this.#dueAt = dueAt;
    this.#stopTimer = clock.after(delayMs, () => {
      this.#stopTimer = undefined;
      void this.#write();
    });
  }

  async #write(): Promise<void> {
    const { publisher, clock, log } = this.#options;
    this.#writtenAt = clock.monotonic();
    this.#schedule((this.#ttlSeconds * 1_000) / 3);
    const body = new TextEncoder().encode(JSON.stringify(this.#record()));
    try {
      const outcome = await publisher.publish(this.#subject, body, [
        [HEADERS.timeToLive, `${this.#ttlSeconds}s`],
      ]);
      if (!outcome.ok && outcome.kind === "refused")
        log.warn("The lease record was refused.", { pool: this.#pool, ...outcome });
    } catch (error) {
      log.warn("The lease record could not be written.", { pool: this.#pool, error });
    }
  }

  #record(): LeaseRecord {
    const { workerId, host, clock } = this.#options;
    const held = this.#slots.held.map(({ taskName, runId, since }) => ({
      task: taskName,
      run: runId,
      since: new Date(since).toISOString(),
    }));
    return {
      worker: workerId,
      host,
      pid: process.pid,
      pool: this.#pool,
      capacity: this.#slots.capacity,
      held,
      at: new Date(clock.now()).toISOString(),
    };
  }
}
