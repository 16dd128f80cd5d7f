/**
 * Finds who waits for an event without asking everybody: by name, and by one value that the filter
 * demands. Pure.
 *
 * I1. Whoever matches an event is found, exactly once.
 * I2. The cost of an event does not grow with those who wait for other values of the same field.
 */
import {
  compileFilter,
  type EqualityKey,
  equalityKeys,
  type Filter,
  valuesAt,
} from "../shared/filters.ts";
import { NameTree } from "./name-tree.ts";

/** An event as filters see it. */
export interface MatchableEvent {
  readonly sequence: number;
  readonly name: string;
  /** Decoded; may cost something when it is read first. */
  readonly payload: unknown;
}

/** Somebody who waits for events. In one index at a time, which keeps its own notes on it. */
export interface Watcher {
  /** A name, or a pattern. */
  readonly name: string;
  readonly where?: Filter | undefined;
  /** Only events with a higher sequence count. */
  readonly after: number;
  /** Where the index keeps it. */
  indexedBy?: IndexKey | undefined;
  /** Compiled when it is needed first: most filters see the one event that they were made for. */
  matches?: (payload: unknown) => boolean;
}

/** Alone under its name, among those whose filters demand no single value, or by one value. */
type IndexKey = "name" | "others" | EqualityKey;

type Value = string | number | boolean;

/** One, or several of them, without a set for one. */
type OneOrMore<W> = W | Set<W>;

/** Those who wait for one name or pattern. */
interface Bucket<W> {
  /** By one value that their filters demand. */
  readonly byValue: Map<string, Map<Value, OneOrMore<W>>>;
  /** Those whose filters demand no single value. */
  readonly others: Set<W>;
}

/** Watchers by what they wait for. */
export class EventIndex<W extends Watcher> {
  /** Names that hold an id have one watcher each: they are kept without a bucket. */
  readonly #alone = new Map<string, W>();
  readonly #exact = new Map<string, Bucket<W>>();
  readonly #patterns = new NameTree<Bucket<W>>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  add(watcher: W): void {
    if (watcher.indexedBy !== undefined) return;
    this.#size++;
    const { name } = watcher;
    if (isEventPattern(name)) {
      const bucket = this.#patterns.get(name) ?? newBucket<W>();
      this.#patterns.set(name, bucket);
      put(bucket, watcher);
      return;
    }
    let bucket = this.#exact.get(name);
    const other = this.#alone.get(name);
    if (bucket === undefined && other === undefined) {
      this.#alone.set(name, watcher);
      watcher.indexedBy = "name";
      return;
    }
    bucket ??= newBucket<W>();
    this.#exact.set(name, bucket);
    if (other !== undefined) {
      this.#alone.delete(name);
      put(bucket, other);
    }
    put(bucket, watcher);
  }

  delete(watcher: W): void {
    const { name, indexedBy } = watcher;
    if (indexedBy === undefined) return;
    this.#size--;
    watcher.indexedBy = undefined;
    if (indexedBy === "name") {
      this.#alone.delete(name);
      return;
    }
    const buckets = isEventPattern(name) ? this.#patterns : this.#exact;
    const bucket = buckets.get(name);
    if (bucket === undefined) return;
    if (indexedBy === "others") bucket.others.delete(watcher);
    else takeOut(bucket, watcher, indexedBy);
    if (bucket.others.size === 0 && bucket.byValue.size === 0) buckets.delete(name);
  }

  /** Calls back with each watcher that the event matches. The callback may delete watchers, not add any. */
  match(event: MatchableEvent, found: (watcher: W) => void): void {
    const alone = this.#alone.get(event.name);
    if (alone !== undefined) visit(alone, event, found);
    const exact = this.#exact.get(event.name);
    if (exact !== undefined) visitBucket(exact, event, found);
    for (const bucket of this.#patterns.covering(event.name)) visitBucket(bucket, event, found);
  }
}

function newBucket<W>(): Bucket<W> {
  return { byValue: new Map(), others: new Set() };
}

function put<W extends Watcher>(bucket: Bucket<W>, watcher: W): void {
  const key = rarestKey(bucket, watcher);
  watcher.indexedBy = key ?? "others";
  if (key === undefined) {
    bucket.others.add(watcher);
    return;
  }
  const [path, value] = key;
  const values = bucket.byValue.get(path) ?? new Map<Value, OneOrMore<W>>();
  bucket.byValue.set(path, values);
  const others = values.get(value);
  if (others === undefined) values.set(value, watcher);
  else if (others instanceof Set) others.add(watcher);
  else values.set(value, new Set([others, watcher]));
}

function takeOut<W>(bucket: Bucket<W>, watcher: W, [path, value]: EqualityKey): void {
  const values = bucket.byValue.get(path);
  const others = values?.get(value);
  if (values === undefined || others === undefined) return;
  if (others instanceof Set && others.delete(watcher) && others.size > 0) return;
  values.delete(value);
  if (values.size === 0) bucket.byValue.delete(path);
}

/** Whether a name has wildcards. */
export function isEventPattern(name: string): boolean {
  return name.includes("*") || name.includes(">");
}

/** Of the values that the filter demands, the one that the fewest others demand too. */
function rarestKey<W extends Watcher>(bucket: Bucket<W>, { where }: W): EqualityKey | undefined {
  let rarest: EqualityKey | undefined;
  let fewest = Number.POSITIVE_INFINITY;
  for (const key of keysOf(where)) {
    const others = bucket.byValue.get(key[0])?.get(key[1]);
    const count = others instanceof Set ? others.size : others === undefined ? 0 : 1;
    if (count < fewest) [rarest, fewest] = [key, count];
  }
  return rarest;
}

/** The values that a filter demands; none for one that this version cannot read. */
export function keysOf(where: Filter | undefined): readonly EqualityKey[] {
  try {
    return equalityKeys(where);
  } catch {
    return []; // it will match nothing
  }
}

function visitBucket<W extends Watcher>(
  bucket: Bucket<W>,
  event: MatchableEvent,
  found: (watcher: W) => void,
): void {
  for (const watcher of bucket.others) visit(watcher, event, found);
  for (const [path, values] of bucket.byValue)
    for (const value of valuesAt(event.payload, path)) {
      const watchers = values.get(value);
      if (watchers instanceof Set) for (const watcher of watchers) visit(watcher, event, found);
      else if (watchers !== undefined) visit(watchers, event, found);
    }
}

function visit<W extends Watcher>(
  watcher: W,
  event: MatchableEvent,
  found: (watcher: W) => void,
): void {
  if (event.sequence <= watcher.after) return;
  if (watcher.where !== undefined) {
    watcher.matches ??= matcherOf(watcher.where);
    if (!watcher.matches(event.payload)) return;
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
