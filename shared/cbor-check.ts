/**
 * Looks through CBOR before the decoder does. The decoder builds what it reads, calls itself for
 * every level, and knows more than plain data: tables of shared values that double with each level,
 * references that make circles, integers of a million digits that take minutes to read. What
 * strangers publish must not get that far.
 *
 * B1. Accepted bytes hold exactly one item of plain data, with known tags only.
 * B2. Looking takes time in proportion to the bytes, and no memory but one number a level.
 */
import { BIG_INTEGER_BYTES, VALUE_DEPTH } from "./limits.ts";

/** Tags of dates, big integers, errors and expressions, sets, maps, and lists of numbers. */
const TAGS: ReadonlySet<number> = new Set([
  ...[0, 1, 2, 3, 27, 258, 259, 55_799],
  ...[64, 65, 66, 67, 68, 69, 70, 71, 72, 73, 74, 75, 77, 78, 79, 81, 82, 85, 86],
]);
/** The tag of a reference to a payload, which only messages of ours may hold. */
export const REFERENCE_TAG = 40_511;
const BIG_INTEGER_TAGS: ReadonlySet<number> = new Set([2, 3]);

/** What the first three bits of an item say. */
const MAJOR = { bytes: 2, text: 3, list: 4, map: 5, tag: 6, simple: 7 } as const;
/** The other five bits: a length of 1, 2, 4 or 8 bytes follows, or the end is marked. */
const INFO = { oneByte: 24, eightBytes: 27, open: 31 } as const;
/** The least of the simple values that are known: false, true, null, undefined, then floats. */
const FALSE = 20;
/** A set or a map takes two levels: its tag, and its list. */
const DEPTH = 2 * VALUE_DEPTH;
/** In place of the number of items that are still to come: they end with a mark. */
const UNTIL_MARK = -1;

/**
 * Says why bytes are not one item of plain data, or nothing when they are.
 * @param mayRefer Whether references to payloads are known.
 * @param mostItems So many items at most, those inside of others included.
 * @returns The reason with its position, for the cause of an error.
 */
export function cborProblem(
  bytes: Uint8Array,
  mayRefer = false,
  mostItems: number = Number.POSITIVE_INFINITY,
): string | undefined {
  const walk = new Walk(bytes, mayRefer);
  let items = 0;
  do {
    if (++items > mostItems) return `more than ${mostItems} items`;
    const problem = walk.step();
    if (problem !== undefined) return `${problem}, at byte ${walk.position}`;
  } while (walk.isOpen);
  return walk.position === bytes.length ? undefined : `more follows after byte ${walk.position}`;
}

/** A text that begins with a byte order mark: where its head is, and where its bytes are. */
export interface MarkedText {
  readonly headAt: number;
  readonly textAt: number;
  readonly length: number;
}

/** The texts that begin with a byte order mark, in bytes that are known to be plain data. */
export function markedTexts(bytes: Uint8Array): MarkedText[] {
  const walk = new Walk(bytes, true);
  const found: MarkedText[] = [];
  do {
    const headAt = walk.position;
    walk.step();
    const first = bytes[headAt] as number;
    const info = first & 0x1f;
    const textAt = headAt + 1 + (info < INFO.oneByte ? 0 : 2 ** (info - INFO.oneByte));
    if (first >> 5 === MAJOR.text && BYTE_ORDER_MARK.every((byte, i) => bytes[textAt + i] === byte))
      found.push({ headAt, textAt, length: walk.position - textAt });
  } while (walk.isOpen);
  return found;
}

/** U+FEFF in UTF-8. */
export const BYTE_ORDER_MARK: readonly number[] = [0xef, 0xbb, 0xbf];

class Walk {
  position = 0;
  readonly #bytes: Uint8Array;
  /** For each list, map or tag that is begun, how many items are to come. */
  readonly #open: number[] = [];
  readonly #mayRefer: boolean;
  #isBigInteger = false;

  constructor(bytes: Uint8Array, mayRefer: boolean) {
    this.#bytes = bytes;
    this.#mayRefer = mayRefer;
  }

  get isOpen(): boolean {
    return this.#open.length > 0;
  }

  /** Goes behind the next head, and behind its item when that has no items of its own. */
  step(): string | undefined {
    const first = this.#bytes[this.position++];
    if (first === undefined) return "the bytes end too early";
    const major = first >> 5;
    const info = first & 0x1f;
    const value = this.#value(info);
    if (value === undefined) return "a length is no length";
    if (this.#isBigInteger && (major !== MAJOR.bytes || value > BIG_INTEGER_BYTES))
      return `an integer is none, or has more than ${BIG_INTEGER_BYTES} bytes`;
    this.#isBigInteger = false;
    switch (major) {
      case MAJOR.bytes:
      case MAJOR.text:
        return this.#skip(value);
      case MAJOR.list:
        return this.#begin(value);
      case MAJOR.map:
        return this.#begin(value === UNTIL_MARK ? value : 2 * value);
      case MAJOR.tag:
        this.#isBigInteger = BIG_INTEGER_TAGS.has(value);
        return TAGS.has(value) || (this.#mayRefer && value === REFERENCE_TAG)
          ? this.#begin(1)
          : `tag ${value} is not known`;
      case MAJOR.simple:
        return info === INFO.open ? this.#end() : this.#simple(info);
      default:
        return value === UNTIL_MARK ? "a number has no end" : this.#done();
    }
  }

  /** The number behind a head; nothing when the head is none or the bytes end. */
  #value(info: number): number | undefined {
    if (info < INFO.oneByte) return info;
    if (info === INFO.open) return UNTIL_MARK;
    if (info > INFO.eightBytes) return undefined;
    const end = this.position + 2 ** (info - INFO.oneByte);
    if (end > this.#bytes.length) return undefined;
    let value = 0;
    while (this.position < end) value = value * 256 + (this.#bytes[this.position++] as number);
    return value;
  }

  #skip(length: number): string | undefined {
    if (length === UNTIL_MARK) return "a text or bytes without a length";
    if (length > this.#rest) return "the bytes end too early";
    this.position += length;
    return this.#done();
  }

  #begin(count: number): string | undefined {
    if (count > this.#rest) return "the bytes end too early"; // each item has a byte at least
    if (count === 0) return this.#done();
    this.#open.push(count);
    return this.#open.length > DEPTH ? `nested more than ${DEPTH} deep` : undefined;
  }

  #simple(info: number): string | undefined {
    return info < FALSE || info === INFO.oneByte ? "a value of no known type" : this.#done();
  }

  #end(): string | undefined {
    if (this.#open.pop() !== UNTIL_MARK) return "the end of nothing";
    return this.#done();
  }

  /** An item is complete, and with it perhaps those that it is the last one of. */
  #done(): undefined {
    const open = this.#open;
    for (let at = open.length - 1; at >= 0; at--) {
      const count = open[at] as number;
      if (count === UNTIL_MARK) return;
      if (count > 1) {
        open[at] = count - 1;
        return;
      }
      open.pop();
    }
  }

  get #rest(): number {
    return this.#bytes.length - this.position;
  }
}
