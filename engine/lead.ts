/**
 * Who of many engines leads: a lease in a key-value bucket that disappears unless it is renewed.
 *
 * E1. A lead is taken and renewed by compare-and-set only; what is read is a hint.
 * E2. Who could not renew it for two thirds of its life stops acting, by the monotonic clock, before
 *     the server lets another one take it.
 * E3. Two engines that act at once by accident do no harm: what they write is guarded (rules 2, 16).
 * E4. A lead that stays as it is for much longer than its life is nobody's, and is taken: a server that
 *     was killed, or whose disk was full, may have brought it back without its time to live.
 */
import type { CancelTimer, Clock } from "../shared/clock.ts";
import { ContrailError } from "../shared/errors.ts";
import { newId } from "../shared/ids.ts";
import { pause } from "../shared/jetstream/backoff.ts";
import type { NatsLink } from "../shared/jetstream/connection.ts";
import { KvBucket, type KvEntry } from "../shared/jetstream/kv.ts";
import type { GuardedOutcome } from "../shared/jetstream/publisher.ts";
import { LEAD_RENEWAL_MS, LEAD_TTL_MS } from "../shared/limits.ts";
import type { LogSink } from "../shared/logger.ts";
import { LEAD_KEY, type Names } from "../shared/subjects.ts";

/** How to campaign. */
export interface LeadOptions {
  readonly link: NatsLink;
  readonly names: Names;
  readonly clock: Clock;
  readonly log: LogSink;
  /** For people who read the lease. */
  readonly name: string;
  /**
   * Called each time this engine begins to lead. The term lasts until the signal is aborted; a
   * rejection ends it, and the lead is given up for a moment.
   */
  serve(signal: AbortSignal): Promise<void>;
}

/** What the lease says, as JSON. */
export interface LeadRecord {
  readonly engine: string;
  readonly name: string;
  /** When this engine began to lead, by its own clock. */
  readonly since: string;
}

type Term =
  | { readonly kind: "standby" }
  | { readonly kind: "leading"; readonly since: string }
  | { readonly kind: "closed" };

/** This share of its life without renewal ends a term. */
const FENCE_SHARE = 2 / 3;
/** How often a standby looks whether the lead is free, besides being told. */
const STANDBY_LOOK_MS = 1_000;
/** So long a standby sees one lead unchanged, on its own monotonic clock, before it is nobody's (E4). */
const LIFELESS_MS = 2 * LEAD_TTL_MS;
/** After a term that failed by itself, others come first. */
const FAILED_PAUSE_MS = 2_000;
/** The marker of a released lead is kept for so long. */
const RELEASED_MS = 10_000;
/** Closing does not wait longer for a server that is down. */
const RELEASE_DEADLINE_MS = 1_500;

/** One engine's part in the campaign for the lead. */
export class Lead {
  readonly id: string = newId();
  readonly #options: LeadOptions;
  readonly #bucket: KvBucket;
  readonly #closing = new AbortController();
  #term: Term = { kind: "standby" };
  #wake = new AbortController();
  #running: Promise<void> | undefined;
  /** The lead of another engine, and since when it is known. */
  #seen = { revision: 0, at: 0 };

  constructor(options: LeadOptions) {
    this.#options = options;
    this.#bucket = new KvBucket(options.link, options.names.engineBucket);
  }

  get isLeading(): boolean {
    return this.#term.kind === "leading";
  }

  /** Begins to campaign. */
  start(): void {
    this.#running ??= this.#campaign();
  }

  /** Gives the lead up at once, so that another engine can take it. Safe to repeat. */
  async close(): Promise<void> {
    this.#closing.abort();
    this.#wake.abort();
    await this.#running;
    this.#term = { kind: "closed" };
  }

  async #campaign(): Promise<void> {
    const { log, clock } = this.#options;
    const watcher = this.#bucket.watch(({ operation }) => {
      if (operation === "delete") this.#wake.abort();
    }, LEAD_KEY);
    while (!this.#closing.signal.aborted) {
      try {
        const lease = await this.#acquire();
        if (lease && (await this.#lead(lease)) === "failed")
          await pause(clock, FAILED_PAUSE_MS, this.#closing.signal);
      } catch (error) {
        if (!(error instanceof ContrailError)) throw error;
        log.warn(`The lead could not be asked for: ${error.message}`, { engine: this.id });
        await pause(clock, STANDBY_LOOK_MS, this.#closing.signal);
      }
    }
    await watcher.close();
  }

  /** Waits until the lead is free, and takes it. Nothing when it is to be asked again. */
  async #acquire(): Promise<Lease | undefined> {
    const { clock } = this.#options;
    const { signal } = this.#closing;
    this.#wake = new AbortController();
    const entry = await this.#bucket.entry(LEAD_KEY, { leader: true, signal });
    if (entry?.operation !== "put" || this.#isLifeless(entry)) {
      const since = new Date(clock.now()).toISOString();
      const lease = await this.#write({ since, expect: entry?.revision ?? 0, untilAt: undefined });
      if (lease) return lease;
    }
    await pause(clock, STANDBY_LOOK_MS, AbortSignal.any([signal, this.#wake.signal]));
    return undefined;
  }

  #isLifeless({ revision }: KvEntry): boolean {
    const now = this.#options.clock.monotonic();
    if (this.#seen.revision !== revision) this.#seen = { revision, at: now };
    return now - this.#seen.at > LIFELESS_MS;
  }

  /** Leads until the lease is lost, the term fails or the engine is closed. */
  async #lead(first: Lease): Promise<"over" | "failed"> {
    const { log, clock, serve } = this.#options;
    const over = new AbortController();
    let end: "over" | "failed" = "over";
    let lease: Lease | undefined = first;
    this.#term = { kind: "leading", since: first.since };
    log.info("This engine leads.", { engine: this.id });
    const stopping = AbortSignal.any([over.signal, this.#closing.signal]);
    const served = serve(over.signal)
      .catch((error: unknown) => {
        if (over.signal.aborted) return;
        end = "failed";
        log.error(`The term ended by itself: ${String(error)}`, { engine: this.id });
      })
      .finally(() => over.abort());
    let fence = this.#fence(lease, over);
    while (!stopping.aborted) {
      await pause(clock, LEAD_RENEWAL_MS, stopping);
      if (stopping.aborted) break;
      const { revision: expect, since, untilAt } = lease;
      lease = await this.#write({ since, expect, untilAt });
      fence();
      if (lease === undefined) break;
      fence = this.#fence(lease, over);
    }
    fence();
    over.abort();
    this.#term = { kind: "standby" };
    await served;
    if (lease) await this.#release(lease);
    log.info("This engine does not lead any more.", { engine: this.id });
    return end;
  }

  /** Ends the term when the lease was not renewed in time, whatever else is under way (E2). */
  #fence({ untilAt }: Lease, over: AbortController): CancelTimer {
    const { clock, log } = this.#options;
    return clock.after(untilAt - clock.monotonic(), () => {
      log.warn("The lead was not renewed in time.", { engine: this.id });
      over.abort();
    });
  }

  /** Takes or renews the lease. Nothing when somebody else has it, or it is too late to know. */
  async #write(write: {
    readonly since: string;
    readonly expect: number;
    readonly untilAt: number | undefined;
  }): Promise<Lease | undefined> {
    const { clock, name } = this.#options;
    const { since, expect } = write;
    const askedAt = clock.monotonic();
    const deadlineAt = write.untilAt ?? askedAt + LEAD_TTL_MS * FENCE_SHARE;
    if (askedAt >= deadlineAt) return undefined;
    const record: LeadRecord = { engine: this.id, name, since };
    const outcome = await this.#bucket.put(LEAD_KEY, Buffer.from(JSON.stringify(record)), {
      expect,
      timeToLiveMs: LEAD_TTL_MS,
      deadlineMs: deadlineAt - askedAt,
      signal: this.#closing.signal,
    });
    const revision = outcome.ok ? outcome.sequence : await this.#mine(outcome);
    // Counted from before the first try: whichever of them was stored, it lives longer than this.
    const untilAt = askedAt + LEAD_TTL_MS * FENCE_SHARE;
    if (revision === undefined || clock.monotonic() >= untilAt) return undefined;
    return { revision, since, untilAt };
  }

  /** The revision, if the guard refused because an earlier try of the same write was stored. */
  async #mine(outcome: GuardedOutcome): Promise<number | undefined> {
    if (outcome.ok || outcome.kind !== "guard" || !outcome.uncertain) return undefined;
    const entry = await this.#bucket.entry(LEAD_KEY, {
      leader: true,
      signal: this.#closing.signal,
    });
    return entry && readRecord(entry)?.engine === this.id ? entry.revision : undefined;
  }

  /** Lets another engine take the lead at once. When that fails the lease runs out by itself. */
  async #release({ revision }: Lease): Promise<void> {
    const outcome = await this.#bucket.delete(LEAD_KEY, {
      expect: revision,
      timeToLiveMs: RELEASED_MS,
      deadlineMs: RELEASE_DEADLINE_MS,
    });
    if (!outcome.ok) this.#options.log.debug("The lead was not released.", { engine: this.id });
  }
}

interface Lease {
  readonly revision: number;
  readonly since: string;
  /** Monotonic time at which to stop. */
  readonly untilAt: number;
}

/** What a lease says; nothing when it cannot be read. */
export function readRecord({ data }: Pick<KvEntry, "data">): LeadRecord | undefined {
  try {
    const record: unknown = JSON.parse(Buffer.from(data).toString("utf8"));
    return isLeadRecord(record) ? record : undefined;
  } catch {
    return undefined; // somebody else wrote it
  }
}

function isLeadRecord(value: unknown): value is LeadRecord {
  if (typeof value !== "object" || value === null) return false;
  const { engine, name, since } = value as { readonly [field in keyof LeadRecord]?: unknown };
  return [engine, name, since].every((field) => typeof field === "string");
}
