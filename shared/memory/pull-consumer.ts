/**
 * A pull consumer: delivers what matches, in order, and again what is not acknowledged in time. What
 * is to be delivered again comes before what is new.
 */
import type { CancelTimer, Clock } from "../clock.ts";
import type { ConsumerSettings } from "./consumer-settings.ts";
import type { DeliveryFault } from "./faults.ts";
import { statusHeaders, withHeader } from "./header-text.ts";
import type { MessageStore, StoredRecord } from "./message-store.ts";
import { PullRequests, readPullRequest, type WaitingRequest } from "./pull-requests.ts";
import { Unacknowledged } from "./unacknowledged.ts";

/** What a consumer needs of its stream. */
export interface ConsumerHost {
  readonly clock: Clock;
  readonly stream: string;
  readonly replicas: number;
  readonly store: MessageStore;
  /** Sends to whoever listens to `inbox`. */
  send(inbox: string, message: OutgoingMessage): void;
  hasInterest(inbox: string): boolean;
  /** What goes wrong with a delivery, if anything does. */
  faultOf(consumer: string, sequence: number): DeliveryFault | undefined;
  /** Nobody has asked for anything for too long. */
  onIdle(): void;
}

/** A message as its receiver sees it. */
export interface OutgoingMessage {
  readonly subject: string;
  readonly reply?: string;
  readonly headers: string;
  readonly data: Uint8Array;
}

const NOTHING = new Uint8Array(0);

/** One consumer of one stream. */
export class PullConsumer {
  readonly settings: ConsumerSettings;
  readonly createdAt: number;
  readonly requests: PullRequests;
  readonly unacknowledged: Unacknowledged;
  readonly #host: ConsumerHost;
  /** Last messages of their subjects, which are delivered first. */
  readonly #lasts: number[] = [];
  #nextStream: number;
  #nextConsumer = 1;
  /** Messages that match and were never delivered. */
  #unseen = 0;
  /** They are counted up to here; what was stored later is added when it is noticed. */
  #countedTo = 0;
  #activeAt: number;
  #isRunning = false;
  #isClosed = false;
  #sweepAt = Number.POSITIVE_INFINITY;
  #stopSweep: CancelTimer | undefined;
  #stopIdle: CancelTimer | undefined;

  constructor(settings: ConsumerSettings, host: ConsumerHost) {
    this.settings = settings;
    this.#host = host;
    const { clock, store } = host;
    this.createdAt = clock.now();
    this.#activeAt = this.createdAt;
    const events = {
      hasInterest: (inbox: string) => host.hasInterest(inbox),
      send: (inbox: string, headers: string) => this.#sendStatus(inbox, headers),
      heartbeat: (inbox: string) => this.#heartbeat(inbox),
    };
    this.requests = new PullRequests(events, host.replicas > 1 && settings.replicas !== 1);
    this.#nextStream = this.#start();
    this.unacknowledged = new Unacknowledged({
      clock,
      ackWaitMs: settings.ackWaitMs,
      floors: { consumer: 0, stream: this.#nextStream - 1 },
      next: () => ({ consumer: this.#nextConsumer, stream: this.#nextStream }),
      firstSequence: () => store.firstSequence,
      onExpired: () => this.#run(),
    });
    this.#count();
    if (settings.inactiveMs > 0) this.#armIdle(settings.inactiveMs);
  }

  /** What it says about itself, in the server's words. Saying it, it corrects its count. */
  info(): Readonly<Record<string, unknown>> {
    const { count: stored, lastSequence } = this.#host.store;
    const most = Math.max(Math.min(stored, lastSequence - this.#nextStream + 1), 0);
    this.#unseen = Math.min(this.#unseen, most);
    const { floors, count, repeatedCount } = this.unacknowledged;
    return {
      delivered: { consumer_seq: this.#nextConsumer - 1, stream_seq: this.#nextStream - 1 },
      ack_floor: { consumer_seq: floors.consumer, stream_seq: floors.stream },
      num_ack_pending: count,
      num_redelivered: repeatedCount,
      num_waiting: this.requests.count,
      num_pending: Math.max(this.#unseen, 0),
    };
  }

  /** Takes a request for messages. */
  request(inbox: string, body: string): void {
    const now = this.#host.clock.now();
    const request = readPullRequest(inbox, body, now);
    const { maxBatch, maxWaiting } = this.settings;
    if (typeof request === "string") this.#refuse(inbox, request);
    else if (maxBatch > 0 && request.left > maxBatch)
      this.#refuse(inbox, `409 Exceeded MaxRequestBatch of ${maxBatch}`);
    else if (request.isNoWait && this.#isRefusedNow(request)) this.#activeAt = now;
    else if (this.requests.count >= maxWaiting) {
      // Who expects heartbeats notices without being told.
      if (request.heartbeatMs === 0) this.#refuse(inbox, "409 Exceeded MaxWaiting");
    } else {
      this.#activeAt = now;
      this.requests.add(request);
      this.#run();
    }
  }

  /**
   * Takes an answer to a delivery, which is named by its sequences.
   * @returns Whether who asked for a reply gets one.
   */
  answer(delivery: { stream: number; consumer: number }, body: string): boolean {
    const { stream, consumer } = delivery;
    const isDelivered = stream < this.#nextStream;
    if (body === "+WPI") this.unacknowledged.progress(stream);
    else if (body.startsWith("-NAK")) {
      const delayMs = readDelay(body.slice("-NAK".length).trim());
      if (this.unacknowledged.giveBack(stream, consumer, delayMs)) this.#run();
    } else {
      // +ACK, nothing, +OK, +TERM and +NXT, which is not used with a request here.
      this.unacknowledged.acknowledge(stream);
      this.#run();
      return isDelivered;
    }
    return true;
  }

  /** A message was stored. */
  noteStored({ sequence, subject }: StoredRecord): void {
    if (!this.settings.filter.matches(subject)) return;
    if (sequence > this.#countedTo) this.#unseen++;
    this.#run();
  }

  /**
   * One message was removed.
   * @returns Acknowledges it, if it is held: the server does so a moment later.
   */
  noteRemoved({ sequence, subject }: StoredRecord): () => void {
    if (sequence >= this.#nextStream && this.settings.filter.matches(subject)) this.#unseen--;
    if (this.unacknowledged.isHeld(sequence))
      return () => this.unacknowledged.acknowledge(sequence);
    this.unacknowledged.forget(sequence);
    return () => {};
  }

  /** Several messages were removed at once. */
  noteRemovedMany(): void {
    this.#count();
    this.unacknowledged.forgetRepeatsBelow(this.#host.store.firstSequence);
  }

  /**
   * Everything that it follows was purged up to `first`, 0 when nothing is left.
   * @param isWider It follows more than what was purged.
   */
  notePurged(first: number, isWider: boolean): void {
    const { store } = this.#host;
    const start = first === 0 && !isWider ? store.lastSequence + 1 : first;
    this.#nextStream = Math.max(this.#nextStream, start);
    this.unacknowledged.purge(start, (sequence) => isWider && !store.get(sequence));
  }

  /** Delivers a message again although it is held. For faults. */
  deliverAgain(sequence: number): void {
    if (this.unacknowledged.deliverAgain(sequence)) this.#run();
  }

  /** Ends all requests: with a word, as after a change of the leader, or without, as after a crash. */
  interrupt(status: string | undefined): void {
    this.requests.endAll(status === undefined ? undefined : statusHeaders(status));
  }

  /** Ends it for good. */
  close(): void {
    this.#isClosed = true;
    this.interrupt("409 Consumer Deleted");
    this.unacknowledged.close();
    this.#stopSweep?.();
    this.#stopIdle?.();
  }

  // --- delivering

  #start(): number {
    const { deliver, startSequence, filter } = this.settings;
    const { firstSequence, lastSequence } = this.#host.store;
    if (deliver === "last_per_subject") {
      const patterns = filter.patterns.length === 0 ? [">"] : filter.patterns;
      this.#lasts.push(...this.#host.store.lasts(patterns, lastSequence));
      return this.#lasts[0] ?? lastSequence + 1;
    }
    if (deliver === "by_start_sequence") return Math.max(startSequence, firstSequence, 1);
    return deliver === "new" ? lastSequence + 1 : Math.max(firstSequence, 1);
  }

  /** Delivers what there is to those who wait. */
  #run(): void {
    if (this.#isRunning || this.#isClosed) return;
    this.#isRunning = true;
    let isStalled = false;
    while (this.requests.count > 0) {
      const next = this.#next();
      isStalled = next === "stalled";
      if (typeof next === "string" || !this.#deliver(next.record, next.count)) break;
    }
    this.requests.sweep(this.#host.clock.now(), !isStalled);
    this.#isRunning = false;
    this.#armSweep();
  }

  #next(): { record: StoredRecord; count: number } | "stalled" | "end" {
    const { store } = this.#host;
    const { maxAckPending, filter } = this.settings;
    const held = this.unacknowledged;
    for (let again = held.takeQueued(); again !== undefined; again = held.takeQueued()) {
      const record = store.get(again);
      if (record) return { record, count: held.repeat(again) };
      if (held.isHeld(again)) held.acknowledge(again);
    }
    if (maxAckPending > 0 && held.count >= maxAckPending) return "stalled";
    for (let last = this.#lasts.shift(); last !== undefined; last = this.#lasts.shift()) {
      const record = store.get(last);
      const isFinal = this.#lasts.length === 0;
      this.#nextStream = isFinal ? Math.max(this.#nextStream, last + 1) : last + 1;
      if (record) return { record, count: 1 };
    }
    const record = store.next(filter, this.#nextStream);
    const passed = record?.sequence ?? store.lastSequence;
    this.#nextStream = Math.max(this.#nextStream, passed + 1);
    if (record) return { record, count: 1 };
    this.#unseen = 0;
    this.#countedTo = store.lastSequence;
    return "end";
  }

  #count(): void {
    const { store } = this.#host;
    const { deliver, filter } = this.settings;
    const lasts = (): number =>
      store.lasts(filter.patterns, store.lastSequence).filter((last) => last >= this.#nextStream)
        .length;
    this.#unseen =
      deliver === "last_per_subject" ? lasts() : store.countFrom(filter, this.#nextStream);
    this.#countedTo = store.lastSequence;
  }

  /** @returns Whether there was somebody to deliver it to. */
  #deliver(record: StoredRecord, count: number): boolean {
    const { clock, stream } = this.#host;
    const { name, ackPolicy, isHeadersOnly } = this.settings;
    const { sequence, timeMs, subject } = record;
    if (count === 1) this.#unseen--;
    const fault = this.#host.faultOf(name, sequence);
    const tokens = [
      ...["$JS", "ACK", stream, name, fault?.isCountForgotten ? 1 : count],
      ...[sequence, this.#nextConsumer, `${Math.round(timeMs * 1e3)}000`],
      Math.max(this.#unseen, 0),
    ];
    const reply = tokens.join(".");
    const { data, headers } = isHeadersOnly ? withoutPayload(record) : record;
    const size = subject.length + reply.length + headers.length + data.length;
    const request = this.requests.take(size, clock.now());
    if (!request) {
      this.#putBack(record, count);
      return false;
    }
    const consumerSequence = this.#nextConsumer++;
    if (ackPolicy === "explicit") this.unacknowledged.track(sequence, consumerSequence);
    else {
      this.unacknowledged.floors.consumer = consumerSequence;
      this.unacknowledged.floors.stream = sequence;
    }
    this.#activeAt = clock.now();
    this.#host.send(request.inbox, { subject, reply, headers, data });
    if (request.left <= 0 && request.bytes > 0) this.#tellRest(request);
    if (fault?.repeatAfterMs !== undefined)
      clock.after(fault.repeatAfterMs, () => this.deliverAgain(sequence));
    return true;
  }

  #putBack({ sequence }: StoredRecord, count: number): void {
    if (count > 1) this.unacknowledged.undoRepeat(sequence);
    else {
      this.#unseen++;
      if (this.#lasts.length > 0) this.#lasts.unshift(sequence);
      else this.#nextStream = sequence;
    }
  }

  #tellRest({ inbox, left, bytes }: WaitingRequest): void {
    const rest = { "Nats-Pending-Messages": left, "Nats-Pending-Bytes": bytes };
    this.#sendStatus(inbox, statusHeaders("409 Batch Completed", rest));
  }

  #heartbeat(inbox: string): void {
    const headers = statusHeaders("100 Idle Heartbeat", {
      "Nats-Last-Consumer": this.#nextConsumer - 1,
      "Nats-Last-Stream": this.#nextStream - 1,
    });
    this.#sendStatus(inbox, headers);
  }

  #sendStatus(inbox: string, headers: string): void {
    this.#host.send(inbox, { subject: inbox, headers, data: NOTHING });
  }

  #refuse(inbox: string, status: string): void {
    this.#sendStatus(inbox, statusHeaders(status));
  }

  /** Whether a request that does not want to wait is over at once; it is told so. */
  #isRefusedNow({ inbox, expiresAt }: WaitingRequest): boolean {
    const there = Math.max(this.#unseen, 0) + this.unacknowledged.queuedCount;
    if (there === 0 && expiresAt === undefined) {
      this.#refuse(inbox, "404 No Messages");
      return true;
    }
    if (there === 0) return false;
    this.requests.sweep(this.#host.clock.now(), false);
    if (there >= this.requests.messagesAskedFor) return false;
    this.#refuse(inbox, "408 Requests Pending");
    return true;
  }

  // --- timers

  #armSweep(): void {
    const at = this.requests.nextSweepAt;
    if (this.#sweepAt <= at) return;
    this.#stopSweep?.();
    this.#sweepAt = at;
    const { clock } = this.#host;
    // A request is over when its time has passed, not when it is reached.
    this.#stopSweep = clock.after(Math.max(at - clock.now(), 0) + 0.001, () => {
      this.#sweepAt = Number.POSITIVE_INFINITY;
      this.requests.sweep(clock.now(), true);
      this.#armSweep();
    });
  }

  #armIdle(delayMs: number): void {
    const { clock, onIdle } = this.#host;
    this.#stopIdle = clock.after(delayMs, () => {
      const { inactiveMs } = this.settings;
      const restMs = this.#activeAt + inactiveMs - clock.now();
      this.requests.sweep(clock.now(), true);
      if (restMs > 0) this.#armIdle(restMs);
      else if (this.requests.count > 0) this.#armIdle(inactiveMs);
      else onIdle();
    });
  }
}

function withoutPayload({ headers, data }: StoredRecord): { headers: string; data: Uint8Array } {
  return { headers: withHeader(headers, "Nats-Msg-Size", data.length), data: NOTHING };
}

/** The delay in an answer, in milliseconds; nothing when there is none that can be read. */
function readDelay(text: string): number | undefined {
  if (!text.startsWith("{")) return undefined;
  const { delay } = JSON.parse(text) as { delay?: number };
  return typeof delay === "number" ? delay / 1e6 : undefined;
}
