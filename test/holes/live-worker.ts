/** A whole worker of the build under test, over a connection that a test can cut. */
import type { NatsLink } from "../../shared/jetstream/connection.ts";
import type { Worker, WorkerOptions } from "../../worker/index.ts";
import type { Build } from "./build.ts";
import { HandClock } from "./hand-clock.ts";
import { TappedLink } from "./tapped-link.ts";
import type { Wiretap } from "./wiretap.ts";

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
