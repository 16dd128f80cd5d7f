/**
 * A worker of a kit as a process of its own, which can die. Its places are those that differ in what
 * is left behind: after each write, after each step, and with a token in its hands. Whatever lies
 * between two of them leaves behind what the first one does.
 */
import type { Failpoint } from "../shared/failpoints.ts";
import type { MemoryLink } from "../shared/jetstream/memory-link.ts";
import type { MemoryWorld } from "../shared/memory/memory-world.ts";
import { ProcessClock } from "../shared/memory/process-clock.ts";

/** A death ends nothing but the process. */
const NEVER = new Promise<never>(() => {});
/** Messages to subjects that begin so are no writes, or of no account to any run. */
const NO_WRITES = ["$JS.API.", "$KV."];

/** Failpoints that are such places: what is between other ones and the writes leaves nothing behind. */
const PLACES: ReadonlySet<string> = new Set(["before-claim", "after-step"]);

/** Asked at every place: whether the process dies there. */
export type MayDie = (place: string) => boolean;

/** One worker process. */
export class WorkerProcess {
  readonly name: string;
  readonly clock: ProcessClock;
  readonly #world: MemoryWorld;
  readonly #diesAt: MayDie;
  readonly #onDeath: () => void;
  #link: MemoryLink | undefined;

  constructor(name: string, world: MemoryWorld, life: { diesAt: MayDie; onDeath: () => void }) {
    this.name = name;
    this.clock = new ProcessClock(world.time);
    this.#world = world;
    this.#diesAt = life.diesAt;
    this.#onDeath = life.onDeath;
  }

  get isAlive(): boolean {
    return !this.clock.isEnded;
  }

  /** Connects it. It may die after each write. */
  open(): MemoryLink {
    const link = this.#world.link(this.name, this.clock);
    const { connection } = link;
    const publish = connection.publish.bind(connection);
    connection.publish = (message) => {
      const { subject } = message;
      const isWrite = !NO_WRITES.some((start) => subject.startsWith(start));
      const what = subject.startsWith("$JS.ACK.") ? "acknowledgement" : subject;
      publish(message);
      if (isWrite) this.#reach(`after ${what}`);
    };
    this.#link = link;
    return link;
  }

  /** The places of failpoints.ts. */
  readonly failpoint: Failpoint = (name) => {
    if (PLACES.has(name)) this.#reach(name);
    return this.isAlive ? undefined : NEVER;
  };

  /** Ends it as a crash does. */
  die(): void {
    if (!this.isAlive) return;
    this.clock.end();
    this.#link?.connection.kill();
    this.#onDeath();
  }

  #reach(place: string): void {
    if (this.isAlive && this.#diesAt(place)) this.die();
  }
}
