/**
 * A NATS micro service: endpoints that answer requests, and what `nats micro` asks about them. The
 * official library for this is a preview that brings an old copy of the client's core along, whose
 * headers are not those of our connection; the protocol (ADR-32) is small.
 */
import type { Clock } from "../shared/clock.ts";
import { newId } from "../shared/ids.ts";
import { pause } from "../shared/jetstream/backoff.ts";
import type { NatsLink } from "../shared/jetstream/connection.ts";
import { asClientHeaders, encodeHeaders, type HeaderList } from "../shared/jetstream/headers.ts";
import type { LogSink } from "../shared/logger.ts";

/** One kind of request that a service answers. */
export interface ServiceEndpoint {
  readonly name: string;
  /** Wildcards are allowed. */
  readonly subject: string;
  readonly metadata?: Readonly<Record<string, string>>;
  /** Answers one request. What it throws becomes an error with the code 500. */
  handle(request: ServiceRequest): Promise<Uint8Array | ServiceFailure>;
}

/** A request. */
export interface ServiceRequest {
  readonly subject: string;
  readonly data: Uint8Array;
  /** Aborted when the service stops. */
  readonly signal: AbortSignal;
}

/** An answer that says that there is none. */
export class ServiceFailure {
  /** Like a status of HTTP. */
  readonly status: number;
  readonly description: string;
  readonly body: Uint8Array;

  constructor(status: number, description: string, body: Uint8Array = new Uint8Array(0)) {
    this.status = status;
    this.description = description;
    this.body = body;
  }
}

/** What a service is. */
export interface ServiceOptions {
  readonly link: NatsLink;
  readonly clock: Clock;
  readonly log: LogSink;
  /** Letters, digits, `-` and `_`. */
  readonly name: string;
  readonly version: string;
  readonly description: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly endpoints: readonly ServiceEndpoint[];
}

interface EndpointState {
  readonly endpoint: ServiceEndpoint;
  requests: number;
  errors: number;
  lastError: string;
  processingNanos: number;
}

/** Requests are shared among all processes that offer the service. */
const QUEUE = "q";
const VERBS = ["PING", "INFO", "STATS"] as const;
type Verb = (typeof VERBS)[number];
/** More requests than this at once are refused. */
const REQUESTS_AT_ONCE = 4_096;
const DRAIN_MS = 1_000;
const TOO_MANY = 429;
const INTERNAL = 500;
/** Headers are one line each, and short. */
const DESCRIPTION_LENGTH = 200;

/** A service that answers until it is stopped. */
export class MicroService {
  readonly id: string = newId();
  readonly #options: ServiceOptions;
  readonly #endpoints: readonly EndpointState[];
  readonly #started: string;
  readonly #stopping = new AbortController();
  readonly #subscriptions: { drain(): Promise<void>; unsubscribe(): void }[] = [];
  readonly #open = new Set<Promise<void>>();

  constructor(options: ServiceOptions) {
    this.#options = options;
    this.#started = new Date(options.clock.now()).toISOString();
    this.#endpoints = options.endpoints.map((endpoint) => ({
      endpoint,
      requests: 0,
      errors: 0,
      lastError: "",
      processingNanos: 0,
    }));
  }

  /** Begins to answer. */
  start(): void {
    const { name } = this.#options;
    for (const state of this.#endpoints)
      this.#listen(state.endpoint.subject, QUEUE, (request) => this.#receive(state, request));
    for (const verb of VERBS)
      for (const subject of [verb, `${verb}.${name}`, `${verb}.${name}.${this.id}`])
        this.#listen(`$SRV.${subject}`, undefined, ({ reply }) => {
          if (reply) this.#respond(reply, Buffer.from(JSON.stringify(this.#describe(verb))));
        });
  }

  /** Takes no more requests, ends those that wait, and resolves when all are answered. */
  async stop(): Promise<void> {
    const { link, clock } = this.#options;
    const isUp = link.isConnected && !link.nc.isClosed();
    const drained = this.#subscriptions.map(async (each) =>
      isUp ? each.drain() : each.unsubscribe(),
    );
    this.#stopping.abort();
    // The end of a drain is told by the server, which may go away at this moment.
    const done = new AbortController();
    await Promise.race([Promise.allSettled(drained), pause(clock, DRAIN_MS, done.signal)]);
    done.abort();
    await Promise.all(this.#open);
  }

  #listen(subject: string, queue: string | undefined, receive: (request: Incoming) => void): void {
    const { link, log } = this.#options;
    const subscription = link.nc.subscribe(subject, {
      ...(queue === undefined ? {} : { queue }),
      callback: (error, message) => {
        if (error === null) receive(message);
        else log.warn(`The service may not listen to ${subject}: ${error.message}`, { subject });
      },
    });
    this.#subscriptions.push(subscription);
  }

  #receive(state: EndpointState, request: Incoming): void {
    const { reply } = request;
    if (reply && !isInbox(reply)) return this.#refuse(reply, request.subject);
    const answering = this.#answer(state, request).finally(() => this.#open.delete(answering));
    this.#open.add(answering);
  }

  async #answer(state: EndpointState, { subject, data, reply }: Incoming): Promise<void> {
    const { clock, log } = this.#options;
    const beganAt = clock.monotonic();
    const { signal } = this.#stopping;
    let answer: Uint8Array | ServiceFailure;
    try {
      answer =
        this.#open.size > REQUESTS_AT_ONCE
          ? new ServiceFailure(TOO_MANY, "too many requests at once")
          : await state.endpoint.handle({ subject, data, signal });
    } catch (error) {
      log.error(`The endpoint ${state.endpoint.name} failed: ${String(error)}`, { subject });
      answer = new ServiceFailure(INTERNAL, "internal error");
    }
    state.requests++;
    state.processingNanos += Math.round((clock.monotonic() - beganAt) * 1e6);
    if (answer instanceof ServiceFailure) {
      state.errors++;
      state.lastError = `${answer.status}:${answer.description}`;
    }
    if (reply) this.#respond(reply, answer);
  }

  #refuse(reply: string, subject: string): void {
    const { log } = this.#options;
    log.warn("A request was not carried out: its reply subject is no inbox.", { subject, reply });
  }

  #respond(reply: string, answer: Uint8Array | ServiceFailure): void {
    const { link, log } = this.#options;
    if (!isInbox(reply)) return;
    try {
      if (!(answer instanceof ServiceFailure)) link.nc.publish(reply, answer);
      else {
        const headers = asClientHeaders(encodeHeaders(errorHeaders(answer)));
        link.nc.publish(reply, answer.body, { headers });
      }
    } catch (error) {
      // Larger than the server accepts, or the connection is closed: the caller hears nothing.
      log.warn(`An answer could not be sent: ${String(error)}`, { reply });
    }
  }

  #describe(verb: Verb): object {
    const { name, version, description, metadata } = this.#options;
    const common = { name, id: this.id, version, metadata };
    const named = this.#endpoints.map(({ endpoint }) => ({
      name: endpoint.name,
      subject: endpoint.subject,
      queue_group: QUEUE,
      metadata: endpoint.metadata ?? {},
    }));
    switch (verb) {
      case "PING":
        return { ...common, type: "io.nats.micro.v1.ping_response" };
      case "INFO":
        return { ...common, type: "io.nats.micro.v1.info_response", description, endpoints: named };
      case "STATS":
        return {
          ...common,
          type: "io.nats.micro.v1.stats_response",
          started: this.#started,
          endpoints: this.#endpoints.map((state) => ({
            name: state.endpoint.name,
            subject: state.endpoint.subject,
            queue_group: QUEUE,
            num_requests: state.requests,
            num_errors: state.errors,
            last_error: state.lastError,
            processing_time: state.processingNanos,
            average_processing_time: Math.round(
              state.processingNanos / Math.max(state.requests, 1),
            ),
          })),
        };
    }
  }
}

/**
 * Whether an answer may go to a reply subject. The server lets a caller name any, also where only the
 * engine may publish: an answer to `events.order.paid`, or to a subject of the log, would be stored
 * there. Inboxes begin with `_`, those that the server makes for callers in other accounts too, and
 * no stream of Contrail has such subjects.
 */
function isInbox(reply: string): boolean {
  return reply.startsWith("_");
}

interface Incoming {
  readonly subject: string;
  readonly data: Uint8Array;
  readonly reply?: string | undefined;
}

function errorHeaders({ status, description }: ServiceFailure): HeaderList {
  return [
    ["Nats-Service-Error-Code", String(status)],
    ["Nats-Service-Error", description.replace(/\s+/g, " ").slice(0, DESCRIPTION_LENGTH)],
  ];
}
