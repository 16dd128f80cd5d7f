/** The results of conditions on their way back to the code: payloads as their schemas make them. */
import type { AllOf, AnyOf, Condition } from "./conditions.ts";
import { invariant } from "./invariant.ts";
import { validateInput } from "./schema.ts";

/**
 * The result of a wait with its events' payloads as their schemas make them. A promise only when a
 * schema answers with one. Parts that did not hold have no payload, and no schema is asked.
 * @throws {InvalidInputError} When a payload does not fit.
 */
export function applySchemas(condition: Condition, result: unknown): unknown {
  switch (condition.kind) {
    case "sleep":
    case "child":
      return result;
    case "event": {
      const { schema, name } = condition;
      if (schema === undefined) return result;
      const event = result as { readonly data: unknown };
      const data = validateInput(schema, event.data, `payload of event "${name}"`);
      return whenReady(data, (parsed) => ({ ...event, data: parsed }));
    }
    case "anyOf":
      return applyToFirst(condition, result as Which);
    case "allOf":
      return applyToAll(condition, result as { readonly [key: string | number]: unknown });
  }
}

/** What the result of `anyOf` says of the part that held. */
type Which = { readonly value?: unknown } & (
  | { readonly index: number; readonly key?: never }
  | { readonly key: string; readonly index?: never }
);

function applyToFirst(condition: AnyOf, result: Which): unknown {
  const which = result.index ?? result.key;
  const part = condition.of.find(([key]) => key === which)?.[1];
  invariant(part, "a wait results in one of its parts");
  if (!("of" in part)) return applySchemas(part, result);
  return whenReady(applySchemas(part, result.value), (value) => ({ ...result, value }));
}

function applyToAll(
  condition: AllOf,
  results: { readonly [key: string | number]: unknown },
): unknown {
  const parsed = condition.of.map(([key, part]) => applySchemas(part, results[key]));
  const rebuild = (values: readonly unknown[]): unknown =>
    Array.isArray(results)
      ? values
      : Object.fromEntries(condition.of.map(([key], position) => [key, values[position]]));
  return parsed.some((value) => value instanceof Promise)
    ? Promise.all(parsed).then(rebuild)
    : rebuild(parsed);
}

function whenReady<T>(value: T | Promise<T>, then: (value: T) => unknown): unknown {
  return value instanceof Promise ? value.then(then) : then(value);
}
