/** What a worker knows of the clocks of the servers that lead the shards. */
import type { Clock } from "../shared/clock.ts";
import type { NatsLink } from "../shared/jetstream/connection.ts";
import { ServerClock } from "../shared/server-clock.ts";
import type { NamespaceSetup } from "../shared/setup.ts";

/** How often the servers' clocks are read. */
const CLOCK_READING_MS = 10_000;
/** How far two clocks may drift apart between two readings. */
const CLOCK_DRIFT_MS = 2;
/** A clock is read again, so often at most, until its bounds are so close: sleeps end by as much too late. */
const READINGS = 5;
const CLOSE_MS = 1;

/** The clocks of the servers that lead the shards. */
export class ShardClocks {
  readonly #link: NatsLink;
  readonly #setup: NamespaceSetup;
  readonly #clock: Clock;
  readonly #clocks: readonly ServerClock[];
  #stopTimer: () => void = () => {};
  #isClosed = false;

  private constructor(link: NatsLink, setup: NamespaceSetup, clock: Clock) {
    this.#link = link;
    this.#setup = setup;
    this.#clock = clock;
    this.#clocks = Array.from(
      { length: setup.shardCount },
      () => new ServerClock(() => clock.monotonic()),
    );
  }

  static async start(link: NatsLink, setup: NamespaceSetup, clock: Clock): Promise<ShardClocks> {
    const clocks = new ShardClocks(link, setup, clock);
    await clocks.#read();
    clocks.#schedule();
    return clocks;
  }

  of(shard: number): ServerClock {
    return this.#clocks[shard] as ServerClock;
  }

  close(): void {
    this.#isClosed = true;
    this.#stopTimer();
  }

  #schedule(): void {
    this.#stopTimer = this.#clock.after(CLOCK_READING_MS, () => {
      void this.#read()
        .catch(() => {}) // the server is away; the bounds of the last reading widen
        .finally(() => {
          if (!this.#isClosed) this.#schedule();
        });
    });
  }

  async #read(): Promise<void> {
    await Promise.all(
      this.#clocks.map(async (clock, shard) => {
        clock.widen(CLOCK_DRIFT_MS);
        for (let reading = 1; reading <= READINGS; reading++) {
          await this.#learn(clock, shard);
          if (clock.width <= CLOSE_MS) return;
        }
      }),
    );
  }

  async #learn(clock: ServerClock, shard: number): Promise<void> {
    const askedAt = this.#clock.monotonic();
    const state = await this.#link.reader.streamState(this.#setup.names.logStream(shard));
    if (state) clock.learn(state.answeredAtMs, askedAt, this.#clock.monotonic());
  }
}
