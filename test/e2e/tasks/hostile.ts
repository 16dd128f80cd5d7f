/** Tasks for hostile input, and runs that must not mind what happens to others. */

import { existsSync } from "node:fs";
import { anyOf, durableTask, event, sleep, type Task, task } from "../../../shared/task.ts";
import { until } from "../../helpers/until.ts";
import { effect } from "../harness/effects.ts";

/** Returns its input. */
export const echo: Task<unknown, unknown> = task({ name: "echo", run: (input: unknown) => input });

/** The same under names that mean something to servers, files or objects. */
export const oddNames: readonly string[] = [
  "*",
  ">",
  "a.b >*",
  "$JS.API",
  "__proto__",
  'é 漢字/\\"',
];
const odd = (name: string): Task<unknown, unknown> =>
  task({ name, run: (input: unknown) => ({ name, input }) });
export const odd0: Task<unknown, unknown> = odd("*");
export const odd1: Task<unknown, unknown> = odd(">");
export const odd2: Task<unknown, unknown> = odd("a.b >*");
export const odd3: Task<unknown, unknown> = odd("$JS.API");
export const odd4: Task<unknown, unknown> = odd("__proto__");
export const odd5: Task<unknown, unknown> = odd('é 漢字/\\"');

/** Waits for an event of its own, or an hour. */
export const listener: Task<string, unknown> = durableTask({
  name: "listener",
  run: async (id: string, ctx) => {
    const found = await ctx.waitForEvent("hostile.go", { where: { id }, timeout: "1h" });
    return found?.data ?? null;
  },
});

/** Takes the next event under any name of a pattern, whatever its payload. */
export const anyEvent: Task<string, unknown> = durableTask({
  name: "any-event",
  run: async (pattern: string, ctx) => {
    try {
      const { name, data } = await ctx.waitForEvent(pattern);
      return { name, data };
    } catch (error) {
      const { name, code, message } = error as Error & { code?: string };
      return { name, code, message };
    }
  },
});

/** Executes one step until a gate opens. */
export const gated: Task<string, string> = durableTask({
  name: "gated",
  run: (gate: string, ctx) =>
    ctx.step("hold", async () => {
      effect(ctx.runId, "hold");
      await until(() => existsSync(gate), { withinMs: 120_000, everyMs: 20 });
      return "held";
    }),
});

/** Sleeps longer than a claim lasts. */
export const sleeper: Task<undefined, string> = durableTask({
  name: "sleeper",
  run: async (_input: undefined, ctx) => {
    await ctx.sleepFor("1500ms");
    return ctx.step("after", () => "slept");
  },
});

/** Values that cannot be stored, or not as they are, by name: a test cannot send them. */
const values: { readonly [name: string]: () => unknown } = {
  circle: () => {
    const circle: unknown[] = [];
    circle.push({ circle, text: "x".repeat(100_000) });
    return circle;
  },
  function: () => ({ callback: () => 1 }),
  symbol: () => Symbol("s"),
  promise: () => ({ later: Promise.resolve(1) }),
  stream: () =>
    (function* endless() {
      for (;;) yield 1;
    })(),
  large: () => new Uint8Array(64 * 2 ** 20 + 1),
  deep: () => {
    let deep: unknown = 1;
    for (let i = 0; i < 10_000; i++) deep = [deep];
    return deep;
  },
  getter: () => ({
    get secret() {
      throw new TypeError("not for you");
    },
  }),
};

/** The names of the values that cannot be stored. */
export const badValues: readonly string[] = Object.keys(values);

const makeBad = (name: string): unknown => values[name]?.();

/** Returns what cannot be stored. */
export const badOutput: Task<string, unknown> = task({ name: "bad-output", run: makeBad });

/** What the code catches when something cannot be stored. */
export interface Caught {
  readonly name: string;
  readonly code: string | undefined;
  readonly message: string;
  readonly cause: string | undefined;
}

function caught(error: unknown): Caught {
  const { name, message, cause } = error as Error;
  const { code } = error as { code?: string };
  return { name, code, message: message.slice(0, 500), cause: (cause as Error | undefined)?.name };
}

/** Catches what its step with such a result throws, and goes on. */
export const badStep: Task<string, readonly [Caught, string]> = durableTask({
  name: "bad-step",
  run: async (name: string, ctx) => {
    const error = await ctx.step("bad", () => makeBad(name)).then(() => caught({}), caught);
    return [error, await ctx.step("good", () => "went on")] as const;
  },
});

/** Starts children of hostile names and inputs, and says what came of each. */
export const badChildren: Task<readonly string[], readonly (Caught | unknown)[]> = durableTask({
  name: "bad-children",
  run: async (ids: readonly string[], ctx) => {
    const outcomes: unknown[] = [];
    for (const id of ids) outcomes.push(await ctx.run(echo, id, { id }).catch(caught));
    for (const name of badValues) outcomes.push(await ctx.run(echo, makeBad(name)).catch(caught));
    return outcomes;
  },
});

/** Throws what is hard to record. */
export const badThrows: Task<string, readonly Caught[]> = durableTask({
  name: "bad-throws",
  run: async (_input: string, ctx) => {
    const circle = new Error("a circle of causes");
    circle.cause = circle;
    const thrown: unknown[] = [
      ...[undefined, null, 7, "text", Symbol("s"), () => 1, {}, { message: 5 }, makeBad("circle")],
      new Error("x".repeat(3 * 2 ** 20)),
      circle,
      Object.create(null),
      makeBad("getter"),
      Object.defineProperty(new Error("odd"), "message", { get: () => makeBad("function") }),
      Object.assign(new Error("odd name"), { name: Symbol("name") }),
      new Proxy(new Error("proxy"), {
        get: () => {
          throw new Error("no");
        },
      }),
    ];
    const seen: Caught[] = [];
    for (const [i, value] of thrown.entries())
      await ctx
        .step(`throw ${i}`, () => Promise.reject(value), { retries: 0 })
        .catch((error: unknown) => seen.push(caught(error)));
    return seen;
  },
});

/** Steps, waits and children whose names are hard to record. */
export const oddSteps: Task<string, readonly unknown[]> = durableTask({
  name: "odd-steps",
  run: async (_input: string, ctx) => {
    const names = [
      "half \ud800 a pair",
      "*",
      ">",
      "a.b",
      "s0 a",
      "__proto__",
      "\u0000",
      "é".repeat(64),
    ];
    const results: unknown[] = [];
    for (const name of names) results.push(await ctx.step(name, () => name.length));
    results.push(await ctx.step("x".repeat(129), () => 1).catch(caught));
    results.push(await ctx.step("", () => 1).catch(caught));
    results.push(await ctx.run(echo, 1, { id: "half \udfff a pair" }).catch(caught));
    const parts = Array.from({ length: 300 }, (_, i) =>
      event("never.published", { where: { text: `${i} ${"y".repeat(1_000)}` } }),
    );
    try {
      anyOf({ "half \ud800": sleep("10ms") });
    } catch (error) {
      results.push(caught(error));
    }
    const first = await ctx.waitFor(anyOf({ nap: sleep("10ms"), rest: anyOf(...parts) }));
    results.push(first.kind);
    return results;
  },
});
