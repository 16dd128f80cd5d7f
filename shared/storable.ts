/**
 * What can be stored: plain data, and what the encoder keeps of other things. It is looked through
 * before it is encoded, because the encoder follows circles until memory ends, turns promises into
 * empty objects, and reads an endless iterator to its end.
 */
import { BIG_INTEGER_BYTES, VALUE_BYTES, VALUE_DEPTH } from "./limits.ts";

/** Why a value cannot be stored. */
export interface StorageProblem {
  /** What is wrong, as the end of a sentence: `is a function`. */
  readonly text: string;
  /** Where inside the value; empty for the value itself. */
  readonly path: readonly (string | number)[];
  /** It is only too large. */
  readonly isTooLarge: boolean;
}

const LARGEST_BIG_INTEGER = 2n ** BigInt(BIG_INTEGER_BYTES * 8);
/** What a value takes besides its text or bytes, at least. */
const FRAME_BYTES = 1;

/**
 * Says why a value cannot be stored, or nothing when it can. Calls getters and `toJSON`.
 * @throws What a getter or `toJSON` throws.
 */
export function storageProblem(value: unknown): StorageProblem | undefined {
  return look(value, 0, { left: VALUE_BYTES });
}

interface Budget {
  /** Bytes that the rest may take. A value that is reachable in two ways is stored twice. */
  left: number;
}

function look(value: unknown, depth: number, budget: Budget): StorageProblem | undefined {
  budget.left -= typeof value === "string" ? value.length : FRAME_BYTES;
  if (budget.left < 0) return tooLarge();
  switch (typeof value) {
    case "function":
      return problem("is a function");
    case "symbol":
      return problem("is a symbol");
    case "bigint":
      return value < LARGEST_BIG_INTEGER && value >= -LARGEST_BIG_INTEGER
        ? undefined
        : problem(`is an integer of more than ${BIG_INTEGER_BYTES} bytes`);
    case "object":
      return value === null ? undefined : lookInto(value, depth, budget);
    default:
      return undefined;
  }
}

function lookInto(object: object, depth: number, budget: Budget): StorageProblem | undefined {
  if (depth >= VALUE_DEPTH) return problem(`is circular, or nested more than ${VALUE_DEPTH} deep`);
  if (Array.isArray(object)) return lookAt(object, depth, budget);
  if (object instanceof Map)
    return lookAt([...object.keys()], depth, budget) ?? lookAt([...object.values()], depth, budget);
  if (object instanceof Set) return lookAt([...object], depth, budget);
  if (ArrayBuffer.isView(object) || object instanceof ArrayBuffer) {
    budget.left -= object.byteLength;
    return budget.left < 0 ? tooLarge() : undefined;
  }
  if (object instanceof Date || object instanceof RegExp || object instanceof Error)
    return undefined;
  if (object instanceof Promise) return problem("is a promise; await it first");
  if (Symbol.iterator in object || Symbol.asyncIterator in object)
    return problem("is an iterator or a stream; collect it into a list first");
  if ("toJSON" in object && !isPlain(object) && object.toJSON)
    return typeof object.toJSON === "function"
      ? look(object.toJSON(), depth + 1, budget)
      : problem('has a field "toJSON", and no class that is known; the encoder would call it');
  return lookAtFields(object as Fields, depth, budget);
}

type Fields = { readonly [field: string]: unknown };

function lookAt(
  items: readonly unknown[],
  depth: number,
  budget: Budget,
): StorageProblem | undefined {
  if (items.length > budget.left) return tooLarge(); // also a list of nothing but holes
  for (let i = 0; i < items.length; i++) {
    const found = look(items[i], depth + 1, budget);
    if (found) return inside(i, found);
  }
  return undefined;
}

function lookAtFields(object: Fields, depth: number, budget: Budget): StorageProblem | undefined {
  for (const key of Object.keys(object)) {
    budget.left -= key.length;
    const found = look(object[key], depth + 1, budget);
    if (found) return inside(key, found);
  }
  return undefined;
}

function inside(key: string | number, found: StorageProblem): StorageProblem {
  return { ...found, path: [key, ...found.path] };
}

function isPlain(object: object): boolean {
  return (object as { readonly constructor?: unknown }).constructor === Object;
}

function problem(text: string): StorageProblem {
  return { text, path: [], isTooLarge: false };
}

function tooLarge(): StorageProblem {
  return { text: `takes more than ${VALUE_BYTES} bytes`, path: [], isTooLarge: true };
}
