/** Conditions on their way into the log, and results on their way back to the code. Pure. */
import type {
  AllOf,
  AnyOf,
  ChildCondition,
  Condition,
  EventCondition,
  SleepCondition,
} from "./conditions.ts";
import type { LeafCondition, StoredCondition } from "./entries.ts";
import { invariant } from "./invariant.ts";
import { validateInput } from "./schema.ts";

/** What a condition is built of: everything but `anyOf` and `allOf`. */
export type Leaf = SleepCondition | EventCondition | ChildCondition;

/** A leaf and where it stands. */
export interface PlacedLeaf {
  /** Counts the leaves from left to right, as `leavesOf` does for the stored form. */
  readonly index: number;
  /** What the user calls it, from the outside in: names and positions. */
  readonly path: readonly (string | number)[];
  readonly condition: Leaf;
}

/** The leaves of a condition from left to right. */
export function leaves(condition: Condition): PlacedLeaf[] {
  const found: PlacedLeaf[] = [];
  const visit = (part: Condition, path: readonly (string | number)[]): void => {
    if (!("of" in part)) found.push({ index: found.length, path, condition: part });
    else for (const [key, inner] of part.of) visit(inner, [...path, key]);
  };
  visit(condition, []);
  return found;
}

/** What a condition does not know by itself and its stored form says. */
export interface StorageContext {
  /** When the wait began, in milliseconds since the epoch; sleeps count from here. */
  readonly nowMs: number;
  /** The sequence after which an event is consumed. Called for each event leaf, in order. */
  readonly eventsAfter: (event: EventCondition, leaf: number) => number;
  /** Task and id of a child that is to be started. Called for each of them, in order. */
  readonly childAddress: (child: NewChild, leaf: number) => ChildAddress;
}

/** A child that is started when the wait begins. */
export type NewChild = Extract<ChildCondition["child"], { readonly task: unknown }>;

/** Which run a child is. */
export type ChildAddress = Exclude<ChildCondition["child"], NewChild>;

/** The form in which a condition is stored: plain data, absolute times, children by their ids. */
export function encodeCondition(condition: Condition, context: StorageContext): StoredCondition {
  let leafCount = 0;
  const encode = (part: Condition): StoredCondition =>
    "of" in part
      ? { kind: part.kind, of: part.of.map(([key, inner]) => [key, encode(inner)]) }
      : encodeLeaf(part, leafCount++, context);
  return encode(condition);
}

function encodeLeaf(leaf: Leaf, index: number, context: StorageContext): LeafCondition {
  switch (leaf.kind) {
    case "sleep":
      return {
        kind: "sleep",
        dueAt: "at" in leaf.until ? leaf.until.at : context.nowMs + leaf.until.afterMs,
      };
    case "event":
      return {
        kind: "event",
        name: leaf.name,
        ...(leaf.where === undefined ? {} : { where: leaf.where }),
        after: context.eventsAfter(leaf, index),
      };
    case "child": {
      const { child } = leaf;
      const { taskName, runId } = "task" in child ? context.childAddress(child, index) : child;
      return { kind: "child", taskName, runId };
    }
  }
}

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
