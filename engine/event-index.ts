/**
 * Finds who waits for an event without asking everybody: by name, and by one value that the filter
 * demands. Pure.
 *
 * I1. Whoever matches an event is found, exactly once.
 * I2. The cost of an event does not grow with those who wait for other values of the same field.
 */
import { compileFilter, equalityKeys, type Filter, valuesAt } from "../shared/filters.ts";
import { NameTree } from "./name-tree.ts";

/** An event as filters see it. */
export interface MatchableEvent {
  readonly sequence: number;
  readonly name: string;
  /** Decoded; may cost something when it is read first. */
  readonly payload: unknown;
}

/** Somebody who waits for events. */
export interface Watcher {
  /** A name, or a pattern. */
  readonly name: string;
  readonly where?: Filter | undefined;
  /** Only events with a higher sequence count. */
  readonly after: number;
}

type Value = string | number | boolean;

/** Those who wait for one name or pattern. */
interface Bucket<W> {
  /** By one value that their filters demand. */
  readonly byValue: Map<string, Map<Value, Set<Place<W>>>>;
  /** Those whose filters demand no single value. */
  readonly others: Set<Place<W>>;
}

/** A watcher, and where it is kept. */
interface Place<W> {
  readonly watcher: W;
  readonly set: Set<Place<W>>;
  readonly path?: string;
  readonly value?: Value;
  /** Compiled when it is needed first: most filters see the one event that they were made for. */
  matches?: (payload: unknown) => boolean;
}

/** Watchers by what they wait for. */
export class EventIndex<W extends Watcher> {
  readonly #exact = new Map<string, Bucket<W> | Place<W>>();
  readonly #patterns = new NameTree<Bucket<W>>();
  readonly #places = new Map<W, Place<W>>();

  get size(): number {
    return this.#places.size;
  }

  add(watcher: W): void {
    if (this.#places.has(watcher)) return;
    const { name } = watcher;
    const isPattern = isEventPattern(name);
    const found = isPattern ? this.#patterns.get(name) : this.#exact.get(name);
    if (found === undefined && !isPattern) {
      // Names that hold an id have one watcher each: they are kept without a bucket.
      const place: Place<W> = { watcher, set: nobody() };
      this.#exact.set(name, place);
      this.#places.set(watcher, place);
      return;
    }
    let bucket: Bucket<W>;
    if (found === undefined || "watcher" in found) {
      bucket = { byValue: new Map(), others: new Set() };
      if (isPattern) this.#patterns.set(name, bucket);
      else this.#exact.set(name, bucket);
      if (found) this.#put(bucket, found.watcher);
    } else bucket = found;
    this.#put(bucket, watcher);
  }

  delete(watcher: W): void {
    const place = this.#places.get(watcher);
    if (place === undefined) return;
    this.#places.delete(watcher);
    const { name } = watcher;
    const isPattern = isEventPattern(name);
    const bucket = isPattern ? this.#patterns.get(name) : this.#exact.get(name);
    if (bucket === undefined || "watcher" in bucket) {
      this.#exact.delete(name);
      return;
    }
    place.set.delete(place);
    if (place.path !== undefined && place.set.size === 0) {
      const values = bucket.byValue.get(place.path);
      values?.delete(place.value as Value);
      if (values?.size === 0) bucket.byValue.delete(place.path);
    }
    if (bucket.others.size > 0 || bucket.byValue.size > 0) return;
    if (isPattern) this.#patterns.delete(name);
    else this.#exact.delete(name);
  }

  /** Calls back with each watcher that the event matches. The callback may delete watchers, not add any. */
  match(event: MatchableEvent, found: (watcher: W) => void): void {
    const exact = this.#exact.get(event.name);
    if (exact !== undefined) {
      if ("watcher" in exact) visit(exact, event, found);
      else visitBucket(exact, event, found);
    }
    for (const bucket of this.#patterns.covering(event.name)) visitBucket(bucket, event, found);
  }

  #put(bucket: Bucket<W>, watcher: W): void {
    const key = rarestKey(bucket, watcher);
    let place: Place<W>;
    if (key === undefined) place = { watcher, set: bucket.others };
    else {
      const [path, value] = key;
      const values = bucket.byValue.get(path) ?? new Map<Value, Set<Place<W>>>();
      bucket.byValue.set(path, values);
      const set = values.get(value) ?? new Set<Place<W>>();
      values.set(value, set);
      place = { watcher, set, path, value };
    }
    place.set.add(place);
    this.#places.set(watcher, place);
  }
}

/** Whether a name has wildcards. */
export function isEventPattern(name: string): boolean {
  return name.includes("*") || name.includes(">");
}

function nobody<W>(): Set<Place<W>> {
  return NOBODY as Set<Place<W>>;
}

const NOBODY: Set<never> = new Set();

/** Of the values that the filter demands, the one that the fewest others demand too. */
function rarestKey<W extends Watcher>(
  bucket: Bucket<W>,
  { where }: W,
): readonly [string, Value] | undefined {
  let rarest: readonly [string, Value] | undefined;
  let fewest = Number.POSITIVE_INFINITY;
  for (const key of keysOf(where)) {
    const count = bucket.byValue.get(key[0])?.get(key[1])?.size ?? 0;
    if (count < fewest) [rarest, fewest] = [key, count];
  }
  return rarest;
}

function keysOf(where: Filter | undefined): readonly (readonly [string, Value])[] {
  try {
    return equalityKeys(where);
  } catch {
    return []; // not a filter that this version knows: it will match nothing
  }
}

function visitBucket<W extends Watcher>(
  bucket: Bucket<W>,
  event: MatchableEvent,
  found: (watcher: W) => void,
): void {
  for (const place of bucket.others) visit(place, event, found);
  for (const [path, values] of bucket.byValue)
    for (const value of valuesAt(event.payload, path)) {
      const places = values.get(value);
      if (places) for (const place of places) visit(place, event, found);
    }
}

function visit<W extends Watcher>(
  place: Place<W>,
  event: MatchableEvent,
  found: (watcher: W) => void,
): void {
  const { watcher } = place;
  if (event.sequence <= watcher.after) return;
  if (watcher.where !== undefined) {
    place.matches ??= matcherOf(watcher.where);
    if (!place.matches(event.payload)) return;
  }
  found(watcher);
}

/** A filter as a function; one that this version cannot read matches nothing. */
export function matcherOf(where: Filter | undefined): (payload: unknown) => boolean {
  try {
    return compileFilter(where);
  } catch {
    return () => false;
  }
}
