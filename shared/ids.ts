/** The seam for randomness: ids that must be unique, and numbers that must be repeatable. */
import { createHash, randomBytes } from "node:crypto";

type IdSource = () => string;

/** Random bytes are asked of the system in bulk: one by one they cost a microsecond each. */
const POOL_BYTES = 4_096;
let pool = Buffer.alloc(0);
let used = 0;

const randomIds: IdSource = () => {
  if (used + 16 > pool.length) {
    pool = randomBytes(POOL_BYTES);
    used = 0;
  }
  const first = pool[used] ?? 0;
  // Not "-" or "_": on a command line an id that begins so would look like an option.
  if (first >= 0xf8) pool[used] = first & 0x7f;
  used += 16;
  return pool.toString("base64url", used - 16, used);
};
let nextId: IdSource = randomIds;

/**
 * A new id of 22 characters that no other process will make: 16 random bytes, base64url. It begins with a
 * letter or a digit.
 */
export function newId(): string {
  return nextId();
}

/**
 * Makes `newId` and `jitter` of this process repeat themselves for one seed, until the returned
 * function is called. For simulations: ids of two processes with one seed are the same.
 */
export function seedIds(seed: string): () => void {
  let count = 0;
  nextId = () => hashId(seed, count++);
  jitterSource = undefined;
  return () => {
    nextId = randomIds;
    jitterSource = undefined;
  };
}

/** The same 22 characters for the same parts, on every machine: 128 bits of SHA-256, base64url. */
export function hashId(...parts: readonly (string | number)[]): string {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(`${String(part).length}:${part},`);
  return hash.digest().subarray(0, 16).toString("base64url");
}

/** Returns numbers in [0, 1), always the same ones for one seed (the mulberry32 generator). */
export type RandomSource = () => number;

/** A random source that repeats itself for one seed. Not for secrets. */
export function seededRandom(seed: string): RandomSource {
  let state = createHash("sha256").update(seed).digest().readUInt32LE(0);
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

let jitterSource: RandomSource | undefined;

/** A number in [0, 1) that keeps processes from doing the same thing at the same time. */
export function jitter(): number {
  jitterSource ??= seededRandom(newId());
  return jitterSource();
}
