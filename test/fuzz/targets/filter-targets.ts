/** Filters on payloads, the index over them, and the schemas that payloads go through. */
import { z } from "zod";
import { EventIndex, keysOf, matcherOf } from "../../../engine/event-index.ts";
import { decode, encode } from "../../../shared/codec.ts";
import { applySchemas } from "../../../shared/condition-schemas.ts";
import { allOf, anyOf, event } from "../../../shared/conditions.ts";
import { InvalidInputError } from "../../../shared/errors.ts";
import { checkFilter, compileFilter, equalityKeys, valuesAt } from "../../../shared/filters.ts";
import type { Random } from "../../chaos/random.ts";
import { filter } from "../inputs/histories.ts";
import { dotted } from "../inputs/texts.ts";
import { anything, data, json, mutated, record } from "../inputs/values.ts";
import { attempt, hold, REFUSED, type Target, target } from "../target.ts";

function payloadOf(random: Random): unknown {
  const inner = random.pick<() => unknown>([
    () => 1,
    () => "x",
    () => [1, "x", { b: 1 }],
    () => ({ b: 1, id: "x" }),
    () => data(random, 2),
    () => json(random),
  ]);
  if (random.chance(0.25)) {
    const made = random.chance(0.5) ? data(random) : anything(random);
    // A list of nothing but holes is never decoded, and takes as long as it says to be looked at.
    return Array.isArray(made) && made.length > 2 ** 16 ? null : made;
  }
  return record([
    ["a", inner()],
    ["b", inner()],
    [random.pick(["order", "constructor", "__proto__", "length", "toString"]), inner()],
  ]);
}

function filterOf(random: Random): unknown {
  const chance = random.next();
  if (chance < 0.6) return filter(random);
  return mutated(random, filter(random), () =>
    chance < 0.8 ? filter(random, 1) : anything(random),
  );
}

const schema = z.object({ a: z.coerce.number().default(1), b: z.string().optional() });
const angry = {
  "~standard": {
    ...{ version: 1, vendor: "test" },
    validate: (value: unknown) => {
      if (value === null) throw new RangeError("no");
      return typeof value === "string" ? { issues: [{ message: value }] } : { value };
    },
  },
} as never;
const waits = [
  event("a", { schema }),
  event("a", { schema: angry }),
  anyOf(event("a", { schema }), event("b")),
  anyOf({ x: event("a", { schema }), __proto__x: allOf(event("b", { schema: angry })) }),
  allOf({ x: event("a", { schema }), constructor: event("b", { schema: angry }) }),
];

/** The targets of filters. */
export const filterTargets: readonly Target[] = [
  target({
    name: "filters/check",
    covers: ["shared/filters.ts checkFilter", "shared/filters.ts compileFilter"],
    make: (random) => ({
      where: filterOf(random),
      payloads: Array.from({ length: 3 }, () => payloadOf(random)),
    }),
    check({ where, payloads }) {
      const checked = attempt(() => checkFilter(where, "filter"), InvalidInputError);
      const matches = attempt(() => compileFilter(where), InvalidInputError);
      if (checked === REFUSED)
        return hold(
          where === undefined || matches === REFUSED,
          "refused, and compiled all the same",
        );
      const stored = compileFilter(decode(encode(checked, "filter"), "there"));
      const keys = equalityKeys(checked);
      const index = new EventIndex<{ name: string; where: typeof checked; after: number }>();
      const watcher = { name: "a", where: checked, after: 0 };
      index.add({ name: "a", where: { no: "body" } as never, after: 0 });
      index.add(watcher);
      for (const payload of payloads) {
        const isMatch = compileFilter(checked)(payload);
        hold(typeof isMatch === "boolean", "neither true nor false");
        hold(stored(payload) === isMatch, "a stored filter matches something else");
        for (const [path, value] of isMatch ? keys : [])
          hold(valuesAt(payload, path).has(value), `it matches without its key ${path}`);
        let found = 0;
        index.match({ sequence: 1, name: "a", payload }, (each) => {
          if (each === watcher) found++;
        });
        hold(found === (isMatch ? 1 : 0), `the index found it ${found} times`);
      }
    },
  }),
  target({
    name: "filters/stored",
    covers: ["shared/filter-payload.ts valuesAt"],
    make: (random) => ({
      where: random.chance(0.5) ? filterOf(random) : data(random, 4),
      payload: payloadOf(random),
      path: dotted(random),
    }),
    check({ where, payload, path }) {
      keysOf(where as never);
      hold(typeof matcherOf(where as never)(payload) === "boolean", "neither true nor false");
      valuesAt(payload, path);
    },
  }),
  target({
    name: "conditions/schemas",
    covers: ["shared/condition-schemas.ts applySchemas"],
    make: (random) => ({ wait: random.whole(0, waits.length - 1), payload: payloadOf(random) }),
    check({ wait, payload }) {
      const condition = waits[wait];
      if (!condition) return;
      const leaf = { kind: "event", name: "a", data: payload };
      const parts: { readonly [kind: string]: unknown } = {
        event: leaf,
        anyOf: { ...leaf, ...(wait === 2 ? { index: 0 } : { key: "x" }) },
        allOf: { x: leaf, constructor: leaf },
      };
      const result = attempt(
        () => applySchemas(condition, parts[condition.kind]),
        InvalidInputError,
      );
      return result instanceof Promise ? result.catch(refused) : undefined;
    },
  }),
];

function refused(error: unknown): void {
  if (!(error instanceof InvalidInputError)) throw error;
}
