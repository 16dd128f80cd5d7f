/** The pull requests that wait at a consumer, served in turn. */
import { statusHeaders } from "./header-text.ts";

/** One request that waits. */
export interface WaitingRequest {
  /** Where its messages and its end go. */
  readonly inbox: string;
  /** How many messages it is still to get. */
  left: number;
  /** How many it got. */
  delivered: number;
  /** How many bytes it may still get; 0 for any number. */
  bytes: number;
  readonly isNoWait: boolean;
  /** When it ends by itself, in milliseconds; nothing when it does not. */
  readonly expiresAt: number | undefined;
  readonly heartbeatMs: number;
  heartbeatAt: number;
}

/** What happens to requests. */
export interface RequestEvents {
  /** Whether somebody listens there. */
  hasInterest(inbox: string): boolean;
  send(inbox: string, headers: string): void;
  heartbeat(inbox: string): void;
}

/** Requests in the order in which they are served. */
export class PullRequests {
  readonly #events: RequestEvents;
  readonly #isReplicated: boolean;
  #queue: WaitingRequest[] = [];

  /** @param isReplicated Whether deliveries are replicated before they are sent. */
  constructor(events: RequestEvents, isReplicated: boolean) {
    this.#events = events;
    this.#isReplicated = isReplicated;
  }

  get count(): number {
    return this.#queue.length;
  }

  /** How many messages all of them ask for. */
  get messagesAskedFor(): number {
    return this.#queue.reduce((sum, { left }) => sum + left, 0);
  }

  add(request: WaitingRequest): void {
    this.#queue.push(request);
  }

  /** Drops all of them, with a word to each. */
  endAll(headers: string | undefined): void {
    const queue = this.#queue;
    this.#queue = [];
    if (headers !== undefined) for (const { inbox } of queue) this.#events.send(inbox, headers);
  }

  /** The request that gets the next message, of this size; it moves to the end of the queue. */
  take(size: number, now: number): WaitingRequest | undefined {
    for (let head = this.#queue[0]; head !== undefined; head = this.#queue[0]) {
      if (head.expiresAt !== undefined && now >= head.expiresAt)
        this.#end(head, "408 Request Timeout");
      else if (head.bytes > 0 && size > head.bytes)
        this.#end(head, "409 Message Size Exceeds MaxBytes");
      else if (!this.#events.hasInterest(head.inbox)) this.#queue.shift();
      else return this.#serve(head, size, now);
    }
    return undefined;
  }

  /**
   * Ends what is over, and shows life where it was asked for.
   * @param isAtEnd There is nothing to deliver: who does not want to wait need not.
   */
  sweep(now: number, isAtEnd: boolean): void {
    for (const request of [...this.#queue]) {
      const isExpired = request.expiresAt !== undefined && now > request.expiresAt;
      const isServed = request.expiresAt === undefined || request.delivered > 0;
      const isOver = isAtEnd && request.isNoWait && isServed;
      // Its messages are being replicated, so it is told how many they are.
      if (isExpired || (isOver && this.#isReplicated && request.delivered > 0))
        this.#end(request, "408 Request Timeout");
      else if (isOver) {
        this.#drop(request);
        this.#events.send(request.inbox, statusHeaders("404 No Messages"));
      } else if (!this.#events.hasInterest(request.inbox)) this.#drop(request);
      else if (request.heartbeatMs > 0 && now > request.heartbeatAt) {
        this.#events.heartbeat(request.inbox);
        request.heartbeatAt = now + request.heartbeatMs;
      }
    }
  }

  /** When to sweep next, if ever. */
  get nextSweepAt(): number {
    let next = Number.POSITIVE_INFINITY;
    for (const { expiresAt, heartbeatMs, heartbeatAt } of this.#queue) {
      if (expiresAt !== undefined) next = Math.min(next, expiresAt);
      if (heartbeatMs > 0) next = Math.min(next, heartbeatAt);
    }
    return next;
  }

  #serve(head: WaitingRequest, size: number, now: number): WaitingRequest {
    if (head.bytes > 0) {
      head.bytes -= size;
      if (head.bytes === 0) head.left = 1;
    }
    head.delivered++;
    head.left--;
    this.#queue.shift();
    if (head.left > 0) {
      this.#queue.push(head);
      head.heartbeatAt = now + head.heartbeatMs;
    }
    return head;
  }

  #end(request: WaitingRequest, status: string): void {
    this.#drop(request);
    const { inbox, left, bytes } = request;
    const pending = { "Nats-Pending-Messages": left, "Nats-Pending-Bytes": bytes };
    this.#events.send(inbox, statusHeaders(status, pending));
  }

  #drop(request: WaitingRequest): void {
    this.#queue = this.#queue.filter((other) => other !== request);
  }
}

/** Reads the body of a request; a text is the status with which it is refused. */
export function readPullRequest(inbox: string, body: string, now: number): WaitingRequest | string {
  const shape = parseBody(body.trim());
  if (shape === undefined) return "400 Bad Request - invalid JSON";
  const { batch = 0, expires = 0, idle_heartbeat: heartbeat = 0, max_bytes: bytes = 0 } = shape;
  if (heartbeat * 2 > expires) return "400 Bad Request - heartbeat value too large";
  const heartbeatMs = heartbeat / 1e6;
  return {
    inbox,
    left: batch <= 0 ? 1 : batch,
    delivered: 0,
    bytes,
    isNoWait: shape.no_wait === true,
    expiresAt: expires === 0 ? undefined : now + expires / 1e6,
    heartbeatMs,
    heartbeatAt: now + heartbeatMs,
  };
}

interface PullShape {
  readonly batch?: number;
  readonly expires?: number;
  readonly idle_heartbeat?: number;
  readonly max_bytes?: number;
  readonly no_wait?: boolean;
}

/** A request is JSON, a number of messages, or nothing for one. */
function parseBody(body: string): PullShape | undefined {
  if (!body.startsWith("{")) return { batch: Number.parseInt(body, 10) || 1 };
  try {
    return JSON.parse(body) as PullShape;
  } catch {
    return undefined;
  }
}
