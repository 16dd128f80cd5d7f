/**
 * A client's connection to the server in memory: messages take their time each way, in order, and the
 * connection can break, with what is on its way.
 *
 * N1. Messages of one connection arrive in the order in which they were sent, each way.
 * N2. What was under way when it broke arrives at the server or not; nothing more arrives at the client.
 */
import type { Clock } from "../clock.ts";
import type { FaultPolicy } from "./faults.ts";
import type { OutgoingMessage } from "./pull-consumer.ts";

/** A message as it is sent. */
export interface SentMessage {
  readonly subject: string;
  readonly reply?: string;
  readonly headers: string;
  readonly data: Uint8Array;
}

/** What the client is told. */
export interface ClientEnd {
  /** A message for one of its subscriptions. */
  receive(id: number, message: OutgoingMessage): void;
  /** The connection is lost. */
  lose(): void;
  /** It stands again. Subscriptions have to be made again. */
  find(): void;
}

/** What a connection needs of the server. */
export interface ServerEnd {
  readonly clock: Clock;
  readonly faults: FaultPolicy;
  publish(client: string, message: SentMessage): void;
  subscribe(
    subject: string,
    receive: (message: OutgoingMessage) => void,
    queue?: string,
  ): () => void;
}

/** When a connection breaks. */
export interface Break {
  /** Time until the client notices. */
  readonly noticedAfterMs: number;
  /** Time until it stands again, after that. */
  readonly backAfterMs: number;
}

/** One connection. */
export class MemoryConnection {
  readonly name: string;
  readonly #server: ServerEnd;
  readonly #client: ClientEnd;
  readonly #unsubscribe: Map<number, () => void> = new Map();
  #state: "open" | "broken" | "closed" = "open";
  /** Messages of an earlier life of the connection are told by it. */
  #life = 0;
  #lastUp = 0;
  #lastDown = 0;
  #inFlight = 0;
  /** What came while the client was paused; nothing while it is not. */
  #paused: (() => void)[] | undefined;

  constructor(name: string, server: ServerEnd, client: ClientEnd) {
    this.name = name;
    this.#server = server;
    this.#client = client;
  }

  /** How many messages are on their way, either way. */
  get inFlight(): number {
    return this.#inFlight + (this.#paused?.length ?? 0);
  }

  get isOpen(): boolean {
    return this.#state === "open";
  }

  publish(message: SentMessage): void {
    this.#up((isCurrent) => {
      if (isCurrent || this.#server.faults.arrives()) this.#server.publish(this.name, message);
    });
  }

  /** @param queue Of all subscriptions with this name, one gets each message. */
  subscribe(id: number, subject: string, queue?: string): void {
    this.#up((isCurrent) => {
      if (!isCurrent) return;
      const receive = (message: OutgoingMessage): void =>
        this.#down(() => this.#client.receive(id, message));
      this.#unsubscribe.set(id, this.#server.subscribe(subject, receive, queue));
    });
  }

  unsubscribe(id: number): void {
    this.#up((isCurrent) => {
      if (!isCurrent) return;
      this.#unsubscribe.get(id)?.();
      this.#unsubscribe.delete(id);
    });
  }

  /** Calls back when everything sent before has arrived, and what the server sent until then. */
  ping(pong: () => void): void {
    this.#up((isCurrent) => {
      if (isCurrent) this.#down(pong);
    });
  }

  /** Breaks the connection, as a lost network or a server that ends does. */
  break({ noticedAfterMs, backAfterMs }: Break): void {
    if (this.#state !== "open") return;
    this.#cut("broken");
    const { clock } = this.#server;
    clock.after(noticedAfterMs, () => {
      this.#tell(() => {
        if (this.#state === "broken") this.#client.lose();
      });
      clock.after(backAfterMs, () => {
        this.#tell(() => {
          if (this.#state !== "broken") return;
          this.#state = "open";
          this.#client.find();
        });
      });
    });
  }

  /** Ends it: what was sent before arrives, nothing comes back. */
  close(): void {
    this.#up(() => this.#cut("closed"));
  }

  /** Ends it as the death of its process does: what is under way arrives or not. */
  kill(): void {
    this.#cut("closed");
  }

  /** Nothing reaches the client until it is resumed, as when its process is stopped. */
  pause(): void {
    this.#paused ??= [];
  }

  resume(): void {
    const waiting = this.#paused ?? [];
    this.#paused = undefined;
    for (const receive of waiting) receive();
  }

  #cut(state: "broken" | "closed"): void {
    if (this.#state === "closed") return;
    this.#state = state;
    this.#life++;
    for (const unsubscribe of this.#unsubscribe.values()) unsubscribe();
    this.#unsubscribe.clear();
  }

  #up(arrive: (isCurrent: boolean) => void): void {
    if (this.#state !== "open") return;
    this.#lastUp = this.#send(this.#lastUp, arrive);
  }

  #down(arrive: () => void): void {
    this.#lastDown = this.#send(this.#lastDown, (isCurrent) => {
      if (isCurrent) this.#tell(arrive);
    });
  }

  #tell(receive: () => void): void {
    if (this.#paused) this.#paused.push(receive);
    else receive();
  }

  /** @returns When it arrives, so that the next one does not arrive before it. */
  #send(notBefore: number, arrive: (isCurrent: boolean) => void): number {
    const { clock, faults } = this.#server;
    const life = this.#life;
    const now = clock.monotonic();
    const at = Math.max(now + faults.latencyMs(), notBefore);
    this.#inFlight++;
    clock.after(at - now, () => {
      this.#inFlight--;
      arrive(life === this.#life);
    });
    return at;
  }
}
