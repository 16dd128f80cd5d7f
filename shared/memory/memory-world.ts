/** A server in memory and the time it lives in: all that programs need to run without anything else. */

import type { Clock } from "../clock.ts";
import { type MemoryLink, memoryLink } from "../jetstream/memory-link.ts";
import type { FaultPolicy } from "./faults.ts";
import { MemoryServer, type ServerEvent } from "./memory-server.ts";
import { type RunLimits, VirtualTime } from "./virtual-time.ts";

/** What a world is made with. */
export interface MemoryWorldOptions {
  /** What goes wrong. Default nothing. */
  readonly faults?: FaultPolicy;
  /** Told of everything that happens at the server. */
  readonly onEvent?: (event: ServerEvent) => void;
  /** What the clocks show at first. Default the beginning of 2026. */
  readonly startMs?: number;
  /** Whether time may leap now to the next schedule, when the server has nothing to do. Default yes. */
  readonly mayLeap?: () => boolean;
  /**
   * How far time may leap, on the monotonic clock, also when no schedule is due. Default to the next
   * schedule.
   */
  readonly leapTo?: () => number;
  /** Nothing is written for so long before time leaps. Default 10,000. */
  readonly quietMs?: number;
  /** What is under way outside of this world's time: it is waited for. */
  readonly outside?: () => Promise<void> | undefined;
}

/** Nothing is written for so long before time leaps; longer than any program's own pauses. */
const QUIET_MS = 10_000;
const LOOK_EVERY_MS = 100;
/** Time goes its usual pace again so long before a schedule is due. */
const BEFORE_DUE_MS = 2_000;

/** One server, its clients, and their time. */
export class MemoryWorld {
  readonly time: VirtualTime;
  readonly server: MemoryServer;
  readonly #mayLeap: () => boolean;
  readonly #leapTo: () => number;
  readonly #quietMs: number;
  #lookAt = 0;

  constructor(options: MemoryWorldOptions = {}) {
    const { startMs, outside, quietMs = QUIET_MS } = options;
    this.#quietMs = quietMs;
    this.#mayLeap = options.mayLeap ?? (() => true);
    this.#leapTo = options.leapTo ?? (() => Number.POSITIVE_INFINITY);
    this.time = new VirtualTime({
      ...(startMs === undefined ? {} : { startMs }),
      ...(outside === undefined ? {} : { outside }),
      idleUntil: () => this.#idleUntil(),
    });
    this.server = new MemoryServer({ clock: this.time, ...options });
  }

  /** Connects a program, over its own clock if it has one. */
  link(name: string, clock: Clock = this.time): MemoryLink {
    return memoryLink(this.server, { name, clock });
  }

  /** Lets time pass until the promise is settled, and returns what it came to. */
  run<T>(promise: Promise<T>, limits?: RunLimits): Promise<T> {
    return this.time.run(promise, limits);
  }

  /** Whether nobody has written anything for a while, and nobody is about to. */
  get isIdle(): boolean {
    return this.server.isQuiet && this.time.monotonic() - this.server.activeAt >= this.#quietMs;
  }

  /** When all wait for a schedule, time leaps to where it is due: days take as long as minutes. */
  #idleUntil(): number | undefined {
    const { server, time } = this;
    const now = time.monotonic();
    if (now < this.#lookAt) return undefined;
    this.#lookAt = now + LOOK_EVERY_MS;
    if (!this.isIdle || !this.#mayLeap()) return undefined;
    const { nextDueAt } = server;
    const due = nextDueAt === undefined ? Infinity : nextDueAt - time.now() + now - BEFORE_DUE_MS;
    const target = Math.min(due, this.#leapTo());
    return Number.isFinite(target) ? target : undefined;
  }
}
