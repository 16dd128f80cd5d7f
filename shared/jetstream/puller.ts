/**
 * Requests messages from a durable pull consumer.
 *
 * U1. Every request ends exactly once, also when the server, its leader or the connection is gone.
 * U2. A message is handed over under the request it answers, and never after that request's end.
 *
 * A delivered message does not say which request it answers, and the server serves waiting requests
 * in turn. So each open request has an inbox of its own, a lane. A lane is used again after an end
 * the server confirmed, and dropped after any other, since its messages might still come.
 *
 * A replicated consumer sends a message only when a majority knows of the delivery, and the end of a
 * request at once, so the end overtakes messages. It says how many of them there are.
 */
import type { Msg, Subscription } from "@nats-io/transport-node";
import { Delivered, parseDelivery } from "./delivery.ts";
import { headersOf } from "./headers.ts";
import { whyForbidden } from "./permissions.ts";
import {
  endReason,
  heartbeatFor,
  isConfirmed,
  type PullEndReason,
  type PullRequest,
  requestBody,
} from "./pull-request.ts";
import { Sweep } from "./sweep.ts";
import { listen, type StopListening, type Wire } from "./wire.ts";

export type { PullEnd, PullEndReason, PullRequest } from "./pull-request.ts";

/** Which consumer to pull from. */
export interface PullerOptions {
  readonly stream: string;
  readonly consumer: string;
}

interface Lane {
  readonly subject: string;
  readonly subscription: Subscription;
  open: Open | undefined;
}

interface Open {
  readonly request: PullRequest;
  readonly requestedAt: number;
  readonly expiresAt: number;
  readonly heartbeatMs: number;
  lane: Lane | undefined;
  heardAt: number;
  received: number;
  /** The server has ended the request, but not all it sent before is here. */
  ending: Ending | undefined;
}

interface Ending {
  readonly reason: PullEndReason;
  readonly description: string;
  /** How many messages the server has sent for the request. */
  readonly sent: number;
  readonly deadlineAt: number;
}

const SWEEP_INTERVAL_MS = 100;
/** How much longer than the server we wait for the end of a request. */
const GRACE_MS = 1_000;
/** How long to wait for messages that the end of their request has overtaken. */
const SETTLE_MS = 2_000;
/** Missing so many heartbeats in a row means that the request is lost. */
const MISSED_HEARTBEATS = 2.5;
/** Status of a message that only shows that the request lives. */
const HEARTBEAT = 100;

/** The requests of one process to one consumer. */
export class Puller {
  readonly #wire: Wire;
  readonly #subject: string;
  readonly #inbox: string;
  readonly #sweep: Sweep;
  readonly #open = new Set<Open>();
  readonly #stopListening: StopListening[];
  #freeLanes: Lane[] = [];
  #laneCount = 0;
  #isClosed = false;

  constructor(wire: Wire, { stream, consumer }: PullerOptions) {
    this.#wire = wire;
    this.#subject = `$JS.API.CONSUMER.MSG.NEXT.${stream}.${consumer}`;
    this.#inbox = `${wire.inboxPrefix}u${nextPullerNumber()}.`;
    this.#sweep = new Sweep(wire.clock, SWEEP_INTERVAL_MS, (now) => this.#expire(now));
    this.#stopListening = [
      wire.onDisconnect(() => this.#dropLanes()),
      wire.onReconnect(() => this.#endAll("reconnected")),
      wire.onForbidden((subject) => {
        if (subject === this.#subject) this.#endAll("forbidden", whyForbidden(subject));
      }),
      wire.onClose(() => this.#end("closed")),
    ];
  }

  /** How many requests are open. */
  get openCount(): number {
    return this.#open.size;
  }

  /**
   * Asks for messages. While the connection is down the request is not sent and ends as
   * "reconnected" when it stands again.
   */
  request(request: PullRequest): void {
    const now = this.#wire.clock.monotonic();
    const open: Open = {
      request,
      requestedAt: now,
      expiresAt: now + request.expiresMs + GRACE_MS,
      heartbeatMs: heartbeatFor(request),
      lane: undefined,
      heardAt: now,
      received: 0,
      ending: undefined,
    };
    this.#open.add(open);
    if (this.#isClosed || this.#wire.nc.isClosed()) {
      queueMicrotask(() => this.#finish(open, "closed"));
      return;
    }
    if (!this.#wire.isConnected) return;
    const lane = this.#freeLanes.pop() ?? this.#newLane();
    lane.open = open;
    open.lane = lane;
    this.#wire.nc.publish(this.#subject, requestBody(request), { reply: lane.subject });
    this.#sweep.wake();
  }

  /**
   * Takes no more messages, except those that are on their way, and ends all requests as "closed".
   * Messages already handed over are not touched. Safe to repeat.
   */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    const lanes = [...this.#freeLanes, ...[...this.#open].flatMap(({ lane }) => lane ?? [])];
    this.#freeLanes = [];
    await Promise.all(lanes.map(({ subscription }) => subscription.drain().catch(() => {})));
    this.#end("closed");
  }

  /** The same at once: what is on its way is not received and will be delivered again. */
  discard(): void {
    for (const lane of this.#freeLanes.splice(0)) lane.subscription.unsubscribe();
    this.#end("closed");
  }

  #end(reason: PullEndReason): void {
    this.#isClosed = true;
    for (const stop of this.#stopListening.splice(0)) stop();
    this.#sweep.stop();
    this.#endAll(reason);
  }

  #newLane(): Lane {
    const subject = `${this.#inbox}${(this.#laneCount++).toString(36)}`;
    const lane: Lane = {
      subject,
      open: undefined,
      subscription: listen(this.#wire.nc, subject, (message) => this.#receive(lane, message)),
    };
    return lane;
  }

  #receive(lane: Lane, message: Msg): void {
    const { open } = lane;
    if (open === undefined) return;
    const receivedAt = this.#wire.clock.monotonic();
    open.heardAt = receivedAt;
    const info = parseDelivery(message.reply ?? "");
    if (info === undefined) {
      this.#receiveStatus(open, message);
      return;
    }
    open.received++;
    const times = { requestedAt: open.requestedAt, receivedAt };
    open.request.onMessage(new Delivered(this.#wire.nc, message, info, times));
    const { ending } = open;
    if (open.received >= open.request.batch) this.#finish(open, "complete");
    else if (ending !== undefined && open.received >= ending.sent)
      this.#finish(open, ending.reason, ending.description);
  }

  #receiveStatus(open: Open, message: Msg): void {
    const headers = headersOf(message);
    const { status } = headers;
    if (status === HEARTBEAT) {
      open.request.onHeartbeat?.({
        consumerSequence: Number(headers.last("Nats-Last-Consumer") ?? 0),
        streamSequence: Number(headers.last("Nats-Last-Stream") ?? 0),
      });
      return;
    }
    const { description } = headers;
    const reason = endReason(status, description);
    const left = headers.last("Nats-Pending-Messages");
    const sent = left === undefined ? 0 : open.request.batch - Number(left);
    if (sent <= open.received || !isConfirmed(reason)) {
      this.#finish(open, reason, description);
      return;
    }
    open.ending = { reason, description, sent, deadlineAt: open.heardAt + SETTLE_MS };
  }

  #finish(open: Open, reason: PullEndReason, description = ""): void {
    if (!this.#open.delete(open)) return;
    const { lane, request, received } = open;
    if (lane !== undefined) {
      lane.open = undefined;
      const isWhole = open.ending === undefined || received >= open.ending.sent;
      if (isConfirmed(reason) && isWhole && !this.#isClosed) this.#freeLanes.push(lane);
      else lane.subscription.unsubscribe();
    }
    request.onEnd({ missing: Math.max(request.batch - received, 0), reason, description });
  }

  #expire(now: number): boolean {
    for (const open of this.#open) {
      if (open.lane === undefined) continue;
      const { ending } = open;
      if (ending !== undefined && now >= ending.deadlineAt)
        this.#finish(open, ending.reason, ending.description);
      const silence = open.heartbeatMs === 0 ? Infinity : open.heartbeatMs * MISSED_HEARTBEATS;
      if (now >= open.expiresAt || now - open.heardAt > silence) this.#finish(open, "lost");
    }
    return this.#open.size > 0;
  }

  /**
   * The servers of a cluster may keep a request although its client is gone, and serve it when
   * somebody listens to its inbox again. So nobody must.
   */
  #dropLanes(): void {
    for (const lane of this.#freeLanes.splice(0)) lane.subscription.unsubscribe();
    for (const open of this.#open) {
      open.lane?.subscription.unsubscribe();
      open.lane = undefined;
    }
  }

  #endAll(reason: PullEndReason, description = ""): void {
    for (const open of [...this.#open]) this.#finish(open, reason, description);
  }
}

let pullerCount = 0;

function nextPullerNumber(): string {
  return (pullerCount++).toString(36);
}
