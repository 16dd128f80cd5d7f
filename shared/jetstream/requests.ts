/**
 * Requests with one or many replies over one shared inbox. All of them are reads or safe to repeat,
 * so silence is answered by asking again, for a bounded time.
 */
import type { Msg } from "@nats-io/transport-node";
import type { Clock } from "../clock.ts";
import { UnavailableError } from "../errors.ts";
import { Backoff, pause } from "./backoff.ts";
import { headersOf, type ReceivedHeaders } from "./headers.ts";
import { mayNotPublish } from "./permissions.ts";
import { Sweep } from "./sweep.ts";
import { listen, type Wire } from "./wire.ts";

/** One reply, or one of many. */
export interface Reply {
  readonly data: Uint8Array;
  readonly headers: ReceivedHeaders;
}

/** What one try of a request came to. */
export type Answer = "done" | "silence" | "no-responders" | "disconnected" | "again" | "aborted";

/** A request that is repeated until it is answered. */
export interface RequestOptions {
  readonly subject: string;
  readonly payload: Uint8Array | string;
  /** What is asked for, for the error message: `the last message of "x"`. */
  readonly what: string;
  /** Called before each try: forget the replies of the one before. */
  begin?(): void;
  /**
   * Takes one reply: "more" when others follow, "done" when it was the last, "again" when the
   * server could not answer now. A throw ends the request with that error.
   */
  receive(reply: Reply): "more" | "done" | "again";
  /** How long to go on trying. Default 12,000, which rides out the loss of a stream's leader. */
  readonly withinMs?: number;
  /** Silence for so long means that the try failed. Default 2,000. */
  readonly silenceMs?: number;
  readonly signal?: AbortSignal;
}

interface Open {
  readonly subject: string;
  readonly what: string;
  deadlineAt: number;
  readonly silenceMs: number;
  receive(reply: Reply): "more" | "done" | "again";
  end(answer: Answer, error?: unknown): void;
}

const WITHIN_MS = 12_000;
const SILENCE_MS = 2_000;
const SWEEP_INTERVAL_MS = 100;
const RETRY_PAUSES = { shortestMs: 20, longestMs: 500 };

/** Sends requests over one connection. */
export class Requests {
  readonly #wire: Wire;
  readonly #inbox: string;
  readonly #open = new Map<string, Open>();
  readonly #sweep: Sweep;
  #tokens = 0;
  #isClosed = false;

  constructor(wire: Wire) {
    this.#wire = wire;
    this.#inbox = `${wire.inboxPrefix}r.`;
    this.#sweep = new Sweep(wire.clock, SWEEP_INTERVAL_MS, (now) => this.#expire(now));
    listen(wire.nc, `${this.#inbox}*`, (message) => this.#dispatch(message));
    wire.onDisconnect(() => this.#endAll("disconnected"));
    wire.onForbidden((subject) => this.#forbid(subject));
    wire.onClose(() => {
      this.#isClosed = true;
      this.#endAll("disconnected");
      this.#sweep.stop();
    });
  }

  /** The clock of the connection. */
  get clock(): Clock {
    return this.#wire.clock;
  }

  /**
   * Asks until there is an answer.
   * @throws {UnavailableError} When there was none within the time, or the connection is closed.
   * @throws {NotPermittedError} When the server does not let this user ask.
   */
  async ask(options: RequestOptions): Promise<void> {
    const { clock } = this.#wire;
    const { withinMs = WITHIN_MS, signal } = options;
    const deadlineAt = clock.monotonic() + withinMs;
    const backoff = new Backoff(RETRY_PAUSES);
    for (;;) {
      options.begin?.();
      const answer = signal?.aborted ? "aborted" : await this.#try(options);
      if (answer === "done") return;
      const pauseMs = backoff.next();
      const isOver = this.#isClosed || clock.monotonic() + pauseMs > deadlineAt;
      if (isOver || answer === "aborted") throw this.#unanswered(options, answer);
      await pause(clock, pauseMs, signal);
    }
  }

  #unanswered({ what, withinMs = WITHIN_MS }: RequestOptions, answer: Answer): UnavailableError {
    if (answer === "aborted") return new UnavailableError(`Asking for ${what} was given up.`);
    const why = {
      done: "",
      silence: "there was no reply",
      "no-responders": "no server answers for it: it does not exist, or has no leader now",
      disconnected: this.#isClosed ? "the connection is closed" : "the connection is down",
      again: "the server could not answer now",
    }[answer];
    return new UnavailableError(`Asked for ${what} for ${withinMs} ms: ${why}.`, { what, answer });
  }

  #try(options: RequestOptions): Promise<Answer> {
    const { subject, payload, what, receive, silenceMs = SILENCE_MS, signal } = options;
    if (this.#isClosed || !this.#wire.isConnected) return Promise.resolve("disconnected");
    const token = (this.#tokens++).toString(36);
    return new Promise((resolve, reject) => {
      const abort = (): void => end("aborted");
      const end = (answer: Answer, error?: unknown): void => {
        this.#open.delete(token);
        signal?.removeEventListener("abort", abort);
        if (error === undefined) resolve(answer);
        else reject(error);
      };
      this.#wire.nc.publish(subject, payload, { reply: this.#inbox + token });
      const deadlineAt = this.#wire.clock.monotonic() + silenceMs;
      this.#open.set(token, { subject, what, deadlineAt, silenceMs, receive, end });
      signal?.addEventListener("abort", abort);
      this.#sweep.wake();
    });
  }

  #dispatch(message: Msg): void {
    const open = this.#open.get(message.subject.slice(this.#inbox.length));
    if (open === undefined) return;
    const headers = headersOf(message);
    const { data } = message;
    if (data.length === 0 && headers.status === 503) {
      open.end("no-responders");
      return;
    }
    try {
      const next = open.receive({ data, headers });
      if (next === "more") open.deadlineAt = this.#wire.clock.monotonic() + open.silenceMs;
      else open.end(next);
    } catch (error) {
      open.end("done", error);
    }
  }

  #expire(now: number): boolean {
    for (const open of this.#open.values()) if (open.deadlineAt <= now) open.end("silence");
    return this.#open.size > 0;
  }

  /** The server does not say which message it means: all with the subject are forbidden alike. */
  #forbid(subject: string): void {
    for (const open of this.#open.values())
      if (open.subject === subject)
        open.end("done", mayNotPublish(subject, `Asking for ${open.what} is not permitted`));
  }

  #endAll(answer: Answer): void {
    for (const open of this.#open.values()) open.end(answer);
  }
}
