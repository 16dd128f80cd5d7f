/**
 * The registry of pending waits: matches them with events and with the ends of children, and wakes
 * the runs that can go on.
 *
 * R1. A registration is put into the index before anything is looked back; what comes meanwhile is
 *     offered to it, and what came before is found by reads at least as new as the followers were
 *     at that moment (rule 15). Between the two there is no gap.
 * R2. A token is published only after both, so that the lowest event wins.
 * R3. A token is guarded by the waiting commit it answers: when the run has gone on, it is refused.
 *     May be published twice after a lost reply; the second is a dead token (rule 16).
 */

import { childId } from "../shared/child-ids.ts";
import type { CancelTimer } from "../shared/clock.ts";
import { ContrailError, UnavailableError } from "../shared/errors.ts";
import { Backoff, pause } from "../shared/jetstream/backoff.ts";
import type { StoredMessage } from "../shared/jetstream/reader.ts";
import { decodeWait, encodeReady } from "../shared/messages.ts";
import { STATUS_HEADER } from "../shared/subjects.ts";
import { type ChildGroup, type EventGroup, holdMs, PendingWait } from "./conditions.ts";
import type { LastReads } from "./last-reads.ts";
import type { LookBack } from "./look-back.ts";
import type { EventMessage, RecentEvents } from "./recent-events.ts";
import type { EngineServices } from "./services.ts";
import { WaitIndex } from "./wait-index.ts";

/** What the registry works with. */
export interface WaitsOptions {
  readonly services: EngineServices;
  readonly reads: LastReads;
  readonly lookBack: LookBack;
  readonly recent: RecentEvents;
  /** Up to where the ends of children were followed in a shard. */
  readonly childrenPosition: (shard: number) => number;
}

/** Counts since the term began, for people. */
export interface WaitsStatus {
  readonly pending: number;
  readonly lookingBack: number;
  readonly publishing: number;
  readonly published: number;
  /** Tokens that were refused because the run had gone on. */
  readonly refused: number;
}

/** Answered waits that are remembered, so that the run's next one need not look back as far. */
const REMEMBERED_WAITS = 2_000;
/** Tokens on their way at once. */
const PUBLISHED_AT_ONCE = 512;
/** Children whose ends are asked for at once, for one run. */
const CHILDREN_PER_LOOK = 4_000;
const RETRY_PAUSES = { shortestMs: 50, longestMs: 2_000 };

/** Pending waits of a namespace. */
export class Waits {
  readonly #options: WaitsOptions;
  readonly #services: EngineServices;
  readonly #index = new WaitIndex();
  /** The last answered wait of a run, oldest first. */
  readonly #answered = new Map<string, PendingWait>();
  readonly #holds = new Map<PendingWait, CancelTimer>();
  readonly #touched = new Set<PendingWait>();
  readonly #toPublish: PendingWait[] = [];
  #publishing = 0;
  #lookingBack = 0;
  #published = 0;
  #refused = 0;

  constructor(options: WaitsOptions) {
    this.#options = options;
    this.#services = options.services;
  }

  get status(): WaitsStatus {
    return {
      pending: this.#index.size,
      lookingBack: this.#lookingBack,
      publishing: this.#publishing + this.#toPublish.length,
      published: this.#published,
      refused: this.#refused,
    };
  }

  /** Takes a `wait` message. Undecodable ones are reported and harm nobody else (P9). */
  register(message: StoredMessage): void {
    const { names, log } = this.#services;
    let wait: PendingWait;
    try {
      const where = `${message.subject}, sequence ${message.sequence}`;
      const registration = decodeWait(message.data, where);
      const run = names.parse(message.subject);
      wait = new PendingWait(names, run, { sequence: message.sequence, registration });
    } catch (error) {
      if (!(error instanceof ContrailError)) throw error;
      log.error(`A registration cannot be read: ${error.message}`, { subject: message.subject });
      return;
    }
    const current = this.#index.get(wait.prefix);
    if (current && current.sequence >= wait.sequence) return;
    const earlier = current ?? this.#answered.get(wait.prefix);
    this.#answered.delete(wait.prefix);
    if (current) this.#forget(current);
    if (wait.isEmpty) return;
    if (earlier) wait.learnFrom(earlier);
    for (const group of wait.events) group.beginLookBack();
    this.#index.add(wait);
    void this.#look(wait); // reports its own errors
  }

  /** Takes the next event of the stream. */
  offer(event: EventMessage): void {
    this.#options.recent.add(event);
    this.#index.offerEvent(event, (wait) => this.#touch(wait));
  }

  /** Takes a commit of a child. Only ends matter. */
  noteChild(message: StoredMessage): void {
    if (!isEnd(message)) return;
    const prefix = message.subject.slice(0, message.subject.lastIndexOf("."));
    this.#index.endChild(prefix, (wait) => this.#touch(wait));
  }

  /** Ends all timers. */
  close(): void {
    for (const cancel of this.#holds.values()) cancel();
    this.#holds.clear();
  }

  /** Looks at everything that came before the registration, until it is done or superseded. */
  async #look(wait: PendingWait): Promise<void> {
    const { signal, clock, failpoint, log } = this.#services;
    const eventsTo = this.#options.recent.lastSequence;
    const childrenFrom = this.#childrenPositions();
    this.#lookingBack++;
    try {
      const point = failpoint("engine-before-look-back");
      if (point) await point;
      const backoff = new Backoff(RETRY_PAUSES);
      while (!signal.aborted && this.#isCurrent(wait)) {
        try {
          const reads = this.#lookForEvents(wait, eventsTo);
          if (wait.singles.length + wait.groups.length > 0)
            reads.push(this.#lookForChildren(wait, childrenFrom));
          if (reads.length > 0) await Promise.all(reads);
          break;
        } catch (error) {
          if (!(error instanceof UnavailableError)) throw error;
          if (!signal.aborted)
            log.warn(`Looking back for a wait failed: ${error.message}`, { run: wait.prefix });
          await pause(clock, backoff.next(), signal);
        }
      }
    } catch (error) {
      log.error(`Looking back for a wait failed: ${String(error)}`, { run: wait.prefix });
      return;
    } finally {
      this.#lookingBack--;
    }
    if (signal.aborted || !this.#isCurrent(wait)) return;
    wait.isArmed = true;
    this.#touch(wait);
  }

  #childrenPositions(): number[] {
    const { shardCount } = this.#services.names;
    return Array.from({ length: shardCount }, (_, shard) => this.#options.childrenPosition(shard));
  }

  /** Answers from the recent events where they reach back far enough; else reads the stream. */
  #lookForEvents(wait: PendingWait, to: number): Promise<void>[] {
    const { recent } = this.#options;
    const reads: Promise<void>[] = [];
    for (const group of wait.events) {
      if (!group.isLookedBack) continue;
      if (recent.firstSequence > group.knownTo + 1) reads.push(this.#readEvents(group, to));
      else {
        const { name, where, knownTo: after } = group;
        const limit = group.limit + (wait.consumed?.size ?? 0);
        group.endLookBack(recent.find({ name, where, after, to, limit }), to);
      }
    }
    return reads;
  }

  async #readEvents(group: EventGroup, to: number): Promise<void> {
    const found = group.knownTo < to ? await this.#options.lookBack.find(group, to) : [];
    if (this.#isCurrent(group.wait)) group.endLookBack(found, to);
  }

  async #lookForChildren(wait: PendingWait, positions: readonly number[]): Promise<void> {
    const { names } = this.#services;
    let batch: Promise<void>[] = [];
    const look = (prefix: string, note: () => void): void => {
      const shard = Number(prefix.split(".", 3)[2]);
      const subject = `${prefix}.c`;
      const stream = names.logStream(shard);
      const read = this.#options.reads.last(stream, subject, positions[shard] as number);
      batch.push(
        read.then((last) => {
          if (last && isEnd(last)) note();
        }),
      );
    };
    for (const child of wait.singles)
      if (!child.hasEnded) look(child.prefix, () => wait.endSingle(child));
    for (const group of wait.groups)
      for (const position of group.unrecorded()) {
        if (group.hasEnded(position)) continue;
        look(this.#childPrefix(group, position), () => group.end(position));
        if (batch.length < CHILDREN_PER_LOOK) continue;
        await Promise.all(batch);
        batch = [];
        if (!this.#isCurrent(wait)) return;
      }
    await Promise.all(batch);
  }

  #childPrefix(group: ChildGroup, position: number): string {
    const runId = childId(group.wait.childPrefix, group.first + position);
    return this.#services.names.run({ taskName: group.taskName, runId }).prefix;
  }

  #isCurrent(wait: PendingWait): boolean {
    return this.#index.get(wait.prefix) === wait;
  }

  /** Something has happened for this wait. All that comes in one go is looked at together. */
  #touch(wait: PendingWait): void {
    if (!wait.isArmed || this.#touched.has(wait)) return;
    if (this.#touched.size === 0) queueMicrotask(() => this.#decide());
    this.#touched.add(wait);
  }

  #decide(): void {
    const waits = [...this.#touched];
    this.#touched.clear();
    for (const wait of waits) {
      if (!this.#isCurrent(wait) || !wait.hasHappened) continue;
      if (wait.isUrgent) this.#answer(wait);
      else this.#hold(wait);
    }
  }

  /** Children have ended and others have not: more may end before the next wake-up (rule 19). */
  #hold(wait: PendingWait): void {
    if (this.#holds.has(wait)) return;
    const { clock } = this.#services;
    const restMs = wait.wokenAt + this.#holdMs(wait) - clock.monotonic();
    if (restMs <= 0) {
      this.#answer(wait);
      return;
    }
    const cancel = clock.after(restMs, () => {
      this.#holds.delete(wait);
      if (this.#isCurrent(wait)) this.#answer(wait);
    });
    this.#holds.set(wait, cancel);
  }

  #holdMs({ passMs, streak, singles }: PendingWait): number {
    return holdMs({ passMs, streak, pendingChildren: singles.length });
  }

  /** Forgets the wait and wakes its run: it will register what it waits for then. */
  #answer(wait: PendingWait): void {
    const now = this.#services.clock.monotonic();
    const isSoon = now - wait.wokenAt < 4 * this.#holdMs(wait) + wait.passMs;
    wait.streak = isSoon ? wait.streak + 1 : 0;
    wait.wokenAt = now;
    this.#forget(wait);
    this.#answered.set(wait.prefix, wait);
    if (this.#answered.size > REMEMBERED_WAITS) {
      const oldest = this.#answered.keys().next().value as string;
      this.#answered.delete(oldest);
    }
    this.#toPublish.push(wait);
    this.#publishNext();
  }

  #forget(wait: PendingWait): void {
    this.#index.remove(wait);
    this.#holds.get(wait)?.();
    this.#holds.delete(wait);
    for (const group of wait.events) group.close(this.#options.recent.lastSequence);
  }

  #publishNext(): void {
    while (this.#publishing < PUBLISHED_AT_ONCE) {
      const wait = this.#toPublish.shift();
      if (wait === undefined) return;
      this.#publishing++;
      void this.#publish(wait)
        .catch((error: unknown) => {
          const fields = { run: wait.prefix };
          this.#services.log.error(`A token was not published: ${String(error)}`, fields);
        })
        .finally(() => {
          this.#publishing--;
          this.#publishNext();
        });
    }
  }

  async #publish(wait: PendingWait): Promise<void> {
    const { failpoint } = this.#services;
    const { waitSequence, startSequence, isChild } = wait;
    const body = encodeReady({
      answers: waitSequence,
      startSequence,
      isChild,
      because: wait.because(),
    });
    const before = failpoint("engine-before-ready");
    if (before) await before;
    const end = await publishReady(this.#services, wait, body);
    if (end === "stored") this.#published++;
    if (end === "refused") this.#refused++;
    const after = failpoint("engine-after-ready");
    if (after) await after;
  }
}

/** Where a token goes, and the waiting commit that it answers. */
export interface ReadyTarget {
  /** Prefix of the run's subjects. */
  readonly prefix: string;
  readonly waitSequence: number;
  readonly isChild: boolean;
}

/**
 * Publishes a token as long as the run still waits at the commit that it answers.
 * @returns "refused" when the run has gone on, "given-up" when the term ended before it was settled.
 */
export async function publishReady(
  services: Pick<EngineServices, "link" | "clock" | "log" | "signal">,
  { prefix, waitSequence, isChild }: ReadyTarget,
  body: Uint8Array,
): Promise<"stored" | "refused" | "given-up"> {
  const { link, clock, log, signal } = services;
  const backoff = new Backoff(RETRY_PAUSES);
  while (!signal.aborted) {
    const outcome = await link.publisher.guardedPublish(`${prefix}.ready`, body, {
      expect: waitSequence,
      expectSubject: `${prefix}.${isChild ? "c" : "h"}`,
      signal,
    });
    if (outcome.ok) return "stored";
    if (outcome.kind === "guard") return "refused";
    if (signal.aborted) break;
    const why = outcome.kind === "refused" ? outcome.description : outcome.kind;
    log.warn(`A token is not stored yet and will be published again: ${why}`, { run: prefix });
    await pause(clock, backoff.next(), signal);
  }
  return "given-up";
}

/** Whether a commit ended its run, by its header alone. */
export function isEnd(message: Pick<StoredMessage, "headers">): boolean {
  const status = message.headers.last(STATUS_HEADER);
  return status === "completed" || status === "failed" || status === "canceled";
}
