/** CBOR written by hand, head by head: what no encoder writes. */
import type { Random } from "../../chaos/random.ts";
import { key, text } from "./texts.ts";

/** Those that mean something to some decoder: of ours, of cbor-x, of the registry. */
const TAGS: readonly number[] = [
  ...[0, 1, 2, 3, 4, 5, 6, 14, 15, 21, 24, 25, 27, 28, 29, 30, 51, 105, 224, 225, 258, 259, 261],
  ...[64, 65, 66, 67, 68, 69, 70, 71, 72, 73, 74, 75, 76, 77, 78, 79, 80, 81, 82, 85, 86],
  ...[40_511, 55_799, 57_337, 57_342, 57_343, 27_647, 28_704, 0x53687264, 0x7fffffff, 2 ** 40],
];
/** The decoder knows these, and plain data may have them. */
const PLAIN_TAGS: readonly number[] = [0, 1, 2, 3, 27, 64, 69, 72, 79, 85, 86, 258, 259, 55_799];

const MAJOR = { unsigned: 0, negative: 1, bytes: 2, text: 3, list: 4, map: 5, tag: 6, simple: 7 };
const OPEN = 31;
const BREAK = 0xff;
const utf8 = new TextEncoder();

/** Bytes that may be CBOR. @param isWellFormed Whether every head says what follows it. */
export function cbor(random: Random, isWellFormed: boolean = random.chance(0.6)): Uint8Array {
  if (random.chance(0.004)) return extreme(random);
  const writer = new Writer(random, isWellFormed);
  writer.item(random.whole(0, 5));
  return writer.bytes();
}

class Writer {
  readonly #random: Random;
  readonly #isWellFormed: boolean;
  readonly #written: number[] = [];

  constructor(random: Random, isWellFormed: boolean) {
    this.#random = random;
    this.#isWellFormed = isWellFormed;
  }

  bytes(): Uint8Array {
    return Uint8Array.from(this.#written);
  }

  item(depth: number): void {
    const random = this.#random;
    const major = random.whole(0, depth > 0 ? 7 : 3);
    switch (major) {
      case MAJOR.unsigned:
      case MAJOR.negative:
        return head(this.#written, major, this.#integer(), random);
      case MAJOR.bytes:
        return this.#string(major, this.#raw(random.whole(0, 4) * random.pick([1, 8])));
      case MAJOR.text:
        return this.#string(major, random.chance(0.95) ? utf8.encode(text(random)) : this.#raw(5));
      case MAJOR.list:
        return this.#items(major, random.whole(0, 4), () => this.item(depth - 1));
      case MAJOR.map:
        return this.#items(major, random.whole(0, 3), () => {
          if (random.chance(0.7)) this.#string(MAJOR.text, utf8.encode(key(random)));
          else this.item(depth - 1);
          this.item(depth - 1);
        });
      case MAJOR.tag:
        return this.#tag(depth - 1);
      default:
        return this.#simple();
    }
  }

  #tag(depth: number): void {
    const random = this.#random;
    const tag = random.pick(random.chance(0.7) ? PLAIN_TAGS : TAGS);
    head(this.#written, MAJOR.tag, tag, random);
    if (random.chance(0.5)) return this.item(depth);
    if (tag === 27)
      return this.#items(MAJOR.list, 3, () =>
        this.#string(
          MAJOR.text,
          utf8.encode(random.pick(["RegExp", "Error", "eval", "a", "(", "g"])),
        ),
      );
    if (tag === 258) return this.#items(MAJOR.list, 2, () => this.item(depth));
    if (tag === 259)
      return this.#items(MAJOR.map, 2, () => {
        this.item(depth);
        this.item(depth);
      });
    if (tag === 40_511)
      return this.#items(MAJOR.list, 3, () => this.#string(MAJOR.text, utf8.encode("a.b.c")));
    return this.#string(MAJOR.bytes, this.#raw(random.whole(0, 4) * 8));
  }

  #simple(): void {
    const random = this.#random;
    const info = random.pick([
      20,
      21,
      22,
      23,
      25,
      26,
      27,
      ...(this.#isWellFormed ? [] : [0, 24, 31]),
    ]);
    this.#written.push((MAJOR.simple << 5) | info);
    const lengths: { readonly [info: number]: number } = { 24: 1, 25: 2, 26: 4, 27: 8 };
    const special = random.pick([0, 0x7c, 0x7f, 0xff, 0x80, random.whole(0, 255)]);
    for (let i = 0; i < (lengths[info] ?? 0); i++)
      this.#written.push(i === 0 ? special : random.whole(0, 255));
  }

  #string(major: number, raw: Uint8Array): void {
    head(this.#written, major, this.#length(raw.length), this.#random);
    for (const byte of raw) this.#written.push(byte);
  }

  #items(major: number, count: number, one: () => void): void {
    const isOpen = this.#random.chance(0.15);
    if (isOpen) this.#written.push((major << 5) | OPEN);
    else head(this.#written, major, this.#length(count), this.#random);
    for (let i = 0; i < count; i++) one();
    if (isOpen && (this.#isWellFormed || this.#random.chance(0.8))) this.#written.push(BREAK);
  }

  /** What a head says: what is there, or anything. */
  #length(there: number): number {
    const random = this.#random;
    if (this.#isWellFormed || random.chance(0.9)) return there;
    return random.pick([0, there + 1, 23, 255, 65_536, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 53]);
  }

  #integer(): number {
    const random = this.#random;
    return random.chance(0.5)
      ? random.whole(0, 30)
      : random.pick([255, 256, 65_535, 65_536, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 53, 2 ** 63]);
  }

  #raw(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => this.#random.whole(0, 255));
  }
}

/** A head, sometimes longer than it has to be. */
function head(into: number[], major: number, value: number, random: Random): void {
  const least = value < 24 ? 0 : value < 2 ** 8 ? 1 : value < 2 ** 16 ? 2 : value < 2 ** 32 ? 4 : 8;
  const length = random.chance(0.95) ? least : Math.max(least, random.pick([1, 2, 4, 8]));
  if (length === 0) {
    into.push((major << 5) | value);
    return;
  }
  into.push((major << 5) | (24 + Math.log2(length)));
  for (let i = length - 1; i >= 0; i--) into.push(Math.floor(value / 2 ** (8 * i)) % 256);
}

/** Heads that promise a lot, and a nesting that has no end. */
function extreme(random: Random): Uint8Array {
  const levels = random.pick([300, 401, 10_000, 50_000]);
  const one = random.pick([
    [0x81],
    [0x9f],
    [0xa1, 0x01],
    [0xd9, 0x01, 0x02],
    [0xd9, 0x01, 0x03],
    [0xc2],
  ]);
  const promise = random.pick([
    [0x9a, 0xff, 0xff, 0xff, 0xff],
    [0x9a, 0x01, 0xff, 0xff, 0xff],
    [0xba, 0x7f, 0xff, 0xff, 0xff],
    [0x5a, 0xff, 0xff, 0xff, 0xff],
    [0x7b, 0, 0, 0, 1, 0, 0, 0, 0],
    [0xc2, 0x5a, 0, 1, 0, 0],
  ]);
  const unit = random.chance(0.5) ? one : promise;
  return repeated(unit, levels, random.pick([0x01, 0x80, 0xff, 0xa0, 0xf6]));
}

/** Bytes again and again, and one more. */
export function repeated(unit: readonly number[], times: number, last: number): Uint8Array {
  const made = new Uint8Array(unit.length * times + 1);
  for (let i = 0; i < times; i++) made.set(unit, i * unit.length);
  made[made.length - 1] = last;
  return made;
}
