/** Values: plain data of every kind that can be stored, and what cannot be. */

import { storageProblem } from "../../../shared/storable.ts";
import type { Random } from "../../chaos/random.ts";
import { key, text, word } from "./texts.ts";

const NUMBERS: readonly number[] = [
  ...[0, -0, 1, -1, 0.5, 2 ** 31, -(2 ** 31), 2 ** 32, 2 ** 53 - 1, 2 ** 53, -(2 ** 53), 2 ** 63],
  ...[Number.MAX_VALUE, Number.MIN_VALUE, Number.EPSILON, Infinity, -Infinity, Number.NaN],
  ...[8.64e15, -8.64e15, 8.64e15 + 1, 1.7e12, 100_000, 100_001, 65_535, 65_536, 255, 256, 23, 24],
];

/** Any number. */
export function number(random: Random): number {
  const chance = random.next();
  if (chance < 0.5) return random.whole(0, 20);
  if (chance < 0.85) return random.pick(NUMBERS);
  return (random.next() - 0.5) * 10 ** random.whole(-10, 20);
}

/** What a form expects of a number of things, mostly. */
export function count(random: Random): number {
  return random.whole(0, random.chance(0.9) ? 9 : 120_000);
}

/** Any plain data. */
export function data(random: Random, depth = 3): unknown {
  if (depth > 0 && random.chance(0.45)) return container(random, depth - 1);
  switch (random.whole(0, 9)) {
    case 0:
    case 1:
    case 2:
      return text(random);
    case 3:
    case 4:
    case 5:
      return number(random);
    case 6:
      return random.pick([null, undefined, true, false]);
    case 7:
      return (BigInt(random.whole(-5, 5)) << BigInt(random.whole(0, 300))) + 1n;
    case 8:
      return new Date(random.pick([0, 1.7e12, -6.2e13, 8.64e15, Number.NaN, random.next() * 1e12]));
    default:
      return bytes(random);
  }
}

function container(random: Random, depth: number): unknown {
  const length = random.whole(0, 4);
  const items = Array.from({ length }, () => data(random, depth));
  switch (random.whole(0, 6)) {
    case 0:
    case 1:
      return items;
    case 2:
      return new Map(
        items.map((item) => [random.chance(0.5) ? key(random) : data(random, 0), item]),
      );
    case 3:
      return new Set(items);
    default:
      return record(items.map((item) => [key(random), item]));
  }
}

/** An object with these fields as its own, whatever they are called. */
export function record(fields: readonly (readonly [string, unknown])[]): object {
  const made = {};
  for (const [name, value] of fields)
    Object.defineProperty(made, name, {
      ...{ value, enumerable: true, writable: true, configurable: true },
    });
  return made;
}

function bytes(random: Random): unknown {
  const raw = Uint8Array.from({ length: random.whole(0, 4) * 8 }, () => random.whole(0, 255));
  return random.pick<() => unknown>([
    () => raw,
    () => new Float64Array(raw.buffer),
    () => new Uint16Array(raw.buffer),
    () => new BigInt64Array(raw.buffer),
    () => new Error(text(random)),
    () => new TypeError(word(random)),
    () => /a+$/gi,
  ])();
}

/** JSON data, whatever its keys are. */
export function json(random: Random, depth = 4): unknown {
  if (depth > 0 && random.chance(0.5)) {
    const items = Array.from({ length: random.whole(0, 4) }, () => json(random, depth - 1));
    return random.chance(0.4) ? items : record(items.map((item) => [key(random), item]));
  }
  return random.pick<() => unknown>([
    () => text(random),
    () => random.whole(-5, 5),
    () => random.pick([1.5, 1e300, -0, 2 ** 53]),
    () => random.pick([null, true, false]),
  ])();
}

/** Anything that code may pass by mistake or malice. */
export function anything(random: Random): unknown {
  if (random.chance(0.5)) return data(random);
  const inner = data(random, 1);
  return random.pick<() => unknown>([
    () => () => inner,
    () => Symbol(word(random)),
    () => Promise.resolve(inner),
    () => circle(inner),
    () => nested(random.whole(150, 450), inner),
    () => new Array(random.pick([3, 2 ** 12, 2 ** 31])),
    () => Object.create(null, { a: { value: inner, enumerable: true } }),
    () => angry(),
    () => ({ toJSON: () => inner }),
    () => ({ [Symbol.iterator]: () => ({ next: () => ({ done: false, value: 1 }) }) }),
    () =>
      new (class Point {
        x = inner;
      })(),
    () => Object.assign([inner], { extra: inner }),
    () => new WeakMap(),
    () => new Proxy({}, { get: () => inner, ownKeys: () => ["a"] }),
    () => Object.assign(new Date(0), { getTime: 5, toISOString: null }),
    () => new ArrayBuffer(16),
    () => new DataView(new ArrayBuffer(8)),
    () => [data(random), () => 1],
    () => ({ [key(random)]: [inner, Symbol.iterator] }),
  ])();
}

function circle(inner: unknown): unknown {
  const list: unknown[] = [inner];
  list.push({ list });
  return list;
}

function nested(levels: number, inner: unknown): unknown {
  let value = inner;
  for (let i = 0; i < levels; i++) value = i % 2 === 0 ? [value] : { value };
  return value;
}

function angry(): unknown {
  return {
    get field() {
      throw new RangeError("not now");
    },
  };
}

/** Data that can be stored: nearly all can. */
export function storable(random: Random, depth = 5): unknown {
  return storableOr(data(random, depth), null);
}

/** A value, or another one where it cannot be stored. */
export function storableOr<T>(value: T, other: T): T {
  return storageProblem(value) === undefined ? value : other;
}

/** A copy in which one or two places hold something else; lists get longer, shorter, and mixed up. */
export function mutated(random: Random, value: unknown, other: () => unknown): unknown {
  if (random.chance(0.12)) return other();
  if (Array.isArray(value) && value.length > 0) {
    const copy: unknown[] = [...(value as unknown[])];
    const at = random.whole(0, copy.length - 1);
    const chance = random.next();
    if (chance < 0.08) copy.splice(at, 1);
    else if (chance < 0.16) copy.splice(at, 0, copy[random.whole(0, copy.length - 1)]);
    else copy[at] = mutated(random, copy[at], other);
    return copy;
  }
  if (typeof value === "object" && value !== null && isPlain(value)) {
    const fields = Object.entries(value);
    if (fields.length === 0) return other();
    const at = random.whole(0, fields.length - 1);
    const [name, inner] = fields[at] as [string, unknown];
    const chance = random.next();
    if (chance < 0.1) fields.splice(at, 1);
    else if (chance < 0.2) fields.push([key(random), other()]);
    else fields[at] = [name, mutated(random, inner, other)];
    return record(fields);
  }
  return other();
}

function isPlain(value: object): boolean {
  return Object.getPrototypeOf(value) === Object.prototype;
}
