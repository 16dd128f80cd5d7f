/**
 * A link to a server in memory: all adapters over a connection that is as much of the client's as they
 * use.
 */
import {
  type Msg,
  MsgImpl,
  type NatsConnection,
  type Publisher,
  type PublishOptions,
  type ServerInfo,
  type Status,
  type Subscription,
  type SubscriptionOptions,
} from "@nats-io/transport-node";
import type { Clock } from "../clock.ts";
import { UnavailableError } from "../errors.ts";
import type { MemoryConnection } from "../memory/memory-connection.ts";
import type { MemoryServer } from "../memory/memory-server.ts";
import type { OutgoingMessage } from "../memory/pull-consumer.ts";
import { linkOver, type NatsLink } from "./connection.ts";

/** How to connect. */
export interface MemoryLinkOptions {
  /** What traces call the connection. */
  readonly name: string;
  /** The clock of the process that connects. Default the server's. */
  readonly clock?: Clock;
  /** As for other links. */
  readonly ackTimeoutMs?: number;
}

/** A link with a way to break it. */
export interface MemoryLink extends NatsLink {
  readonly connection: MemoryConnection;
}

/** Connects to a server in memory. Stands at once. */
export function memoryLink(server: MemoryServer, options: MemoryLinkOptions): MemoryLink {
  const { name, clock = server.clock, ackTimeoutMs } = options;
  const client = new MemoryClient(server, name);
  const link = linkOver(client as unknown as NatsConnection, {
    clock,
    ...(ackTimeoutMs === undefined ? {} : { ackTimeoutMs }),
  });
  return Object.assign(link, { connection: client.connection });
}

const NOTHING = new Uint8Array(0);

/** The part of the client's connection that our adapters use. */
class MemoryClient {
  readonly info: Pick<ServerInfo, "max_payload" | "server_name" | "version">;
  readonly connection: MemoryConnection;
  readonly #subscriptions: Map<number, MemorySubscription> = new Map();
  readonly #statuses: StatusQueue = new StatusQueue();
  #count = 0;
  #state: "open" | "draining" | "closed" = "open";

  constructor(server: MemoryServer, name: string) {
    const { maxPayload, version } = server;
    this.info = { max_payload: maxPayload, server_name: "memory", version };
    this.connection = server.connect(name, {
      receive: (id, message) =>
        this.#subscriptions.get(id)?.receive(toClientMessage(message, this)),
      lose: () => this.#statuses.push({ type: "disconnect", server: "memory" }),
      find: () => {
        for (const [id, { subject, queue }] of this.#subscriptions)
          this.connection.subscribe(id, subject, queue);
        this.#statuses.push({ type: "reconnect", server: "memory" });
      },
    });
  }

  publish(
    subject: string,
    payload: Uint8Array | string = NOTHING,
    options: PublishOptions = {},
  ): void {
    this.#checkOpen();
    const { reply, headers } = options as PublishOptions & { headers?: { encode(): Uint8Array } };
    this.connection.publish({
      subject,
      ...(reply === undefined ? {} : { reply }),
      headers: headers === undefined ? "" : Buffer.from(headers.encode()).toString(),
      data: Buffer.from(payload), // a copy: its owner may write into it again
    });
  }

  subscribe(subject: string, options: SubscriptionOptions = {}): Subscription {
    this.#checkOpen();
    const id = ++this.#count;
    const end = async (isDrained: boolean): Promise<void> => {
      this.connection.unsubscribe(id);
      if (isDrained) await this.flush();
      this.#subscriptions.delete(id);
    };
    const subscription = new MemorySubscription(subject, options, end);
    this.#subscriptions.set(id, subscription);
    this.connection.subscribe(id, subject, options.queue);
    return subscription as unknown as Subscription;
  }

  flush(): Promise<void> {
    if (!this.connection.isOpen)
      return Promise.reject(
        new UnavailableError("The connection to the server in memory is down."),
      );
    return new Promise((resolve) => this.connection.ping(resolve));
  }

  async drain(): Promise<void> {
    this.#checkOpen();
    this.#state = "draining";
    await Promise.all([...this.#subscriptions.values()].map((each) => each.drain()));
    await this.close();
  }

  async close(): Promise<void> {
    if (this.#state === "closed") return;
    this.#state = "closed";
    this.#subscriptions.clear();
    this.connection.close();
    this.#statuses.end();
  }

  getServer(): string {
    return "memory";
  }

  isClosed(): boolean {
    return this.#state === "closed";
  }

  isDraining(): boolean {
    return this.#state === "draining";
  }

  status(): AsyncIterable<Status> {
    return this.#statuses.read();
  }

  #checkOpen(): void {
    if (this.#state !== "open")
      throw new UnavailableError("The connection to the server in memory is closed.");
  }
}

class MemorySubscription {
  readonly subject: string;
  readonly queue: string | undefined;
  readonly #callback: (error: null, message: Msg) => void;
  readonly #end: (isDrained: boolean) => Promise<void>;
  #isOver = false;

  constructor(
    subject: string,
    { queue, callback = () => {} }: SubscriptionOptions,
    end: (isDrained: boolean) => Promise<void>,
  ) {
    this.subject = subject;
    this.queue = queue;
    this.#callback = (error, message) => void callback(error, message);
    this.#end = end;
  }

  receive(message: Msg): void {
    if (!this.#isOver) this.#callback(null, message);
  }

  unsubscribe(): void {
    this.#isOver = true;
    void this.#end(false); // does not wait for anything
  }

  drain(): Promise<void> {
    return this.#end(true);
  }

  isClosed(): boolean {
    return this.#isOver;
  }
}

/** The client's message: header bytes lie before the payload, as when they come over a socket. */
function toClientMessage(
  { subject, reply = "", headers, data }: OutgoingMessage,
  client: MemoryClient,
): Msg {
  const head = Buffer.from(headers);
  const bytes = Buffer.concat([head, data]);
  return new MsgImpl(
    {
      subject: Buffer.from(subject),
      reply: Buffer.from(reply),
      sid: 0,
      hdr: head.length === 0 ? -1 : head.length,
      size: bytes.length,
    },
    bytes,
    client as unknown as Publisher,
  ) as Msg;
}

/** Statuses for one reader. */
class StatusQueue {
  #queue: Status[] = [];
  #isOver = false;
  #wake: () => void = () => {};

  push(status: Status): void {
    this.#queue.push(status);
    this.#wake();
  }

  end(): void {
    this.#isOver = true;
    this.#wake();
  }

  async *read(): AsyncGenerator<Status> {
    for (;;) {
      yield* this.#queue.splice(0);
      if (this.#queue.length > 0) continue;
      if (this.#isOver) return;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}
