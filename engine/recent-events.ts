/**
 * The last events, decoded, so that a run that waits for something that has just happened is
 * answered without a read. Pure.
 *
 * V1. It holds every event from `firstSequence` on that was added, or nothing is said about it.
 * V2. Its size is bounded, in events and in bytes of payload; the oldest go first.
 */
import { decodeEventPayload } from "../shared/codec.ts";
import { type Filter, valuesAt } from "../shared/filters.ts";
import type { EnclosedEvent } from "../shared/messages.ts";
import { isEventPattern, keysOf, type MatchableEvent, matcherOf } from "./event-index.ts";
import { NameTree } from "./name-tree.ts";

/** Events up to this size are enclosed in the tokens that name them. */
const ENCLOSED_BYTES = 1_024;

/** An event that decodes its payload when somebody asks for it. */
export class EventMessage implements MatchableEvent {
  readonly sequence: number;
  readonly name: string;
  readonly bytes: number;
  readonly #contentType: string;
  readonly #timeMs: number | undefined;
  #raw: Uint8Array | undefined;
  #isDecoded = false;
  #payload: unknown;

  /** @param message Its data may be a view of a larger buffer; it is copied. */
  constructor(message: {
    readonly sequence: number;
    readonly name: string;
    readonly data: Uint8Array;
    readonly contentType: string;
    /** When it was stored, if it may be enclosed in tokens. */
    readonly timeMs?: number;
  }) {
    this.sequence = message.sequence;
    this.name = message.name;
    this.bytes = message.data.length;
    this.#contentType = message.contentType;
    this.#timeMs = this.bytes <= ENCLOSED_BYTES ? message.timeMs : undefined;
    this.#raw = Buffer.from(message.data);
  }

  get payload(): unknown {
    if (!this.#isDecoded && this.#raw !== undefined) {
      this.#payload = decodeEventPayload(this.#raw, this.#contentType);
      this.#isDecoded = true;
      if (this.#timeMs === undefined) this.#raw = undefined;
    }
    return this.#payload;
  }

  /** The event as it is enclosed in a token; nothing when it is too large for that. */
  get enclosed(): EnclosedEvent | undefined {
    if (this.#timeMs === undefined || this.#raw === undefined) return undefined;
    const { sequence, name } = this;
    return {
      sequence,
      name,
      timeMs: this.#timeMs,
      contentType: this.#contentType,
      data: this.#raw,
    };
  }
}

/** What to look for. */
export interface EventQuery {
  /** A name, or a pattern. */
  readonly name: string;
  readonly where?: Filter | undefined;
  /** Only events with a higher sequence. */
  readonly after: number;
  /** Only events up to this sequence. */
  readonly to: number;
  /** At most so many. */
  readonly limit: number;
}

/** How much to keep. */
export interface RecentLimits {
  readonly events: number;
  readonly bytes: number;
}

/** Fields of one name that are kept in order; further ones are looked at event by event. */
const PATHS_PER_NAME = 4;

type Value = string | number | boolean;

/** The events of one name. */
interface NameEvents {
  readonly name: string;
  readonly events: EventMessage[];
  readonly byPath: Map<string, Map<Value, EventMessage[]>>;
}

/** A window over the events stream that ends where its follower is. */
export class RecentEvents {
  readonly #limits: RecentLimits;
  readonly #byName = new Map<string, NameEvents>();
  readonly #names = new NameTree<NameEvents>();
  #queue: EventMessage[] = [];
  #next = 0;
  #bytes = 0;
  #firstSequence: number;
  #lastSequence: number;

  /** @param firstSequence Events from this one on will be added, without gaps. */
  constructor(firstSequence: number, limits: RecentLimits) {
    this.#firstSequence = firstSequence;
    this.#lastSequence = firstSequence - 1;
    this.#limits = limits;
  }

  /** Every event from this sequence on is here, if it was added at all. */
  get firstSequence(): number {
    return this.#firstSequence;
  }

  /** Where the follower is: every event up to this sequence was added, or came before the first. */
  get lastSequence(): number {
    return this.#lastSequence;
  }

  get size(): number {
    return this.#queue.length - this.#next;
  }

  /** Adds the next event of the stream. */
  add(event: EventMessage): void {
    this.#lastSequence = event.sequence;
    this.#queue.push(event);
    this.#bytes += event.bytes;
    let named = this.#byName.get(event.name);
    if (named === undefined) {
      named = { name: event.name, events: [], byPath: new Map() };
      this.#byName.set(event.name, named);
      this.#names.set(event.name, named);
    }
    named.events.push(event);
    for (const [path, values] of named.byPath) addTo(values, path, event);
    while (this.size > this.#limits.events || (this.#bytes > this.#limits.bytes && this.size > 1))
      this.#drop();
  }

  /** The event of this sequence, if it is here. */
  get(sequence: number): EventMessage | undefined {
    const event = this.#queue[firstAfter(this.#queue, sequence - 1, this.#next)];
    return event?.sequence === sequence ? event : undefined;
  }

  /** Sequences of the lowest events that fit, in order, as far as they are here. */
  find({ name, where, after, to, limit }: EventQuery): number[] {
    const matches = where === undefined ? () => true : matcherOf(where);
    const isPattern = isEventPattern(name);
    const named = this.#byName.get(name);
    const groups = isPattern ? this.#names.covered(name) : named ? [named] : [];
    const found = groups.flatMap((group) => {
      const sequences: number[] = [];
      const events = candidates(group, where);
      for (let i = firstAfter(events, after); i < events.length; i++) {
        const event = events[i] as EventMessage;
        if (event.sequence > to) break;
        if (matches(event.payload)) sequences.push(event.sequence);
        if (sequences.length === limit) break;
      }
      return sequences;
    });
    return groups.length < 2 ? found : found.sort((a, b) => a - b).slice(0, limit);
  }

  #drop(): void {
    const event = this.#queue[this.#next++] as EventMessage;
    if (this.#next > 1_000 && this.#next * 2 > this.#queue.length) {
      this.#queue = this.#queue.slice(this.#next);
      this.#next = 0;
    }
    this.#bytes -= event.bytes;
    this.#firstSequence = event.sequence + 1;
    const named = this.#byName.get(event.name);
    if (named === undefined) return;
    named.events.shift();
    for (const [path, values] of named.byPath)
      for (const value of valuesAt(event.payload, path)) {
        const events = values.get(value);
        events?.shift();
        if (events?.length === 0) values.delete(value);
      }
    if (named.events.length > 0) return;
    this.#byName.delete(event.name);
    this.#names.delete(event.name);
  }
}

/** The events of a name that have a value which the filter demands, or all of them. */
function candidates(named: NameEvents, where: Filter | undefined): readonly EventMessage[] {
  let fewest: readonly EventMessage[] = named.events;
  for (const [path, value] of keysOf(where)) {
    let values = named.byPath.get(path);
    if (values === undefined) {
      if (named.byPath.size >= PATHS_PER_NAME) continue;
      values = new Map();
      named.byPath.set(path, values);
      for (const event of named.events) addTo(values, path, event);
    }
    const events = values.get(value) ?? [];
    if (events.length < fewest.length) fewest = events;
  }
  return fewest;
}

function addTo(values: Map<Value, EventMessage[]>, path: string, event: EventMessage): void {
  for (const value of valuesAt(event.payload, path)) {
    const events = values.get(value);
    if (events) events.push(event);
    else values.set(value, [event]);
  }
}

/** Position of the first event with a higher sequence, from a position on. */
function firstAfter(events: readonly EventMessage[], after: number, from = 0): number {
  let [low, high] = [from, events.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((events[middle] as EventMessage).sequence > after) high = middle;
    else low = middle + 1;
  }
  return low;
}
