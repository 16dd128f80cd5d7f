/** Stored values as JSON, for callers that know nothing else. */

/**
 * Writes any value that a log can hold. What JSON has no form for becomes text or plain data: big
 * integers and dates are texts, bytes are base64, maps are objects, sets are lists, NaN is null.
 */
export function toJson(value: unknown): string {
  return JSON.stringify(value ?? null, replace);
}

/** `this` is the holder of the value, which still has the bytes that Node would turn into objects. */
function replace(this: unknown, key: string, value: unknown): unknown {
  const original = (this as Readonly<Record<string, unknown>>)[key];
  if (ArrayBuffer.isView(original))
    return Buffer.from(original.buffer, original.byteOffset, original.byteLength).toString(
      "base64",
    );
  if (value instanceof ArrayBuffer) return Buffer.from(value).toString("base64");
  if (typeof value === "bigint" || value instanceof RegExp) return String(value);
  if (value instanceof Map)
    return Object.fromEntries([...value].map(([name, inner]) => [keyText(name), inner as unknown]));
  if (value instanceof Set) return [...(value as Set<unknown>)];
  if (value instanceof Error) return { name: value.name, message: value.message };
  return value;
}

/** Objects as keys are written as JSON: they may have anything in the place of `toString`. */
function keyText(key: unknown): string {
  return typeof key === "object" && key !== null ? toJson(key) : String(key);
}
