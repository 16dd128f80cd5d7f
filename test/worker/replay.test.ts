import test from "ava";
import { type History, parseHistory } from "../../shared/history-file.ts";
import {
  anyOf,
  type DurableContext,
  durableTask,
  event,
  sleep,
  type Task,
  task,
} from "../../shared/task.ts";
import { testKit } from "../../testing/index.ts";
import { type ReplayVerdict, replayHistory } from "../../worker/replay.ts";

type Code = (input: string, ctx: DurableContext) => Promise<unknown>;

const coded = (run: Code): Task<string, unknown> => durableTask({ name: "coded", run });
const pack = task({ name: "pack", run: (input: number) => input * 2 });

/** Steps executed so far, of all runs below. */
let executed = 0;

/** How the runs below were recorded. */
const original: Code = async (input, ctx) => {
  const a = await ctx.step("a", () => {
    executed++;
    return input;
  });
  await ctx.sleepFor("2h");
  const [b, c] = await Promise.all([ctx.step("b", () => 1), ctx.step("c", () => 2)]);
  const children = await ctx.run(pack, [1, 2]);
  const first = await ctx.waitFor(anyOf({ vote: event("vote"), late: sleep("1 day") }));
  return { a, b, c, children, first: first.key };
};

async function record(run: Code, end = true): Promise<History> {
  const kit = await testKit({ tasks: [coded(run), pack] });
  const handle = await kit.start(coded(run), "in", { id: "r" });
  await (end ? handle.result().catch(() => {}) : kit.advance("3h"));
  return parseHistory(await handle.history(), "here");
}

async function told(history: History, run: Code): Promise<string> {
  const verdict = await replayHistory(coded(run), history);
  if (verdict.verdict === "same") return verdict.isOutputOther ? "same, other output" : "same";
  if (verdict.verdict === "skipped") return verdict.reason;
  const { recorded, asked, entry } = verdict.divergence;
  return `${entry?.kind} ${recorded}: ${asked.join(", ")}`;
}

test.serial("the code that recorded a history follows it, and no step is executed", async (t) => {
  const [ended, waiting] = await Promise.all([record(original), record(original, false)]);
  const before = executed;
  t.is(await told(ended, original), "same");
  t.is(await told(waiting, original), "same");
  t.is(executed, before);
});

const CHANGES: readonly (readonly [what: string, code: Code, ended: string, waiting: string])[] = [
  [
    "a renamed step",
    async (input, ctx) => ctx.step("A", () => input),
    "step-completed s0 a: s0 A",
    "step-completed s0 a: s0 A",
  ],
  [
    "an end before the first sleep",
    async (input, ctx) => ctx.step("a", () => input),
    "wait-opened w0 sleep 7200000 ms: ",
    "wait-opened w0 sleep 7200000 ms: ",
  ],
  [
    "another duration, which changes nothing that is recorded, and an end behind it",
    async (input, ctx) => {
      await ctx.step("a", () => input);
      await ctx.sleepFor("3h");
    },
    "step-completed s0 b: ",
    "step-completed s0 b: ",
  ],
  [
    "a throw at the end",
    async (input, ctx) => {
      await original(input, ctx);
      throw new Error("no");
    },
    "ended the end: the end, failed",
    "same",
  ],
  [
    "one more step at the end",
    async (input, ctx) => {
      await original(input, ctx);
      await ctx.step("more", () => 1);
    },
    "ended the end: s0 more",
    "same",
  ],
  [
    "another output",
    async (input, ctx) => {
      await original(input, ctx);
      return 7;
    },
    "same, other output",
    "same",
  ],
  [
    "independent steps in another order, and more code between",
    async (input, ctx) => {
      const a = await ctx.step("a", () => input);
      await Promise.resolve();
      await ctx.sleepFor({ minutes: 120 });
      const [c, b] = await Promise.all([ctx.step("c", () => 2), ctx.step("b", () => 1)]);
      const children = await ctx.run(pack, [1, 2]);
      const first = await ctx.waitFor(anyOf({ vote: event("vote"), late: sleep("1 day") }));
      return { a, b, c, children, first: first.key };
    },
    "same",
    "same",
  ],
];

for (const [what, code, ended, waiting] of CHANGES)
  test(`a replay tells of ${what}`, async (t) => {
    t.is(await told(await record(original), code), ended);
    t.is(await told(await record(original, false), code), waiting);
  });

test("a divergence says which entry of the history it is at", async (t) => {
  const history = await record(original);
  const verdict = await replayHistory(
    coded((input, ctx) => ctx.step("A", () => input)),
    history,
  );
  if (verdict.verdict !== "diverged") return t.fail();
  const { entry } = verdict.divergence;
  const [commit] = history.commits.filter(({ entries }) =>
    entries.some((each) => each.kind === "step-completed"),
  );
  t.deepEqual(entry, {
    ...{ number: 1, kind: "step-completed" },
    ...{ sequence: commit?.sequence ?? 0, at: commit?.time ?? 0 },
  });
});

test("code that waits for something of its own is waited for, as a worker does", async (t) => {
  const { readFile } = await import("node:fs/promises");
  const slow: Code = async (input, ctx) => {
    await readFile("package.json");
    return original(input, ctx);
  };
  t.is(await told(await record(original), slow), "same");
});

test("failed, interrupted and undone runs are replayed to their ends", async (t) => {
  const trip: Code = async (input, ctx) => {
    await ctx.step("book", () => input, { undo: () => {} });
    try {
      await ctx.sleepFor("30 days");
    } finally {
      await ctx.step("clean", () => 1);
    }
  };
  const failing: Code = async (input, ctx) => {
    await ctx.step("book", () => input, { undo: () => {} });
    throw new Error("no");
  };
  const canceled = async (how: "cancel" | "terminate"): Promise<History> => {
    const kit = await testKit({ tasks: [coded(trip)] });
    const run = await kit.start(coded(trip), "in");
    await kit.settle();
    await run[how]();
    await run.result().catch(() => {});
    return parseHistory(await run.history(), "here");
  };
  t.is(await told(await canceled("cancel"), trip), "same");
  t.is(await told(await canceled("terminate"), trip), "same");
  const failed = await record(failing);
  t.is(await told(failed, failing), "same");
  t.is(
    await told(failed, async (input, ctx) => {
      await ctx.step("book", () => input, { undo: () => {} });
    }),
    "step-completed s0 undo book: ",
  );
  t.is(
    await told(failed, async (input, ctx) => {
      await ctx.step("book", () => input);
      throw new Error("no");
    }),
    "step-completed s0 undo book: ",
  );
});

test("a run that failed is not the same as one that completes", async (t) => {
  const failed = await record(async () => {
    throw new Error("no");
  });
  t.is(await told(failed, async () => 1), "ended the end: the end, completed");
  t.is(
    await told(failed, async () => {
      throw new Error("another");
    }),
    "same",
  );
});

test("regular tasks and runs that nobody has claimed are not replayed", async (t) => {
  const history = await record(original);
  const skipped = (verdict: ReplayVerdict): boolean => verdict.verdict === "skipped";
  t.true(skipped(await replayHistory(pack, history)));
  t.true(skipped(await replayHistory(coded(original), { ...history, commits: [] })));
});

test("of several versions the one is replayed that a worker would take", async (t) => {
  const versioned = (version: number, step: string): Task<string, unknown> =>
    durableTask({
      name: "coded",
      version,
      run: (input: string, ctx) => ctx.step(step, () => input),
    });
  const [one, two] = [versioned(1, "a"), versioned(2, "b")];
  const kit = await testKit({ tasks: [one] });
  const run = await kit.start(one, "in");
  await run.result();
  const history = parseHistory(await run.history(), "here");
  t.is((await replayHistory([two, one], history)).verdict, "same");
  const without = await replayHistory([two], history);
  t.regex(without.verdict === "skipped" ? without.reason : "", /version "1".* there is "2"/);
  t.is((await replayHistory([pack], history)).verdict, "skipped");
});
