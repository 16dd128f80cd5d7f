/** A whole worker of the build under test, over a connection that a test can cut. */
import type { NatsLink } from "../../shared/jetstream/connection.ts";
import type { Publisher } from "../../shared/jetstream/publisher.ts";
import type { Reader } from "../../shared/jetstream/reader.ts";
import type { Requests } from "../../shared/jetstream/requests.ts";
import type { Worker, WorkerOptions } from "../../worker/index.ts";
import type { Build } from "./build.ts";
import { HandClock } from "./hand-clock.ts";
import { Wiretap } from "./wiretap.ts";

/** A worker that asks for tokens itself. */
export class LiveWorker {
  readonly worker: Worker;
  readonly tap: Wiretap;
  readonly #clock: HandClock;
  readonly #link: NatsLink;

  private constructor(worker: Worker, { tap, link }: TappedLink, clock: HandClock) {
    this.worker = worker;
    this.tap = tap;
    this.#clock = clock;
    this.#link = link;
  }

  /** Starts one. The options are those of `startWorker`; the connection is closed with the test. */
  static async start(
    build: Build,
    link: NatsLink,
    options: Omit<WorkerOptions, "servers" | "clock">,
  ): Promise<LiveWorker> {
    const clock = new HandClock();
    const tapped = new TappedLink(build, link, clock);
    const worker = await build.workerParts.workerOver(async () => tapped, { ...options, clock });
    return new LiveWorker(worker, tapped, clock);
  }

  /** SIGKILL. */
  die(): void {
    this.tap.cut();
    this.#clock.stop();
  }

  /** Ends it with the test, whatever it is at. */
  async end(): Promise<void> {
    this.die();
    await this.#link.close();
  }
}

/** A connection whose outgoing side is tapped. */
export class TappedLink implements NatsLink {
  readonly tap: Wiretap;
  readonly link: NatsLink;
  readonly publisher: Publisher;
  readonly reader: Reader;
  readonly requests: Requests;
  readonly nc: NatsLink["nc"];
  readonly clock: HandClock;
  readonly inboxPrefix: string;

  constructor(build: Build, link: NatsLink, clock: HandClock) {
    this.link = link;
    this.clock = clock;
    this.tap = new Wiretap(link, clock);
    const { wire } = this.tap;
    this.nc = wire.nc;
    this.inboxPrefix = wire.inboxPrefix;
    this.publisher = new build.publisher.Publisher(wire, { ackTimeoutMs: 300 });
    this.requests = new build.requests.Requests(wire);
    this.reader = new build.reader.Reader(this.requests);
  }

  get isConnected(): boolean {
    return this.link.isConnected;
  }

  get maxPayload(): number {
    return this.link.maxPayload;
  }

  get serverVersion(): string {
    return this.link.serverVersion;
  }

  onDisconnect(...args: Parameters<NatsLink["onDisconnect"]>): () => void {
    return this.link.onDisconnect(...args);
  }

  onReconnect(...args: Parameters<NatsLink["onReconnect"]>): () => void {
    return this.link.onReconnect(...args);
  }

  onClose(...args: Parameters<NatsLink["onClose"]>): () => void {
    return this.link.onClose(...args);
  }

  onForbidden(...args: Parameters<NatsLink["onForbidden"]>): () => void {
    return this.link.onForbidden(...args);
  }

  close(): Promise<void> {
    return this.link.close();
  }

  drain(): Promise<void> {
    return this.link.close();
  }
}
