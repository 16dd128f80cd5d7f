/**
 * The code of the golden histories. What a history was recorded with must follow it for ever, so no
 * task here is ever changed: a new one is added beside it.
 */
import {
  allOf,
  anyOf,
  child,
  durableTask,
  event,
  sleep,
  sleepUntil,
  type Task,
  task,
} from "../../shared/task.ts";

/** Stands for a change of code while runs wait: makes `unsteady` ask for something else. */
export const code: { hasChanged: boolean } = { hasChanged: false };

export const double: Task<number, number> = task({
  name: "double",
  run: (input: number) => input * 2,
});

export const refuse: Task<string, never> = task({
  name: "refuse",
  retries: { limit: 1, backoff: { initial: "2h" } },
  run: (reason: string) => {
    throw new RangeError(reason, { cause: new Error("golden") });
  },
});

export const values: Task<{ at: Date }, unknown> = durableTask({
  name: "values",
  run: async ({ at }: { at: Date }, ctx) => {
    const plain = await ctx.step("plain", () => ({ text: "ü", list: [1, 2.5, null, true] }));
    const other = await ctx.step("other", () => ({
      bytes: new Uint8Array([0, 1, 255]),
      map: new Map([["a", new Set([1])]]),
      big: 12_345_678_901_234_567_890n,
      at,
    }));
    const none = await ctx.step("nothing", () => {});
    const again = await Promise.all([1, 2].map((i) => ctx.step("same name", () => i)));
    const long = await ctx.step(`long ${"name ".repeat(60)}`, () => "long");
    return { plain, other, none, again, long, id: ctx.uuid(), now: ctx.now().toString() };
  },
});

export const retries: Task<undefined, unknown> = durableTask({
  name: "retries",
  run: async (_: undefined, ctx) => {
    const retries = { limit: 3, backoff: { initial: "100ms", jitter: 0 } } as const;
    const flaky = await ctx.step("flaky", () => "real", { retries });
    const slow = await ctx.step("slow", () => "real", {
      retries: { limit: 1, backoff: { initial: "3h" } },
    });
    const failed = await ctx
      .step("broken", () => "real", { retries: 0 })
      .catch((error: Error) => error.message);
    return { flaky, slow, failed };
  },
});

export const sleeps: Task<string, string> = durableTask({
  name: "sleeps",
  run: async (until: string, ctx) => {
    await ctx.sleepFor("200ms");
    await ctx.sleepFor({ hours: 30 });
    await ctx.sleepUntil(until);
    await Promise.all([
      ctx.sleepFor("1 day"),
      ctx.sleepFor("2 days"),
      ctx.step("between", () => 1),
    ]);
    return ctx.now().toString();
  },
});

export const events: Task<string, unknown> = durableTask({
  name: "events",
  run: async (id: string, ctx) => {
    const first = await ctx.waitForEvent("order.paid", { where: { id }, timeout: "2 days" });
    const expired = await ctx.waitForEvent("order.lost", { timeout: "1h" });
    const nested = await ctx.waitFor(
      allOf({
        either: anyOf(event("order.sent", { where: { id } }), sleep("9 days")),
        all: allOf(
          event("order.*", { where: { packed: true } }),
          sleepUntil("2026-01-20T00:00:00Z"),
        ),
        nothing: allOf(),
      }),
    );
    return { first, expired, nested };
  },
});

export const children: Task<number, unknown> = durableTask({
  name: "children",
  run: async (count: number, ctx) => {
    const one = await ctx.run(double, 21);
    const many = await ctx.run(
      double,
      Array.from({ length: count }, (_, i) => i),
    );
    const failed = await ctx.run(refuse, "no").catch((error: Error) => error.message);
    const handles = await ctx.start(double, [7, 8]);
    const named = await ctx.start(double, 9, { id: "named" });
    const first = await ctx.waitFor(anyOf({ named: child(named), late: sleep("1 day") }));
    return {
      one,
      many,
      failed,
      first,
      rest: await Promise.all(handles.map((each) => each.result())),
    };
  },
});

export const trip: Task<string, unknown> = durableTask({
  name: "trip",
  runTimeout: "10 days",
  cleanupTimeout: "1h",
  run: async (how: string, ctx) => {
    await ctx.step("book flight", () => "F", { undo: () => {} });
    await ctx.step("book hotel", () => "H", { undo: () => {} });
    if (how === "fail") throw new TypeError("sold out");
    try {
      await Promise.all([ctx.sleepFor("30 days"), ctx.waitForEvent("never"), ctx.run(double, 1)]);
    } finally {
      await ctx.step("clean up", () => "clean");
      if (how === "stay") await new Promise(() => {});
    }
    return "away";
  },
});

export const unsteady: Task<undefined, string> = durableTask({
  name: "unsteady",
  run: async (_: undefined, ctx) => {
    const name = code.hasChanged ? "new" : "old";
    const text = await ctx.step(name, () => name);
    await ctx.sleepFor("1 day");
    return text;
  },
});

export const guarded: Task<undefined, string> = durableTask({
  name: "guarded",
  run: async (_: undefined, ctx) => {
    await ctx.sleepFor("1 day");
    const name = ctx.changed("rename") ? "new" : "old";
    await ctx.step(name, () => name);
    await ctx.sleepFor("1 day");
    return name;
  },
});

export const brittle: Task<undefined, unknown> = durableTask({
  name: "brittle",
  retries: 0,
  run: async (_: undefined, ctx) => {
    const before = await ctx.step("before", () => 1);
    await ctx.sleepFor("1 day");
    const [kept, broken] = await Promise.all([
      ctx.step("kept", () => "kept"),
      ctx.step("broken", () => "real"),
    ]);
    return { before, kept, broken };
  },
});

export const lengthy: Task<undefined, unknown> = durableTask({
  name: "lengthy",
  run: (_: undefined, ctx) =>
    ctx.step(
      "copy",
      (step) => {
        if (step.attempt > 1) return { attempt: step.attempt, last: step.lastHeartbeat };
        step.heartbeat({ copied: 7 });
        return new Promise(() => {});
      },
      { timeout: "5s", retries: { limit: 1, backoff: { initial: "1h" } } },
    ),
});

export const pinned: Task<undefined, string> = durableTask({
  name: "pinned",
  version: "1.2",
  run: async (_: undefined, ctx) => {
    await ctx.sleepFor("1 day");
    return ctx.step("after", () => "1.2");
  },
});

export const rounds: Task<number, unknown> = durableTask({
  name: "rounds",
  version: 1,
  run: async (left: number, ctx) => {
    const uuid = await ctx.step("work", () => ctx.uuid());
    const doubled = await ctx.run(double, left);
    const tick = await ctx.waitForEvent("tick");
    await ctx.sleepFor("1 day");
    return left > 0 ? ctx.continueAs(left - 1) : { uuid, doubled, tick: tick.data };
  },
});
