/**
 * Writes to streams. All acknowledgements arrive at one inbox and any number may be outstanding, so
 * a write costs one message each way and no subscription, timer or JSON of its own.
 *
 * W1. An answer of the server never throws: it is an outcome. So is the absence of one.
 * W2. "unknown" means that the write may be stored, now or later, unless `maybeStored` is false.
 * W3. A guarded write is repeated with the same guard only, so it is stored at most once.
 */
import type { Msg } from "@nats-io/transport-node";
import { InvalidInputError, LimitExceededError } from "../errors.ts";
import { HEADERS } from "../subjects.ts";
import { Backoff, pause } from "./backoff.ts";
import { asClientHeaders, encodeHeaders, type HeaderList, headersOf } from "./headers.ts";
import { whyForbidden } from "./permissions.ts";
import { type Acknowledgement, parseAcknowledgement } from "./publish-ack.ts";
import { Sweep } from "./sweep.ts";
import { listen, type Wire } from "./wire.ts";

/** Why there is no answer. */
export type UnknownReason =
  | "timeout"
  | "disconnected"
  | "no-responders"
  | "not-connected"
  | "closed";

/** The server did not say what became of the write. */
export interface UnknownOutcome {
  readonly ok: false;
  readonly kind: "unknown";
  readonly reason: UnknownReason;
  /** False when the write certainly never reached a stream: nobody listened, or it was not sent. */
  readonly maybeStored: boolean;
}

/** What became of one write. */
export type PublishOutcome = Acknowledgement | UnknownOutcome;

/** The outcome of a guarded write after its retries. */
export type GuardedOutcome = PublishOutcome & {
  /**
   * An earlier try of this call may have been stored. A refusal by the guard may then be the work
   * of that very try: read who stands behind the guard before believing to have lost.
   */
  readonly uncertain: boolean;
};

/** How a guarded write is guarded and for how long it is repeated. */
export interface GuardedOptions {
  /** The last sequence that the guard's subject must have; 0 when it must have none. */
  readonly expect: number;
  /** The guard's subject, literal. By default the subject that is written. */
  readonly expectSubject?: string;
  readonly headers?: HeaderList;
  /** How long unknown and conflicting outcomes are retried. Default 30,000. */
  readonly deadlineMs?: number;
  /** Ends the retries; the last outcome is returned. */
  readonly signal?: AbortSignal;
}

interface Message {
  readonly subject: string;
  readonly payload: Uint8Array;
  readonly headers: Uint8Array | undefined;
}

interface RepeatedMessage extends Message {
  /** No try begins later, by the monotonic clock. */
  readonly deadlineAt: number;
  readonly signal: AbortSignal | undefined;
}

interface Pending {
  readonly subject: string;
  readonly deadlineAt: number;
  settle(outcome: PublishOutcome): void;
}

/** A write without an answer after this long is unknown. A slow answer is then ignored. */
const ACK_TIMEOUT_MS = 3_000;
const SWEEP_INTERVAL_MS = 100;
const GUARDED_DEADLINE_MS = 30_000;
const RETRY_PAUSES = { shortestMs: 10, longestMs: 500 };
/** The server drops a connection whose protocol line is longer than 4,096 bytes. */
const SUBJECT_BYTES = 2_048;

/** Publishes to streams over one connection. */
export class Publisher {
  readonly #wire: Wire;
  readonly #ackTimeoutMs: number;
  readonly #inbox: string;
  readonly #pending = new Map<string, Pending>();
  readonly #sweep: Sweep;
  #tokens = 0;
  #isClosed = false;
  #whenIdle: (() => void)[] = [];

  constructor(wire: Wire, options: { readonly ackTimeoutMs?: number } = {}) {
    this.#wire = wire;
    this.#ackTimeoutMs = options.ackTimeoutMs ?? ACK_TIMEOUT_MS;
    this.#inbox = `${wire.inboxPrefix}p.`;
    this.#sweep = new Sweep(wire.clock, SWEEP_INTERVAL_MS, (now) => this.#expire(now));
    listen(wire.nc, `${this.#inbox}*`, (message) => this.#receive(message));
    wire.onDisconnect(() => this.#giveUp("disconnected"));
    wire.onForbidden((subject) => this.#forbid(subject));
    wire.onClose(() => {
      this.#isClosed = true;
      this.#giveUp("closed");
      this.#sweep.stop();
    });
  }

  /** How many writes wait for their answer. */
  get pendingCount(): number {
    return this.#pending.size;
  }

  /**
   * Writes one message and resolves with what became of it, at the latest after 3 s.
   * @throws {LimitExceededError} When it is larger than the server accepts. Nothing was sent.
   * @throws {InvalidInputError} When the subject or a header cannot be sent.
   */
  publish(subject: string, payload: Uint8Array, headers?: HeaderList): Promise<PublishOutcome> {
    try {
      const bytes = headers === undefined ? undefined : encodeHeaders(headers);
      this.#check(subject, payload, bytes);
      return this.#sent({ subject, payload, headers: bytes });
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /**
   * Writes one message only if the guard's subject still ends at `expect`. Repeats it, with the same
   * guard, while the outcome is unknown or a conflict with a write under way, until one of the two
   * is settled or the deadline has passed.
   * @throws {LimitExceededError} When it is larger than the server accepts. Nothing was sent.
   * @throws {InvalidInputError} When the subject or a header cannot be sent.
   */
  guardedPublish(
    subject: string,
    payload: Uint8Array,
    options: GuardedOptions,
  ): Promise<GuardedOutcome> {
    return new Promise((resolve) => {
      const headers = encodeHeaders(guardHeaders(options));
      this.#check(subject, payload, headers);
      const deadlineAt = this.#wire.clock.monotonic() + (options.deadlineMs ?? GUARDED_DEADLINE_MS);
      this.#send({ subject, payload, headers }, (first) => {
        if (!isWorthRetrying(first)) return resolve({ ...first, uncertain: false });
        resolve(
          this.#repeat({ subject, payload, headers, signal: options.signal, deadlineAt }, first),
        );
      });
    });
  }

  async #repeat(
    { deadlineAt, signal, ...message }: RepeatedMessage,
    first: PublishOutcome,
  ): Promise<GuardedOutcome> {
    const { clock } = this.#wire;
    const backoff = new Backoff(RETRY_PAUSES);
    let uncertain = false;
    for (let outcome = first; ; outcome = await this.#sent(message)) {
      if (!isWorthRetrying(outcome)) return { ...outcome, uncertain };
      uncertain ||= outcome.kind === "unknown" && outcome.maybeStored;
      const pauseMs = backoff.next();
      if (signal?.aborted || this.#isClosed || clock.monotonic() + pauseMs > deadlineAt)
        return { ...outcome, uncertain };
      await pause(clock, pauseMs, signal);
      if (signal?.aborted) return { ...outcome, uncertain };
    }
  }

  /** Sends a plain message. Nobody learns whether it arrives anywhere. */
  tell(subject: string, payload: Uint8Array): void {
    if (this.#isClosed || !this.#wire.isConnected) return;
    try {
      this.#wire.nc.publish(subject, payload);
    } catch {
      // the connection drains: like a message that is lost on its way
    }
  }

  /** Resolves when no write waits for its answer, which takes at most 3 s after the last one. */
  idle(): Promise<void> {
    if (this.#pending.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.#whenIdle.push(resolve));
  }

  #check(subject: string, payload: Uint8Array, headers: Uint8Array | undefined): void {
    const actual = payload.length + (headers?.length ?? 0);
    const limit = this.#wire.maxPayload;
    if (actual > limit)
      throw new LimitExceededError(
        `A message for "${subject}" has ${actual} bytes, the server accepts ${limit}. Store large values elsewhere and pass a reference, or raise max_payload on the server.`,
        { limitName: "message-bytes", limit, actual },
      );
    // UTF-8 takes at most three bytes for one UTF-16 unit, so most subjects need no counting.
    if (subject.length * 3 > SUBJECT_BYTES && Buffer.byteLength(subject) > SUBJECT_BYTES)
      throw new LimitExceededError(
        `A subject has ${Buffer.byteLength(subject)} bytes, the limit is ${SUBJECT_BYTES}: "${subject.slice(0, 60)}...".`,
        { limitName: "subject-bytes", limit: SUBJECT_BYTES, actual: Buffer.byteLength(subject) },
      );
  }

  #sent(message: Message): Promise<PublishOutcome> {
    return new Promise((resolve) => this.#send(message, resolve));
  }

  /** @throws {InvalidInputError} When the subject or a header cannot be sent. */
  #send({ subject, payload, headers }: Message, settle: (outcome: PublishOutcome) => void): void {
    if (this.#isClosed) return settle(unknown("closed"));
    // The client would keep what is published now and drop it when it dials.
    if (!this.#wire.isConnected) return settle(unknown("not-connected"));
    const token = (this.#tokens++).toString(36);
    const reply = this.#inbox + token;
    try {
      this.#wire.nc.publish(
        subject,
        payload,
        headers === undefined ? { reply } : { reply, headers: asClientHeaders(headers) },
      );
    } catch (cause) {
      if (this.#wire.nc.isClosed() || this.#wire.nc.isDraining()) return settle(unknown("closed"));
      throw new InvalidInputError(`"${subject}" cannot be published to: ${String(cause)}`, {
        cause,
      });
    }
    const deadlineAt = this.#wire.clock.monotonic() + this.#ackTimeoutMs;
    this.#pending.set(token, { subject, deadlineAt, settle });
    this.#sweep.wake();
  }

  #receive(message: Msg): void {
    const token = message.subject.slice(this.#inbox.length);
    const pending = this.#pending.get(token);
    if (pending === undefined) return;
    const { data } = message;
    if (data.length > 0) {
      const outcome = parseAcknowledgement(data);
      if (outcome !== undefined) this.#settle(token, pending, outcome);
    } else if (headersOf(message).status === 503)
      this.#settle(token, pending, unknown("no-responders"));
  }

  #settle(token: string, pending: Pending, outcome: PublishOutcome): void {
    this.#pending.delete(token);
    pending.settle(outcome);
    if (this.#pending.size === 0 && this.#whenIdle.length > 0)
      for (const resolve of this.#whenIdle.splice(0)) resolve();
  }

  /** All writes wait equally long, so the oldest come first. */
  #expire(now: number): boolean {
    for (const [token, pending] of this.#pending) {
      if (pending.deadlineAt > now) return true;
      this.#settle(token, pending, unknown("timeout"));
    }
    return false;
  }

  #giveUp(reason: UnknownReason): void {
    const outcome = { ...unknown(reason), maybeStored: true };
    for (const [token, pending] of this.#pending) this.#settle(token, pending, outcome);
  }

  #forbid(subject: string): void {
    const description = whyForbidden(subject);
    const outcome = {
      ok: false,
      kind: "refused",
      code: 0,
      description,
      isTransient: false,
      isForbidden: true,
    } as const;
    for (const [token, pending] of this.#pending)
      if (pending.subject === subject) this.#settle(token, pending, outcome);
  }
}

/** Why a write was not stored, or may not have been, as a part of a sentence. */
export function whyNotStored(outcome: Exclude<PublishOutcome, { readonly ok: true }>): string {
  switch (outcome.kind) {
    case "refused":
      return outcome.description;
    case "guard":
      return "somebody else was faster";
    case "conflict":
      return "another write was under way";
    case "unknown":
      return REASONS[outcome.reason];
  }
}

const REASONS: Readonly<Record<UnknownReason, string>> = {
  timeout: "the server did not answer in time",
  disconnected: "the connection was lost",
  "no-responders": "no stream takes it for now",
  "not-connected": "no server is connected",
  closed: "the connection is closed",
};

function guardHeaders({ expect, expectSubject, headers }: GuardedOptions): HeaderList {
  const guard: (readonly [string, string])[] = [[HEADERS.expectSequence, String(expect)]];
  if (expectSubject !== undefined) guard.push([HEADERS.expectSubject, expectSubject]);
  return headers === undefined ? guard : guard.concat(headers);
}

function unknown(reason: UnknownReason): UnknownOutcome {
  const maybeStored = reason === "timeout" || reason === "disconnected";
  return { ok: false, kind: "unknown", reason, maybeStored };
}

function isWorthRetrying(outcome: PublishOutcome): outcome is PublishOutcome & { ok: false } {
  if (outcome.ok) return false;
  return (
    outcome.kind === "unknown" ||
    outcome.kind === "conflict" ||
    (outcome.kind === "refused" && outcome.isTransient)
  );
}
