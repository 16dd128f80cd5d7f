/**
 * An engine of a test: one term of the product's, over a real connection that the test can cut, with
 * replicas that the test can hold back, and a clock of its own.
 */

import type { Term, TermStatus } from "../../engine/term.ts";
import type { Clock } from "../../shared/clock.ts";
import type { NatsLink } from "../../shared/jetstream/connection.ts";
import type { Reader } from "../../shared/jetstream/reader.ts";
import { silentLog } from "../../shared/logger.ts";
import type { NamespaceSetup } from "../../shared/setup.ts";
import { until } from "../helpers/until.ts";
import { type Barrier, Barriers } from "./barriers.ts";
import type { Build } from "./build.ts";
import { HandClock } from "./hand-clock.ts";
import { StaleReader } from "./stale-reader.ts";
import { TappedLink } from "./tapped-link.ts";
import type { Wiretap } from "./wiretap.ts";

/** How to make an engine. */
export interface HandEngineOptions {
  /** What its pauses and holds go by. By default a clock that runs. */
  readonly clock?: Clock;
}

/** One engine, leading. */
export class HandEngine {
  readonly tap: Wiretap;
  readonly reader: StaleReader;
  readonly #barriers = new Barriers("the engine");
  readonly #link: NatsLink;
  readonly #tapClock: HandClock = new HandClock();
  readonly #over = new AbortController();
  readonly #begin: () => Promise<Term>;
  #term: Term | undefined;

  constructor(build: Build, link: NatsLink, setup: NamespaceSetup, options: HandEngineOptions) {
    const tapped = new TappedLink(build, link, this.#tapClock);
    this.#link = link;
    this.tap = tapped.tap;
    this.reader = new StaleReader(tapped.reader);
    tapped.reader = this.reader as unknown as Reader;
    this.#begin = () =>
      build.term.Term.begin({
        link: tapped,
        names: setup.names,
        clock: options.clock ?? this.#tapClock,
        log: silentLog,
        undecodable: { note() {} },
        failpoint: this.#barriers.failpoint,
        signal: this.#over.signal,
      });
  }

  get status(): TermStatus {
    if (!this.#term) throw new Error("The engine does not lead.");
    return this.#term.status;
  }

  /** Begins to lead, and resolves when everything that is stored has been read. */
  async lead(): Promise<void> {
    this.#term = await this.#begin();
    void this.#term.run();
    await until(() => this.status.isCaughtUp);
  }

  /** Stops whoever comes to this place for the `count`th time from now on. */
  at(place: string, count?: number): Barrier {
    return this.#barriers.at(place, count);
  }

  /** Resolves when everything up to these sequences was looked at, and nothing is under way. */
  async hasSeen(at: { readonly log?: number; readonly event?: number }): Promise<void> {
    const { log = 0, event = 0 } = at;
    await until(
      () => {
        const { positions, waits } = this.status;
        const isIdle = waits.lookingBack === 0 && waits.publishing === 0;
        return (positions.shards[0] ?? 0) >= log && positions.events >= event && isIdle;
      },
      { what: `the engine has seen ${JSON.stringify(at)}` },
    );
  }

  /** Resolves when it has looked through all that has ended, and purged what it does not keep. */
  async hasPurged(): Promise<void> {
    const enough = this.status.retention.looks + 2;
    await until(() => this.status.retention.looks >= enough, { withinMs: 20_000 });
  }

  /** Resolves when the events up to this sequence were offered to the waits. */
  async hasFollowed(event: number): Promise<void> {
    await until(() => this.status.positions.events >= event);
  }

  /** SIGKILL. */
  die(): void {
    this.tap.cut();
    this.#tapClock.stop();
    this.#over.abort();
  }

  /** Ends it with the test. */
  async end(): Promise<void> {
    this.die();
    await this.#link.close();
  }
}
