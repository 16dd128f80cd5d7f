/** Whether data came back, but for what is documented to come back differently. */
import { isDeepStrictEqual } from "node:util";
import { toJson } from "../../shared/json.ts";

/**
 * Whether two values are equal, where -0 is 0, the field `__proto__` is called `__proto_`, and half of a
 * surrogate pair is a replacement character or several.
 */
export function isSameData(a: unknown, b: unknown): boolean {
  return isDeepStrictEqual(a, b) || plainText(a) === plainText(b);
}

function plainText(value: unknown): string {
  return toJson(value)
    .replaceAll('"__proto__":', '"__proto_":')
    .replace(/(?:\\+ud[89a-f][0-9a-f]{2}|\ufffd)+/g, "\ufffd");
}
