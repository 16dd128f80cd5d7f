/** What becomes of a run whose code is changed while it goes on: one line of the table, one test. */
import { createHash, webcrypto } from "node:crypto";
import { readFileSync } from "node:fs";
import test from "ava";
import { allOf, anyOf, event, sleep } from "../../shared/task.ts";
import { elsewhere, type Play, playChange } from "./code-versions.ts";

interface Diverging extends Play {
  readonly kind: "missing" | "added" | "different" | "ended";
  /** Keys of what the history has and of what the code asks for. */
  readonly recorded: string;
  readonly asked: readonly string[];
}

interface Honest extends Play {
  readonly output: unknown;
  /** Steps that the second version executes. */
  readonly executes: readonly string[];
}

const DAY = "1 day";
const DAY_KEY = "w0 sleep 86400000 ms";

/** Changes that the run cannot go on with: it is paused, and nothing new is done. */
const DIVERGING: { readonly [change: string]: Diverging } = {
  "a recorded step is renamed": {
    before: async (ctx, { act }) => {
      await ctx.step("charge card", act("charge"));
      await ctx.sleepFor(DAY);
    },
    after: async (ctx, { act }) => {
      await ctx.step("charge", act("charge"));
      await ctx.sleepFor(DAY);
    },
    ...{ kind: "missing", recorded: "s0 charge card", asked: ["s0 charge"] },
  },
  "a recorded step is removed": {
    before: async (ctx, { act }) => {
      await ctx.step("a", act("a"));
      await ctx.step("b", act("b"));
      await ctx.sleepFor(DAY);
    },
    after: async (ctx, { act }) => {
      await ctx.step("a", act("a"));
      await ctx.sleepFor(DAY);
    },
    ...{ kind: "missing", recorded: "s0 b", asked: [DAY_KEY] },
  },
  "two recorded steps are swapped": {
    before: async (ctx, { act }) => {
      await ctx.step("a", act("a"));
      await ctx.step("b", act("b"));
      await ctx.sleepFor(DAY);
    },
    after: async (ctx, { act }) => {
      await ctx.step("b", act("b"));
      await ctx.step("a", act("a"));
      await ctx.sleepFor(DAY);
    },
    ...{ kind: "missing", recorded: "s0 a", asked: ["s0 b"] },
  },
  "a recorded step is swapped with one that was under way": {
    before: async (ctx, { act, die }) => {
      await ctx.step("a", act("a"));
      await ctx.step("b", die);
    },
    after: async (ctx, { act }) => {
      await ctx.step("b", act("b"));
      await ctx.step("a", act("a"));
    },
    ...{ kind: "missing", recorded: "s0 a", asked: ["s0 b"] },
  },
  "a step is put before a wait that is open": {
    before: async (ctx) => ctx.sleepFor(DAY),
    after: async (ctx, { act }) => {
      await ctx.step("new", act("new"));
      await ctx.sleepFor(DAY);
    },
    ...{ kind: "missing", recorded: DAY_KEY, asked: ["s0 new"] },
  },
  "a step is put beside a wait that is open": {
    before: async (ctx) => ctx.waitForEvent("go"),
    after: async (ctx, { act }) =>
      Promise.all([ctx.waitForEvent("go"), ctx.step("new", act("new"))]),
    events: [["go", 1]],
    ...{ kind: "added", recorded: "w0 event go", asked: ["s0 new"] },
  },
  "the event is another one": {
    before: async (ctx) => ctx.waitForEvent("paid"),
    after: async (ctx) => ctx.waitForEvent("settled"),
    events: [["paid", 1]],
    ...{ kind: "missing", recorded: "w0 event paid", asked: ["w0 event settled"] },
  },
  "the filter of an event is another one": {
    before: async (ctx) => ctx.waitForEvent("paid", { where: { id: 1 } }),
    after: async (ctx) => ctx.waitForEvent("paid", { where: { id: 2 } }),
    events: [["paid", { id: 1 }]],
    ...{
      kind: "missing",
      recorded: 'w0 event paid {"id":1}',
      asked: ['w0 event paid {"id":2}'],
    },
  },
  "a wait for an event becomes a sleep": {
    before: async (ctx) => ctx.waitForEvent("paid"),
    after: async (ctx) => ctx.sleepFor(DAY),
    events: [["paid", 1]],
    ...{ kind: "missing", recorded: "w0 event paid", asked: [DAY_KEY] },
  },
  "a timeout is added to a wait": {
    before: async (ctx) => ctx.waitForEvent("paid"),
    after: async (ctx) => ctx.waitForEvent("paid", { timeout: DAY }),
    events: [["paid", 1]],
    ...{
      kind: "missing",
      recorded: "w0 event paid",
      asked: ["w0 anyOf(event: event paid, timeout: sleep 86400000 ms)"],
    },
  },
  "a part of a condition is removed": {
    before: async (ctx) => ctx.waitFor(anyOf(event("a"), event("b"), sleep(DAY))),
    after: async (ctx) => ctx.waitFor(anyOf(event("a"), sleep(DAY))),
    ...{
      kind: "missing",
      recorded: "w0 anyOf(event a, event b, sleep 86400000 ms)",
      asked: ["w0 anyOf(event a, sleep 86400000 ms)"],
    },
  },
  "a part of a condition gets another name": {
    before: async (ctx) => ctx.waitFor(anyOf({ paid: event("a"), late: sleep(DAY) })),
    after: async (ctx) => ctx.waitFor(anyOf({ done: event("a"), late: sleep(DAY) })),
    ...{
      kind: "missing",
      recorded: "w0 anyOf(paid: event a, late: sleep 86400000 ms)",
      asked: ["w0 anyOf(done: event a, late: sleep 86400000 ms)"],
    },
  },
  "anyOf becomes allOf": {
    before: async (ctx) => ctx.waitFor(anyOf(event("a"), sleep(DAY))),
    after: async (ctx) => ctx.waitFor(allOf(event("a"), sleep(DAY))),
    ...{
      kind: "missing",
      recorded: "w0 anyOf(event a, sleep 86400000 ms)",
      asked: ["w0 allOf(event a, sleep 86400000 ms)"],
    },
  },
  "a step becomes a child run": {
    before: async (ctx, { act }) => {
      await ctx.step("pack", act("pack"));
      await ctx.sleepFor(DAY);
    },
    after: async (ctx, { pack }) => {
      await ctx.run(pack, "a");
      await ctx.sleepFor(DAY);
    },
    ...{ kind: "missing", recorded: "s0 pack", asked: ["w0 run pack"] },
  },
  "the child is one of another task": {
    before: async (ctx, { pack }) => {
      await ctx.run(pack, "a");
      await ctx.sleepFor(DAY);
    },
    after: async (ctx, { ship }) => {
      await ctx.run(ship, "a");
      await ctx.sleepFor(DAY);
    },
    ...{ kind: "missing", recorded: "w0 run pack", asked: ["w0 run ship"] },
  },
  "a list of children gets longer": {
    before: async (ctx, { pack }) => {
      await ctx.run(pack, ["a", "b"]);
      await ctx.sleepFor(DAY);
    },
    after: async (ctx, { pack }) => {
      await ctx.run(pack, ["a", "b", "c"]);
      await ctx.sleepFor(DAY);
    },
    ...{ kind: "missing", recorded: "w0 run 2 of pack", asked: ["w0 run 3 of pack"] },
  },
  "a list of children that are not awaited gets longer": {
    before: async (ctx, { pack }) => {
      await ctx.start(pack, ["a", "b"]);
      await ctx.sleepFor(DAY);
    },
    after: async (ctx, { pack }) => {
      await ctx.start(pack, ["a", "b", "c"]);
      await ctx.sleepFor(DAY);
    },
    ...{ kind: "different", recorded: "c0 pack", asked: ["c0 pack"] },
  },
  "a child that is not awaited gets another id": {
    before: async (ctx, { pack }) => {
      await ctx.start(pack, "a", { id: "one" });
      await ctx.sleepFor(DAY);
    },
    after: async (ctx, { pack }) => {
      await ctx.start(pack, "a", { id: "two" });
      await ctx.sleepFor(DAY);
    },
    ...{ kind: "different", recorded: "c0 pack", asked: ["c0 pack"] },
  },
  "a condition in the code is turned round": {
    before: async (ctx, { act }) => {
      const result = await ctx.step("look", act("look"));
      if (result === "look") await ctx.step("yes", act("yes"));
      else await ctx.step("no", act("no"));
      await ctx.sleepFor(DAY);
    },
    after: async (ctx, { act }) => {
      const result = await ctx.step("look", act("look"));
      if (result !== "look") await ctx.step("yes", act("yes"));
      else await ctx.step("no", act("no"));
      await ctx.sleepFor(DAY);
    },
    ...{ kind: "missing", recorded: "s0 yes", asked: ["s0 no"] },
  },
  "a loop that is over goes round once more": {
    before: async (ctx, { act }) => {
      for (let i = 0; i < 2; i++) await ctx.step("round", act("round"));
      await ctx.sleepFor(DAY);
    },
    after: async (ctx, { act }) => {
      for (let i = 0; i < 3; i++) await ctx.step("round", act("round"));
      await ctx.sleepFor(DAY);
    },
    ...{ kind: "missing", recorded: DAY_KEY, asked: ["s2 round"] },
  },
  "the code returns before what is recorded": {
    before: async (ctx, { act }) => {
      await ctx.step("a", act("a"));
      await ctx.sleepFor(DAY);
    },
    after: async (ctx, { act }) => ctx.step("a", act("a")),
    ...{ kind: "ended", recorded: DAY_KEY, asked: [] },
  },
  "the code throws before what is recorded": {
    before: async (ctx, { act }) => {
      await ctx.step("a", act("a"));
      await ctx.sleepFor(DAY);
    },
    after: async (ctx, { act }) => {
      await ctx.step("a", act("a"));
      throw new Error("too early");
    },
    ...{ kind: "ended", recorded: DAY_KEY, asked: [] },
  },
  "the code no longer awaits what it waits for": {
    before: async (ctx) => Promise.all([ctx.waitForEvent("never"), ctx.sleepFor(DAY)]),
    after: async (ctx) => {
      void ctx.waitForEvent("never");
      void ctx.sleepFor(DAY);
      return "done";
    },
    ...{ kind: "ended", recorded: "w0 event never", asked: [] },
  },
  "a name is not the same each time": {
    before: async (ctx, { act }) => {
      await ctx.step(`at ${unsteady()}`, act("a"));
      await ctx.sleepFor(DAY);
    },
    after: async (ctx, { act }) => {
      await ctx.step(`at ${unsteady()}`, act("a"));
      await ctx.sleepFor(DAY);
    },
    ...{ kind: "missing", recorded: "s0 at 1", asked: ["s0 at 2"] },
  },
  "code that catches everything asks for something else": {
    before: async (ctx, { act }) => {
      await ctx.step("a", act("a"));
      await ctx.sleepFor(DAY);
    },
    after: async (ctx, { act }) => {
      try {
        await ctx.step("b", act("b"));
        await ctx.sleepFor(DAY);
      } catch {
        return "swallowed";
      } finally {
        await ctx.step("cleanup", act("cleanup"));
      }
      return "done";
    },
    ...{ kind: "missing", recorded: "s0 a", asked: ["s0 b"] },
  },
  "a durable task becomes a regular one": {
    before: async (ctx) => ctx.sleepFor(DAY),
    after: () => "regular",
    isRegular: { after: true },
    ...{ kind: "different", recorded: DAY_KEY, asked: [] },
  },
  "a regular task becomes a durable one": {
    before: () => {
      throw new Error("again");
    },
    after: async (ctx, { act }) => ctx.step("a", act("a")),
    isRegular: { before: true },
    ...{ kind: "missing", recorded: "r0 run", asked: ["s0 a"] },
  },
};

/** When the clocks of a world in memory begin. */
const WORLD_BEGINS = Date.UTC(2026, 0, 1);

let unsteadyCount = 0;
/** Another number each time. */
function unsteady(): number {
  return ++unsteadyCount;
}

/** Changes that a run goes on with. */
const HONEST: { readonly [change: string]: Honest } = {
  "a variable is renamed and the code formatted": {
    before: async (ctx, { act }) => {
      const a = await ctx.step("a", act("a"));
      await ctx.sleepFor(DAY);
      return a;
    },
    after: async (ctx, { act }) => {
      const renamed = await ctx.step("a", act("a"));

      await ctx.sleepFor(DAY);

      return renamed;
    },
    ...{ output: "a", executes: [] },
  },
  "pure code is added, also such that takes its time": {
    before: async (ctx, { act }) => {
      await ctx.step("a", act("a"));
      await ctx.sleepFor(DAY);
      return ctx.step("b", act("b"));
    },
    after: async (ctx, { act }) => {
      const a = await ctx.step("a", act("a"));
      createHash("sha256").update(a).digest();
      await elsewhere(webcrypto.subtle.digest("SHA-256", Buffer.from(a)));
      ctx.log.info("between");
      await ctx.sleepFor(DAY);
      await Promise.resolve().then(() => a.toUpperCase());
      return ctx.step("b", act("b"));
    },
    ...{ output: "b", executes: ["b"] },
  },
  "independent branches that are awaited together are put into another order": {
    before: async (ctx, { act }) => {
      const one = async () => {
        const a = await ctx.step("a", act("a"));
        await ctx.sleepFor(DAY);
        return [a, await ctx.step("b", act("b"))];
      };
      const two = async () => {
        const c = await ctx.step("c", act("c"));
        await ctx.sleepFor("2 days");
        return [c, await ctx.step("d", act("d"))];
      };
      return Promise.all([one(), two()]);
    },
    after: async (ctx, { act }) => {
      const one = async () => {
        const a = await ctx.step("a", act("a"));
        await ctx.sleepFor(DAY);
        return [a, await ctx.step("b", act("b"))];
      };
      const two = async () => {
        const c = await ctx.step("c", act("c"));
        await ctx.sleepFor("2 days");
        return [c, await ctx.step("d", act("d"))];
      };
      return (await Promise.all([two(), one()])).reverse();
    },
    ...{
      output: [
        ["a", "b"],
        ["c", "d"],
      ],
      executes: ["b", "d"],
    },
  },
  "what a step does is changed": {
    before: async (ctx, { act }) => {
      const a = await ctx.step("a", act("a"));
      await ctx.sleepFor(DAY);
      return a;
    },
    after: async (ctx, { act }) => {
      const a = await ctx.step("a", act("other"));
      await ctx.sleepFor(DAY);
      return a;
    },
    ...{ output: "a", executes: [] },
  },
  "retries and limits of a step are changed": {
    before: async (ctx, { act }) => {
      await ctx.step("a", act("a"));
      await ctx.sleepFor(DAY);
    },
    after: async (ctx, { act }) => {
      await ctx.step("a", act("a"), { retries: 7, timeout: "1s", undo: () => {} });
      await ctx.sleepFor(DAY);
      return "done";
    },
    ...{ output: "done", executes: [] },
  },
  "code is added behind the place where the run is": {
    before: async (ctx) => ctx.sleepFor(DAY),
    after: async (ctx, { act, pack }) => {
      await ctx.sleepFor(DAY);
      await ctx.step("new", act("new"));
      return ctx.run(pack, "a");
    },
    ...{ output: "pack a", executes: ["new"] },
  },
  "code behind the place where the run is goes away": {
    before: async (ctx, { act }) => {
      await ctx.sleepFor(DAY);
      await ctx.step("a", act("a"));
    },
    after: async (ctx) => {
      await ctx.sleepFor(DAY);
      return "early";
    },
    ...{ output: "early", executes: [] },
  },
  "steps that were never recorded are others now": {
    before: async (ctx, { act, die }) => {
      await ctx.step("a", act("a"));
      await ctx.step("b", die);
    },
    after: async (ctx, { act }) => {
      await ctx.step("a", act("a"));
      return ctx.step("c", act("c"));
    },
    ...{ output: "c", executes: ["c"] },
  },
  "a sleep takes longer, whose time was fixed when it began": {
    before: async (ctx) => {
      await ctx.sleepFor(DAY);
    },
    after: async (ctx, { act }) => {
      const before = ctx.now().epochMilliseconds;
      await ctx.sleepFor("2 days");
      const days = Math.round((ctx.now().epochMilliseconds - before) / 86_400_000);
      await ctx.sleepFor(DAY); // of the name that the recorded one has
      await ctx.step("after", act("after"));
      return days;
    },
    ...{ output: 1, executes: ["after"] },
  },
  "a timeout is another one": {
    before: async (ctx) => ctx.waitForEvent("paid", { where: { id: 1 }, timeout: DAY }),
    after: async (ctx) => {
      const paid = await ctx.waitForEvent("paid", { where: { id: 1 }, timeout: "2 days" });
      return paid?.data;
    },
    events: [["paid", { id: 1 }]],
    ...{ output: { id: 1 }, executes: [] },
  },
  "the time to sleep until comes from a clock": {
    before: async (ctx) => ctx.sleepUntil(new Date(WORLD_BEGINS + 86_400_000 + unsteady())),
    after: async (ctx) => {
      await ctx.sleepUntil(new Date(WORLD_BEGINS + 86_400_000 + unsteady()));
      return "woken";
    },
    ...{ output: "woken", executes: [] },
  },
  "a loop that is under way goes round once more": {
    before: async (ctx, { act }) => {
      for (let i = 0; i < 2; i++) {
        await ctx.step("round", act(`${i}`));
        await ctx.sleepFor(DAY);
      }
    },
    after: async (ctx, { act }) => {
      for (let i = 0; i < 3; i++) {
        await ctx.step("round", act(`${i}`));
        await ctx.sleepFor(DAY);
      }
      return "done";
    },
    ...{ output: "done", executes: ["1", "2"] },
  },
  "steps that were awaited one by one are awaited together": {
    before: async (ctx, { act }) => {
      const a = await ctx.step("a", act("a"));
      const b = await ctx.step("b", act("b"));
      await ctx.sleepFor(DAY);
      return [a, b];
    },
    after: async (ctx, { act }) => {
      const both = await Promise.all([ctx.step("a", act("a")), ctx.step("b", act("b"))]);
      await ctx.sleepFor(DAY);
      return both;
    },
    ...{ output: ["a", "b"], executes: [] },
  },
  "a step is added in front of what is recorded, behind a guard": {
    before: async (ctx, { act }) => {
      await ctx.step("a", act("a"));
      await ctx.sleepFor(DAY);
    },
    after: async (ctx, { act }) => {
      if (ctx.changed("check first")) await ctx.step("check", act("check"));
      await ctx.step("a", act("a"));
      await ctx.sleepFor(DAY);
      if (ctx.changed("check last")) await ctx.step("check", act("check last"));
      return ctx.changed("check first");
    },
    ...{ output: false, executes: ["check last"] },
  },
};

for (const [change, row] of Object.entries(DIVERGING))
  test(`a run is paused, with both sides, when ${change}`, async (t) => {
    const { view, second, details } = await playChange(row);
    t.is(view.state.status, "paused", JSON.stringify(view.state.outcome));
    t.is(details?.code, "replay-diverged");
    const { kind, recorded, asked } = details ?? { asked: [] };
    t.is(kind, row.kind);
    const steady = (key: string | undefined) => key?.replace(/(?<= at )\d+$/, "");
    t.is(steady(recorded?.key), steady(row.recorded));
    t.deepEqual(
      asked.map(({ key }) => steady(key)),
      row.asked.map((key) => steady(key)),
    );
    t.deepEqual(second, [], "nothing new is done");
    t.is(view.commits.flatMap(({ entries }) => entries).at(-1)?.kind, "paused");
  });

for (const [change, row] of Object.entries(HONEST))
  test(`a run goes on when ${change}`, async (t) => {
    const { view, second } = await playChange(row);
    t.deepEqual(
      view.state.outcome ?? view.state.paused,
      { status: "completed", output: row.output },
      JSON.stringify(view.state.paused),
    );
    t.deepEqual(second, row.executes);
  });

test("the reason of a pause names both places in the code", async (t) => {
  const { view } = await playChange({
    before: async (ctx, { act }) => {
      await ctx.step("before", act("before"));
      await ctx.sleepFor(DAY);
    },
    after: async (ctx, { act }) => ctx.step("after", act("after")),
  });
  t.regex(
    view.state.paused?.reason ?? "",
    /the history has step "before" at worker\/code-changes\.test\.[jt]s:\d+ of .*, the code asked for step "after" at worker\/code-changes\.test\.[jt]s:\d+\. Likely cause: it was renamed/,
  );
});

test("the documentation has every row of the table", (t) => {
  const text = readFileSync("docs/changing-code.md", "utf8");
  for (const change of [...Object.keys(DIVERGING), ...Object.keys(HONEST)])
    t.true(new RegExp(`^\\| ${change} +\\|`, "m").test(text), change);
});
