/**
 * One stream: its messages, schedules and consumers.
 *
 * T1. A message is stored, replaces what it replaces, is republished, acknowledged and delivered, in
 *     this order, before anything else happens to the stream.
 * T2. The time of a message is after that of the one before it.
 */
import type { CancelTimer, Clock } from "../clock.ts";
import { HEADERS } from "../subjects.ts";
import type { ApiRefusal } from "./api-errors.ts";
import type { ConsumerSettings } from "./consumer-settings.ts";
import type { FaultPolicy } from "./faults.ts";
import { headerValue, withHeader, withHeaders, withoutHeaders } from "./header-text.ts";
import { LaggingReplica } from "./lagging-replica.ts";
import { messageHeaders } from "./message-headers.ts";
import { MessageStore, type StoredRecord } from "./message-store.ts";
import { type OutgoingMessage, PullConsumer } from "./pull-consumer.ts";
import { Schedules } from "./schedules.ts";
import { republishedTo, type StreamSettings } from "./stream-settings.ts";
import { covers, SubjectFilter } from "./subject-pattern.ts";
import { type AcceptedWrite, checkWrite, type Write } from "./write-checks.ts";

/** What a stream needs of its server. */
export interface StreamHost {
  readonly clock: Clock;
  readonly faults: FaultPolicy;
  /** Sends to whoever listens to a core subject. */
  send(subject: string, message: OutgoingMessage): void;
  hasInterest(subject: string): boolean;
  /** Told what happened inside. */
  note(what: string, subject: string, sequence: number): void;
}

/** What a write came to. */
export type Stored =
  | { readonly ok: true; readonly sequence: number }
  | { readonly ok: false; readonly refusal: ApiRefusal };

const NOTHING = new Uint8Array(0);
/** The resolution of the times of messages. */
const MICROSECONDS = 1e3;

/** One stream. */
export class MemoryStream {
  #settings: StreamSettings;
  #filter: SubjectFilter;
  readonly createdAt: number;
  readonly store: MessageStore = new MessageStore();
  readonly consumers: Map<string, PullConsumer> = new Map();
  readonly #host: StreamHost;
  readonly #schedules: Schedules;
  readonly #replica: LaggingReplica = new LaggingReplica();
  /** When messages with a time to live of their own are over. */
  readonly #ends: Map<number, number> = new Map();
  #timeMs = 0;
  #expiryAt = Number.POSITIVE_INFINITY;
  #stopExpiry: CancelTimer | undefined;

  constructor(settings: StreamSettings, host: StreamHost) {
    this.#settings = settings;
    this.#filter = new SubjectFilter(settings.subjects);
    this.#host = host;
    this.createdAt = host.clock.now();
    this.#schedules = new Schedules({
      clock: host.clock,
      delayMs: () => host.faults.firingDelayMs(),
      fire: (sequences) => {
        for (const sequence of sequences) this.#fire(sequence);
      },
    });
  }

  get name(): string {
    return this.settings.name;
  }

  get settings(): StreamSettings {
    return this.#settings;
  }

  set settings(settings: StreamSettings) {
    this.#settings = settings;
    this.#filter = new SubjectFilter(settings.subjects);
  }

  /** Whether it captures what is published to a subject. */
  takes(subject: string): boolean {
    return this.#filter.matches(subject);
  }

  /** When the next schedule is due. */
  get nextDueAt(): number | undefined {
    return this.#schedules.nextDueAt;
  }

  /** Checks a message and stores it. */
  write(write: Write, acknowledge?: (stored: Stored) => void): Stored {
    const checked = checkWrite(this.settings, this.store, write);
    if (!checked.ok) {
      acknowledge?.(checked);
      return checked;
    }
    const record = this.#append(checked.write);
    const stored = { ok: true, sequence: record.sequence } as const;
    acknowledge?.(stored);
    for (const consumer of [...this.consumers.values()]) consumer.noteStored(record);
    return stored;
  }

  /** Removes messages and says how many. */
  purge(request: { pattern?: string; before?: number; keep?: number }): number {
    const { pattern = ">", before = 0, keep = 0 } = request;
    const sequences = before === 1 ? [] : this.store.purgeable(pattern, { before, keep });
    const acknowledge = this.#removeAll(sequences, pattern);
    const { firstSequence } = this.store;
    const start = pattern === ">" ? firstSequence : this.#firstOf(pattern);
    for (const consumer of this.consumers.values()) {
      const { patterns } = consumer.settings.filter;
      const isCovered = patterns.length > 0 && patterns.every((each) => covers(pattern, each));
      if (pattern === ">" || isCovered) consumer.notePurged(start, false);
      else if (consumer.settings.filter.matches(pattern)) consumer.notePurged(firstSequence, true);
    }
    acknowledge();
    return sequences.length;
  }

  /** Removes one message. */
  delete(sequence: number): boolean {
    const record = this.#remove(sequence);
    if (record) for (const consumer of this.consumers.values()) consumer.noteRemoved(record)();
    return record !== undefined;
  }

  /** What answers a read: the leader's messages, or those of a replica that is behind. */
  read(isLeader: boolean): MessageStore {
    const { mostBehind } = this.#replica;
    const behind = this.#host.faults.staleBy({ stream: this.name, isLeader, mostBehind });
    if (behind === 0) return this.store;
    this.#host.note("stale read", this.name, behind);
    return this.#replica.at(behind);
  }

  addConsumer(settings: ConsumerSettings): PullConsumer {
    const { name } = settings;
    const { clock, faults } = this.#host;
    const consumer = new PullConsumer(settings, {
      clock,
      stream: this.name,
      replicas: this.settings.replicas,
      store: this.store,
      send: (inbox, message) => this.#host.send(inbox, message),
      hasInterest: (inbox) => this.#host.hasInterest(inbox),
      faultOf: (_, sequence) => faults.deliver({ stream: this.name, consumer: name, sequence }),
      onIdle: () => void this.removeConsumer(name),
    });
    this.consumers.set(name, consumer);
    return consumer;
  }

  removeConsumer(name: string): boolean {
    this.consumers.get(name)?.close();
    return this.consumers.delete(name);
  }

  /** Another server leads the stream now, or this one does again after a crash. */
  interrupt(how: "leader-change" | "crash"): void {
    const status = how === "crash" ? undefined : "409 Leadership Change";
    for (const consumer of this.consumers.values()) {
      consumer.interrupt(status);
      if (how === "crash") consumer.unacknowledged.forgetCounts();
    }
    if (how === "crash") this.#recoverSchedules();
    this.#schedules.retryStuck();
  }

  close(): void {
    for (const consumer of this.consumers.values()) consumer.close();
    this.consumers.clear();
    this.#schedules.close();
    this.#stopExpiry?.();
  }

  // --- storing and removing

  #append(write: AcceptedWrite): StoredRecord {
    const { subject, headers, data, rollup, cancels, dueAt, timeToLiveMs } = write;
    const { maxPerSubject } = this.settings;
    const before = this.store.last(subject)?.sequence ?? 0;
    const now = Math.round(this.#host.clock.now() * MICROSECONDS) / MICROSECONDS;
    this.#timeMs = Math.max(now, this.#timeMs + 1 / MICROSECONDS);
    const sequence = this.store.lastSequence + 1;
    const record = { sequence, timeMs: this.#timeMs, subject, headers, data };
    this.store.append(record);
    this.#replica.note(record);
    this.#host.note("stored", subject, sequence);
    if (maxPerSubject > 0) this.#enforceLimit(subject, maxPerSubject);
    if (dueAt !== undefined) this.#schedules.set(subject, sequence, dueAt);
    else if (headerValue(headers, HEADERS.scheduler) === undefined)
      this.#schedules.removeSubject(subject);
    if (timeToLiveMs > 0) this.#ends.set(sequence, record.timeMs + timeToLiveMs);
    if (timeToLiveMs > 0 || this.settings.maxAgeMs > 0) this.#armExpiry();
    if (rollup === "sub") this.purge({ pattern: subject, keep: 1 });
    if (rollup === "all") this.purge({ keep: 1 });
    if (cancels !== undefined) this.purge({ pattern: cancels });
    this.#republish(record, before);
    return record;
  }

  #enforceLimit(subject: string, most: number): void {
    const sequences = this.store.sequencesOf(subject);
    while (sequences.length > most) this.delete(sequences[0] as number);
  }

  #republish(record: StoredRecord, before: number): void {
    const { sequence, subject, timeMs } = record;
    const destination = republishedTo(this.settings, subject);
    if (destination === undefined) return;
    const isHeadersOnly = this.settings.republish?.isHeadersOnly === true;
    const headers = withHeaders(record.headers, {
      ...messageHeaders(this.name, { subject, sequence, timeMs }),
      "Nats-Last-Sequence": before,
      ...(isHeadersOnly ? { "Nats-Msg-Size": record.data.length } : {}),
    });
    const data = isHeadersOnly ? NOTHING : record.data;
    this.#host.send(destination, { subject: destination, headers, data });
  }

  #remove(sequence: number): StoredRecord | undefined {
    const record = this.store.remove(sequence);
    if (!record) return undefined;
    this.#replica.note(sequence);
    this.#ends.delete(sequence);
    this.#schedules.remove(record.subject, sequence);
    return record;
  }

  /**
   * Consumers count anew when several messages are gone. A single one they are told of by what was
   * purged: by a wildcard, those that do not follow it in these very words learn nothing.
   * @returns Acknowledges it for those that hold it.
   */
  #removeAll(sequences: readonly number[], pattern: string): () => void {
    const records = sequences.flatMap((sequence) => this.#remove(sequence) ?? []);
    const [only] = records;
    const acknowledge: (() => void)[] = [];
    for (const consumer of this.consumers.values())
      if (records.length > 1) consumer.noteRemovedMany();
      else if (only && consumer.settings.filter.matches(pattern))
        acknowledge.push(consumer.noteRemoved({ ...only, subject: pattern }));
    return () => {
      for (const each of acknowledge) each();
    };
  }

  #firstOf(pattern: string): number {
    let first = 0;
    for (const subject of this.store.subjects(pattern)) {
      const sequence = this.store.sequencesOf(subject)[0] ?? 0;
      if (first === 0 || sequence < first) first = sequence;
    }
    return first;
  }

  // --- schedules

  #fire(sequence: number): void {
    const record = this.store.get(sequence);
    const target = record && headerValue(record.headers, HEADERS.scheduleTarget);
    if (!record || target === undefined) return;
    const { subject, data } = record;
    const fault = this.#host.faults.fire({ stream: this.name, subject });
    if (fault === "refused") {
      this.#host.note("firing refused", subject, sequence);
      return;
    }
    const timeToLive = headerValue(record.headers, "Nats-Schedule-TTL");
    const rollup = headerValue(record.headers, "Nats-Schedule-Rollup");
    const kept = withoutHeaders(record.headers, isNotFired);
    const headers = withHeaders(kept, {
      [HEADERS.scheduler]: subject,
      [HEADERS.scheduleNext]: "purge",
      ...(timeToLive === undefined ? {} : { [HEADERS.timeToLive]: timeToLive }),
      ...(rollup === undefined ? {} : { [HEADERS.rollup]: rollup }),
    });
    for (let times = fault === "repeated" ? 2 : 1; times > 0; times--)
      this.write({ subject: target, headers, data });
  }

  /** The server finds every stored schedule, also one that a plain message has ended before. */
  #recoverSchedules(): void {
    for (const subject of this.store.subjects(">"))
      for (const sequence of this.store.sequencesOf(subject)) {
        const record = this.store.get(sequence) as StoredRecord;
        if (headerValue(record.headers, HEADERS.schedule) === undefined) continue;
        const { headers, data } = record;
        const checked = checkWrite(this.settings, new MessageStore(), {
          subject,
          headers: withoutHeaders(headers, (name) => name.startsWith("Nats-Expected-")),
          data,
        });
        if (checked.ok && checked.write.dueAt !== undefined)
          this.#schedules.set(subject, sequence, checked.write.dueAt);
      }
  }

  // --- time

  #armExpiry(): void {
    const { maxAgeMs } = this.settings;
    const { clock } = this.#host;
    let next = Math.min(Number.POSITIVE_INFINITY, ...this.#ends.values());
    const oldest = this.store.get(this.store.firstSequence);
    if (maxAgeMs > 0 && oldest) next = Math.min(next, oldest.timeMs + maxAgeMs);
    if (this.#expiryAt <= next) return;
    this.#stopExpiry?.();
    this.#expiryAt = next;
    this.#stopExpiry = clock.after(next - clock.now(), () => {
      this.#expiryAt = Number.POSITIVE_INFINITY;
      this.#expire();
      this.#armExpiry();
    });
  }

  #expire(): void {
    const { maxAgeMs } = this.settings;
    const now = this.#host.clock.now();
    const over = [...this.#ends]
      .filter(([, endsAt]) => endsAt <= now)
      .map(([sequence]) => sequence);
    if (maxAgeMs > 0)
      for (let { firstSequence: at } = this.store; at <= this.store.lastSequence; at++) {
        const record = this.store.get(at);
        if (record && record.timeMs + maxAgeMs > now) break;
        if (record && !this.#ends.has(at)) over.push(at);
      }
    for (const sequence of over.sort((a, b) => a - b)) this.#end(sequence);
  }

  /** Removes a message whose time is over; a marker takes the place of a subject's last one. */
  #end(sequence: number): void {
    const { markerMs } = this.settings;
    const record = this.store.get(sequence);
    if (!record) return;
    const { subject, headers } = record;
    const isLast = this.store.sequencesOf(subject).length === 1;
    const isMarker = headerValue(headers, "Nats-Marker-Reason") !== undefined;
    if (markerMs <= 0 || !isLast || isMarker) {
      this.delete(sequence);
      return;
    }
    const reason = withHeader("", "Nats-Marker-Reason", "MaxAge");
    const marker = withHeaders(reason, {
      [HEADERS.timeToLive]: `${markerMs / 1e3}s`,
      [HEADERS.rollup]: "sub",
    });
    this.write({ subject, headers: marker, data: NOTHING });
  }
}

/** What a schedule has and its firing has not. */
function isNotFired(name: string): boolean {
  return (
    name.startsWith("Nats-Schedule") ||
    name.startsWith("Nats-Expected-") ||
    name === "Nats-Msg-Id" ||
    name === HEADERS.timeToLive ||
    name === HEADERS.rollup
  );
}
