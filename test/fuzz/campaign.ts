/**
 * Gives inputs to targets and looks at what must hold for all of them: nothing but a value or an error
 * of the expected class, the prototypes untouched, memory bounded. Runs in a thread of its own, which
 * says what it is at, so that whoever watches it can tell a hang and a lack of memory.
 *
 * Z1. An input is a function of seed, target and number: any can be made again alone.
 */

import { inspect } from "node:util";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { Random } from "../chaos/random.ts";
import { hold, type Target } from "./target.ts";

/** What a thread says now and then. */
export interface Progress {
  readonly target: string;
  readonly inputs: number;
  readonly ms: number;
  /** The slowest input so far, and its number. */
  readonly slowestMs: number;
  readonly slowest: number;
}

/** What a thread found. */
export interface Failure {
  readonly target: string;
  readonly number: number;
  readonly error: string;
  readonly input: string;
}

/** How a thread is told what to do. */
export interface CampaignOptions {
  readonly seed: string;
  /** The number of its first input of each target, and how far apart they are. */
  readonly first: number;
  readonly stride: number;
  /** So many inputs of each target; else until it is ended. */
  readonly inputs?: number;
  /** Time for one target before the next has its turn. */
  readonly sliceMs?: number;
  /** What the thread is at: position of the target, number of the input, and a count that grows. */
  readonly at: Int32Array;
}

/** Where in `at` it says what. */
export const AT = { target: 0, number: 1, count: 2 } as const;

const SLICE_MS = 200;
/** One in so many inputs is weighed, behind a garbage collection, which takes milliseconds. */
const WEIGHED = 997;
/** What reading one input may leave behind until the next garbage collection. */
const INPUT_BYTES = 64 * 1024 * 1024;
/** ... and for each byte of the input, at most. */
const BYTES_PER_BYTE = 2_000;
/** What many inputs may leave behind for good. */
const GROWTH_BYTES = 48 * 1024 * 1024;
const GROWTH_EVERY = 20_000;
const SHOWN = 4_000;

/** One target in turn with others. */
interface Turn {
  readonly target: Target;
  readonly position: number;
  next: number;
  inputs: number;
  ms: number;
  slowestMs: number;
  slowest: number;
}

/**
 * Goes through all targets in turn.
 * @param tell Called after each turn.
 * @param fail Called with the first failure of a target, which has no more turns.
 */
export async function campaign(
  targets: readonly Target[],
  options: CampaignOptions,
  tell: (progress: Progress) => void,
  fail: (failure: Failure) => void,
): Promise<void> {
  const { first, inputs = Number.POSITIVE_INFINITY, sliceMs = SLICE_MS } = options;
  const growth = new Growth();
  const failed = new Set<Turn>();
  let turns = targets.map(
    (target, position): Turn => ({
      ...{ target, position, next: first, inputs: 0, ms: 0, slowestMs: 0, slowest: first },
    }),
  );
  while (turns.length > 0) {
    for (const turn of turns) {
      const failure = await slice(turn, options, sliceMs, growth);
      const { target, inputs: done, ms, slowestMs, slowest } = turn;
      tell({ target: target.name, inputs: done, ms, slowestMs, slowest });
      if (!failure) continue;
      fail(failure);
      failed.add(turn);
    }
    turns = turns.filter((turn) => turn.inputs < inputs && !failed.has(turn));
    await new Promise(setImmediate); // what was told goes out
  }
}

async function slice(
  turn: Turn,
  { seed, stride, inputs = Number.POSITIVE_INFINITY, at }: CampaignOptions,
  sliceMs: number,
  growth: Growth,
): Promise<Failure | undefined> {
  const { target } = turn;
  const beganAt = performance.now();
  Atomics.store(at, AT.target, turn.position);
  let now = beganAt;
  while (turn.inputs < inputs && now - beganAt < sliceMs) {
    const number = turn.next;
    turn.next += stride;
    turn.inputs++;
    Atomics.store(at, AT.number, number);
    Atomics.add(at, AT.count, 1);
    const failure = await one(target, seed, number, growth.isWeighed());
    if (failure) return failure;
    const then = performance.now();
    if (then - now > turn.slowestMs) [turn.slowestMs, turn.slowest] = [then - now, number];
    now = then;
    const grown = growth.after(target.name, number);
    if (grown) return grown;
  }
  turn.ms += performance.now() - beganAt;
  return undefined;
}

/** Gives one input to one target. */
export async function one(
  target: Target,
  seed: string,
  number: number,
  isWeighed = true,
): Promise<Failure | undefined> {
  let input: unknown;
  try {
    input = target.make(new Random(seed, target.name, number));
    if (isWeighed) collect();
    const before = isWeighed ? weight() : 0;
    const checked = target.check(input as never);
    if (checked instanceof Promise) await checked;
    if (isWeighed) weigh(input, weight() - before);
    untouched();
    return undefined;
  } catch (error) {
    return { target: target.name, number, error: shown(error), input: shown(input) };
  }
}

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

function weight(): number {
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

function weigh(input: unknown, bytes: number): void {
  const size = typeof input === "string" || input instanceof Uint8Array ? input.length : 20_000;
  const isBounded = bytes <= INPUT_BYTES + BYTES_PER_BYTE * size;
  hold(isBounded, `an input of ${size} bytes or so took ${bytes} bytes of memory`);
}

const PROTOTYPES = [Object, Array, Function, String, Number, Map, Set, Uint8Array, Error, Date].map(
  (made) => made.prototype as object,
);
const fields = (): string => PROTOTYPES.map((each) => Reflect.ownKeys(each).length).join();
const FIELDS = fields();

/** No prototype has a field more or less, and none that a loop over an object would see. */
function untouched(): void {
  for (const name in {}) hold(false, `Object.prototype has the field ${JSON.stringify(name)}`);
  hold(fields() === FIELDS, "a prototype has other fields than before");
}

/** Looks from time to time at what is left after a garbage collection. */
class Growth {
  #inputs = 0;
  #first: number | undefined;

  /** Whether it is the turn of an input to be weighed. */
  isWeighed(): boolean {
    return this.#inputs % WEIGHED === WEIGHED - 1;
  }

  after(target: string, number: number): Failure | undefined {
    if (++this.#inputs % GROWTH_EVERY !== 0) return undefined;
    collect();
    const now = weight();
    this.#first ??= now;
    const grown = now - this.#first;
    if (grown <= GROWTH_BYTES) return undefined;
    const error = `Memory has grown by ${grown} bytes over ${this.#inputs} inputs, which no collection frees.`;
    return { target, number, error, input: "all before it" };
  }
}

/** A value as text, cut where it is long. */
export function shown(value: unknown): string {
  if (value instanceof Error) return value.stack ?? String(value);
  if (value instanceof Uint8Array) return `0x${Buffer.from(value).toString("hex")}`.slice(0, SHOWN);
  return inspect(value, { depth: 8, maxArrayLength: 50, maxStringLength: 1_000 }).slice(0, SHOWN);
}
