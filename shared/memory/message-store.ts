/**
 * The messages of one stream, or what one of its replicas knows of them: by sequence and by subject.
 * Removing leaves holes; sequences are never used again.
 */
import { hasWildcard, type SubjectFilter, testOf } from "./subject-pattern.ts";

/** A message of a stream. Never changed. */
export interface StoredRecord {
  readonly sequence: number;
  /** Milliseconds since the epoch, to the microsecond. */
  readonly timeMs: number;
  readonly subject: string;
  /** As they go over the wire; empty when there are none. */
  readonly headers: string;
  readonly data: Uint8Array;
}

/** Messages by sequence and by subject. */
export class MessageStore {
  /** At the index of its sequence less `#base`. */
  #records: (StoredRecord | undefined)[] = [];
  #base = 1;
  readonly #subjects: Map<string, number[]> = new Map();
  #count = 0;
  #bytes = 0;
  #lastSequence = 0;

  /** How many messages there are. */
  get count(): number {
    return this.#count;
  }

  /** About what the server counts for them. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The sequence of the last message that was stored, whether or not it is still there. */
  get lastSequence(): number {
    return this.#lastSequence;
  }

  /** The sequence of the first message; one more than the last when none is left, 0 at first. */
  get firstSequence(): number {
    if (this.#lastSequence === 0) return 0;
    return this.#base;
  }

  /** How many subjects have a message. */
  get subjectCount(): number {
    return this.#subjects.size;
  }

  /** All subjects that have a message and match. */
  subjects(pattern: string): string[] {
    if (!hasWildcard(pattern)) return this.#subjects.has(pattern) ? [pattern] : [];
    return [...this.#subjects.keys()].filter(testOf(pattern));
  }

  /** The sequences of a literal subject, ascending. */
  sequencesOf(subject: string): readonly number[] {
    return this.#subjects.get(subject) ?? [];
  }

  append(record: StoredRecord): void {
    this.#records.push(record);
    this.#lastSequence = record.sequence;
    this.#count++;
    this.#bytes += sizeOf(record);
    const sequences = this.#subjects.get(record.subject);
    if (sequences) sequences.push(record.sequence);
    else this.#subjects.set(record.subject, [record.sequence]);
  }

  /** Removes a message, if it is there, and returns it. */
  remove(sequence: number): StoredRecord | undefined {
    const record = this.get(sequence);
    if (record === undefined) return undefined;
    this.#records[sequence - this.#base] = undefined;
    this.#count--;
    this.#bytes -= sizeOf(record);
    const sequences = this.#subjects.get(record.subject) ?? [];
    if (sequences.length <= 1) this.#subjects.delete(record.subject);
    else sequences.splice(sequences.indexOf(sequence), 1);
    this.#trim();
    return record;
  }

  get(sequence: number): StoredRecord | undefined {
    return this.#records[sequence - this.#base];
  }

  /** The last message of a subject or of all subjects of a pattern. */
  last(pattern: string): StoredRecord | undefined {
    let last = 0;
    for (const subject of this.subjects(pattern))
      last = Math.max(last, this.#subjects.get(subject)?.at(-1) ?? 0);
    return this.get(last);
  }

  /** The first matching message at or after a sequence. */
  next(filter: SubjectFilter, from: number): StoredRecord | undefined {
    if (filter.literals) {
      let next = Number.POSITIVE_INFINITY;
      for (const subject of filter.literals)
        next = Math.min(next, firstFrom(this.sequencesOf(subject), from) ?? next);
      return this.get(next);
    }
    for (let i = Math.max(from - this.#base, 0); i < this.#records.length; i++) {
      const record = this.#records[i];
      if (record && filter.matches(record.subject)) return record;
    }
    return undefined;
  }

  /** How many messages at or after a sequence match. */
  countFrom(filter: SubjectFilter, from: number): number {
    let count = 0;
    if (filter.literals)
      for (const subject of filter.literals)
        count += this.sequencesOf(subject).filter((sequence) => sequence >= from).length;
    else
      for (let i = Math.max(from - this.#base, 0); i < this.#records.length; i++) {
        const record = this.#records[i];
        if (record && filter.matches(record.subject)) count++;
      }
    return count;
  }

  /** The sequence of the last message, up to a sequence, of each subject that matches, ascending. */
  lasts(patterns: readonly string[], upTo: number): number[] {
    const sequences = new Set<number>();
    for (const pattern of patterns)
      for (const subject of this.subjects(pattern)) {
        const last = lastUpTo(this.sequencesOf(subject), upTo);
        if (last !== undefined) sequences.add(last);
      }
    return [...sequences].sort((a, b) => a - b);
  }

  /** The matching messages before a sequence, without the last ones that are to be kept. */
  purgeable(pattern: string, { before, keep }: { before: number; keep: number }): number[] {
    const sequences: number[] = [];
    for (const subject of this.subjects(pattern))
      for (const sequence of this.sequencesOf(subject)) sequences.push(sequence);
    sequences.sort((a, b) => a - b);
    const kept = keep > 0 ? sequences.slice(0, -keep) : sequences;
    return before > 0 ? kept.filter((sequence) => sequence < before) : kept;
  }

  /** Forgets what stands before the first message that is left. */
  #trim(): void {
    let gone = 0;
    while (gone < this.#records.length && this.#records[gone] === undefined) gone++;
    // The rest is copied, so not for every single message that goes.
    if (gone === 0) return;
    this.#records = this.#records.slice(gone);
    this.#base += gone;
  }
}

function sizeOf({ subject, headers, data }: StoredRecord): number {
  return subject.length + headers.length + data.length + (headers === "" ? 30 : 34);
}

/** The first number not below `from` in an ascending list. */
function firstFrom(sequences: readonly number[], from: number): number | undefined {
  return sequences[indexFrom(sequences, from)];
}

function lastUpTo(sequences: readonly number[], upTo: number): number | undefined {
  return sequences[indexFrom(sequences, upTo + 1) - 1];
}

function indexFrom(sequences: readonly number[], from: number): number {
  let [low, high] = [0, sequences.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((sequences[middle] as number) < from) low = middle + 1;
    else high = middle;
  }
  return low;
}
