/**
 * Finds the events that came before a wait was registered, by reading the stream: once for all who
 * ask for the same name at about the same time.
 *
 * K1. Nothing that is stored between the two ends is passed over, whichever replica answers.
 */
import type { Clock } from "../shared/clock.ts";
import { UnavailableError } from "../shared/errors.ts";
import { pause } from "../shared/jetstream/backoff.ts";
import type { Reader, StoredMessage } from "../shared/jetstream/reader.ts";
import { EVENTS_PREFIX } from "../shared/subjects.ts";
import type { EventGroup } from "./conditions.ts";
import { EventIndex, isEventPattern, type Watcher } from "./event-index.ts";
import type { LastReads } from "./last-reads.ts";
import { EventMessage } from "./recent-events.ts";

/** What the look-back needs. */
export interface LookBackOptions {
  readonly reader: Pick<Reader, "readPage" | "streamState">;
  readonly reads: LastReads;
  /** The events stream. */
  readonly stream: string;
  readonly clock: Clock;
  /** Ends all reads. */
  readonly signal: AbortSignal;
}

/** Somebody who asks. */
interface Seeker extends Watcher {
  readonly to: number;
  /** The sequence that must be reached to know all that matters. */
  goal: number;
  readonly group: EventGroup;
  readonly found: number[];
  readonly resolve: (found: number[]) => void;
  readonly reject: (error: unknown) => void;
}

const SCANS_AT_ONCE = 8;
/** With so many different names waiting, one scan over all events is cheaper if they are few. */
const NAMES_FOR_FULL_SCAN = 32;
const EVENTS_PER_NAME = 100;
/** Pages of replicas that are behind, in a row. */
const STALE_TRIES = 50;
const STALE_PAUSE_MS = 50;

/** Reads of past events, shared. */
export class LookBack {
  readonly #options: LookBackOptions;
  /** Who asked just now. */
  #asked = new Map<string, Seeker[]>();
  /** Those for whom there is something to read. */
  readonly #waiting = new Map<string, Seeker[]>();
  /** The range that all of them together ask for. */
  #waitingAfter = 0;
  #waitingTo = 0;
  #running = 0;

  constructor(options: LookBackOptions) {
    this.#options = options;
  }

  /**
   * Sequences of the lowest events for a group, after what it knows and up to `to`, in order.
   * @throws {UnavailableError} When the stream could not be read in time.
   */
  find(group: EventGroup, to: number): Promise<number[]> {
    return new Promise((resolve, reject) => {
      const { name, where, knownTo: after } = group;
      if (this.#asked.size === 0) queueMicrotask(() => this.#checkAll());
      push(this.#asked, { name, where, after, to, goal: to, group, found: [], resolve, reject });
    });
  }

  /** Most who ask have missed nothing: a look at the last events of all their names shows it. */
  #checkAll(): void {
    const asked = this.#asked;
    this.#asked = new Map();
    for (const [name, seekers] of asked)
      void this.#check(name, seekers).catch((error: unknown) => {
        for (const seeker of seekers) seeker.reject(error);
      });
  }

  async #check(name: string, seekers: readonly Seeker[]): Promise<void> {
    const last = isEventPattern(name) ? undefined : await this.#lastOf(name, seekers);
    for (const seeker of seekers) {
      seeker.goal = Math.min(last ?? seeker.to, seeker.to);
      if (seeker.goal > seeker.after) this.#await(seeker);
      else seeker.resolve([]);
    }
    this.#startAll();
  }

  async #lastOf(name: string, seekers: readonly Seeker[]): Promise<number> {
    const { reads, stream } = this.#options;
    const { to } = ends(seekers);
    return (await reads.last(stream, EVENTS_PREFIX + name, to))?.sequence ?? 0;
  }

  #startAll(): void {
    while (this.#running < SCANS_AT_ONCE && this.#waiting.size > 0) this.#start();
  }

  #start(): void {
    const { name, seekers } = this.#take();
    this.#running++;
    void this.#scan(name, seekers)
      .then(() => {
        for (const seeker of seekers) seeker.resolve(seeker.found);
      })
      .catch((error: unknown) => {
        for (const seeker of seekers) seeker.reject(error);
      })
      .finally(() => {
        this.#running--;
        this.#startAll();
      });
  }

  /** All who wait for one name, or all who wait at all. */
  #take(): { name: string; seekers: Seeker[] } {
    if (
      this.#waiting.size >= NAMES_FOR_FULL_SCAN &&
      this.#waitingTo - this.#waitingAfter <= this.#waiting.size * EVENTS_PER_NAME
    ) {
      const seekers = [...this.#waiting.values()].flat();
      this.#waiting.clear();
      return { name: ">", seekers };
    }
    const [name, seekers] = this.#waiting.entries().next().value as [string, Seeker[]];
    this.#waiting.delete(name);
    return { name, seekers };
  }

  #await(seeker: Seeker): void {
    if (this.#waiting.size === 0) {
      this.#waitingAfter = seeker.after;
      this.#waitingTo = seeker.to;
    }
    this.#waitingAfter = Math.min(this.#waitingAfter, seeker.after);
    this.#waitingTo = Math.max(this.#waitingTo, seeker.to);
    push(this.#waiting, seeker);
  }

  async #scan(name: string, seekers: readonly Seeker[]): Promise<void> {
    const { from, to } = ends(seekers);
    const goal = isEventPattern(name)
      ? await this.#goalOf(name, to)
      : Math.max(...seekers.map((seeker) => seeker.goal));
    if (goal < from) return;
    const index = new EventIndex<Seeker>();
    for (const seeker of seekers) index.add(seeker);
    const subject = EVENTS_PREFIX + name;
    let next = from;
    for (let tries = 0; index.size > 0; ) {
      const page = await this.#readPage(subject, next);
      const last = page.at(-1)?.sequence ?? 0;
      for (const message of page) offer(index, message, to);
      if (last >= goal) return;
      if (last > 0) [next, tries] = [last + 1, 0];
      else if (await this.#isGone(goal)) return;
      else if (tries++ === STALE_TRIES) throw this.#behind(name, goal);
      else await pause(this.#options.clock, STALE_PAUSE_MS, this.#options.signal);
    }
  }

  /** The last event that a pattern covers; for all events, the end of the range. */
  async #goalOf(pattern: string, to: number): Promise<number> {
    if (pattern === ">") return to;
    const { reads, stream } = this.#options;
    return Math.min(await reads.lastMatching(stream, EVENTS_PREFIX + pattern, to), to);
  }

  async #readPage(subject: string, from: number): Promise<readonly StoredMessage[]> {
    const { reader, stream, signal } = this.#options;
    if (signal.aborted) throw new UnavailableError("The engine stopped looking back.");
    return (await reader.readPage(stream, subject, from, { signal })).messages;
  }

  /** Whether it was removed because the stream keeps events no longer. */
  async #isGone(sequence: number): Promise<boolean> {
    const { reader, stream, signal } = this.#options;
    const state = await reader.streamState(stream, { signal });
    return state === undefined || state.firstSequence > sequence;
  }

  #behind(name: string, goal: number): UnavailableError {
    const { stream } = this.#options;
    return new UnavailableError(
      `The replicas of ${stream} that answered did not have event ${goal} of "${name}".`,
      { stream, goal },
    );
  }
}

function push(queue: Map<string, Seeker[]>, seeker: Seeker): void {
  const others = queue.get(seeker.name);
  if (others) others.push(seeker);
  else queue.set(seeker.name, [seeker]);
}

/** Offers an event; who has found enough is not asked any more. */
function offer(index: EventIndex<Seeker>, message: StoredMessage, to: number): void {
  if (message.sequence > to) return;
  const event = new EventMessage({
    sequence: message.sequence,
    name: message.subject.slice(EVENTS_PREFIX.length),
    data: message.data,
    contentType: message.headers.last("Content-Type") ?? "",
  });
  index.match(event, (seeker) => {
    const { group, found } = seeker;
    if (event.sequence > seeker.to || group.wait.consumed?.has(event.sequence)) return;
    found.push(event.sequence);
    if (found.length >= group.limit) index.delete(seeker);
  });
}

function ends(seekers: readonly Seeker[]): { from: number; to: number } {
  let [from, to] = [Number.POSITIVE_INFINITY, 0];
  for (const seeker of seekers) {
    from = Math.min(from, seeker.after + 1);
    to = Math.max(to, seeker.to);
  }
  return { from, to };
}
