/** A connection of the build under test whose outgoing side is in the hands of the test. */
import type { NatsLink } from "../../shared/jetstream/connection.ts";
import type { Publisher } from "../../shared/jetstream/publisher.ts";
import type { Reader } from "../../shared/jetstream/reader.ts";
import type { Requests } from "../../shared/jetstream/requests.ts";
import type { Build } from "./build.ts";
import type { HandClock } from "./hand-clock.ts";
import { Wiretap } from "./wiretap.ts";

/** A connection whose outgoing side is tapped. */
export class TappedLink implements NatsLink {
  readonly tap: Wiretap;
  readonly link: NatsLink;
  readonly publisher: Publisher;
  reader: Reader;
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
