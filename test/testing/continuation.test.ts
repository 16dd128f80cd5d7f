import test from "ava";
import { anyOf, child, sleep } from "../../shared/conditions.ts";
import { InvalidInputError, RunCanceledError, RunFailedError } from "../../shared/errors.ts";
import { parseHistory } from "../../shared/history-file.ts";
import type { Schema } from "../../shared/schema.ts";
import { type DurableContext, durableTask, task } from "../../shared/task.ts";
import { timelineOf } from "../../shared/timeline.ts";
import { crashEverywhere, type TestKit, testKit } from "../../testing/index.ts";
import { replayHistory } from "../../worker/index.ts";

interface Round {
  readonly left: number;
  readonly seen: readonly unknown[];
}

const pack = task({ name: "pack", run: (input: number) => input });

/** Goes round with a step, a child, an event and a sleep in each round. */
const rounds = durableTask({
  name: "rounds",
  run: async ({ left, seen }: Round, ctx) => {
    if (left === 0) return seen;
    const keys = await ctx.step("work", ({ idempotencyKey }) => idempotencyKey);
    const packed = await ctx.run(pack, left);
    const tick = await ctx.waitForEvent("tick");
    await ctx.sleepFor("1h");
    const round = { keys, packed, tick: tick.data, uuid: ctx.uuid() };
    return ctx.continueAs({ left: left - 1, seen: [...seen, round] });
  },
});
const first: Round = { left: 3, seen: [] };

async function playRounds(kit: TestKit): Promise<readonly unknown[]> {
  const run = await kit.start(rounds, first);
  for (const tick of [1, 2, 3]) await kit.publish("tick", tick);
  return run.result() as Promise<readonly unknown[]>;
}

test("a run continues with another input and an empty history, and its caller gets the last end", async (t) => {
  const kit = await testKit({ tasks: [rounds, pack] });
  const seen = (await playRounds(kit)) as readonly { [field: string]: unknown }[];
  t.deepEqual(
    seen.map(({ packed, tick }) => [packed, tick]),
    [
      [3, 1],
      [2, 2],
      [1, 3],
    ],
  );
  const view = await kit.get(rounds, "run-1").view();
  t.like(view.state, { entries: 2, beginning: { count: 3, input: { left: 0 } } });
  t.deepEqual(view.state.deliveries, []);
  const continued = timelineOf(view).filter(({ kind }) => kind === "continued");
  t.regex(continued[1]?.text ?? "", /^continues for the 2nd time, with the input \{ ?left: 1/);
});

test("what has to be unique to a run is so over all its histories", async (t) => {
  const kit = await testKit({ tasks: [rounds, pack] });
  const seen = (await playRounds(kit)) as readonly { keys: string; uuid: string }[];
  t.is(new Set(seen.map(({ keys }) => keys)).size, 3);
  t.is(new Set(seen.map(({ uuid }) => uuid)).size, 3);
});

test("a worker dies at every place of a run that continues, and it comes to the same end", async (t) => {
  const { outcome, places } = await crashEverywhere({ tasks: [rounds, pack] }, playRounds);
  t.is(outcome.length, 3);
  t.true(places.length > 60, `${places.length}`);
});

test("the history of a run that has continued is replayed from where it continued last", async (t) => {
  const task = rounds;
  const kit = await testKit({ tasks: [rounds, pack] });
  const run = await kit.start(rounds, first);
  await kit.publish("tick", 1);
  await kit.advance("1h");
  const history = parseHistory(await run.history(), "a history");
  t.deepEqual(await replayHistory(task, history), { verdict: "same", isOutputOther: false });
  const other = durableTask({
    name: "rounds",
    run: async (_: Round, ctx) => ctx.step("other", () => 1),
  });
  t.like(await replayHistory(other, history), {
    verdict: "diverged",
    divergence: { recorded: "s0 work", entry: { kind: "step-completed" } },
  });
});

test("what is under way when a run continues is not waited for: a step is told, its result counts no more", async (t) => {
  const signals: AbortSignal[] = [];
  let finish: (() => void) | undefined;
  const hasty = durableTask({
    name: "hasty",
    run: async (isSecond: boolean, ctx) => {
      if (isSecond) return ctx.step("slow", () => "of the second history");
      void ctx.step("slow", ({ signal }) => {
        signals.push(signal);
        return new Promise<string>((resolve) => {
          finish = () => resolve("of the first history");
        });
      });
      await ctx.step("quick", () => 1);
      return ctx.continueAs(true);
    },
  });
  const kit = await testKit({ tasks: [hasty] });
  const run = await kit.start(hasty, false);
  t.is(await run.result(), "of the second history");
  finish?.();
  await kit.settle();
  t.is(signals[0]?.aborted, true);
  const { commits } = await run.view();
  const kinds = commits.flatMap(({ entries }) => entries.map(({ kind }) => kind));
  t.deepEqual(kinds, ["step-completed", "continued", "step-completed", "ended"]);
});

test("children that the code waits for are canceled when it continues, but for those to be left, and others go on", async (t) => {
  const slow = durableTask({
    name: "slow",
    run: async (name: string, ctx) => {
      await ctx.sleepFor("1 day");
      return name;
    },
  });
  const parent = durableTask({
    name: "parent",
    run: async (isSecond: boolean, ctx) => {
      if (isSecond) return "over";
      const started = ctx.start(slow, "started", { id: "started" });
      const awaited = ctx.run(slow, "awaited", { id: "awaited" });
      const left = ctx.run(slow, "left", { id: "left", whenCanceled: "leave" });
      await started;
      await Promise.race([awaited, left, ctx.sleepFor("2s")]);
      return ctx.continueAs(true);
    },
  });
  const kit = await testKit({ tasks: [parent, slow] });
  t.is(await kit.run(parent, false), "over");
  await t.throwsAsync(kit.get(slow, "awaited").result(), { instanceOf: RunCanceledError });
  t.is(await kit.get(slow, "started").result(), "started");
  t.is(await kit.get(slow, "left").result(), "left");
});

test("a child of a given id belongs to the history that started it", async (t) => {
  const parent = durableTask({
    name: "parent",
    run: async (round: number, ctx) => {
      const packed = await ctx.run(pack, round, { id: "one" }).catch((error: Error) => error.name);
      return round === 1 ? ctx.continueAs(2) : packed;
    },
  });
  const kit = await testKit({ tasks: [parent, pack] });
  t.is(await kit.run(parent, 1), "RunConflictError");
});

test("a parent sees nothing of its child but its last end", async (t) => {
  const parent = durableTask({
    name: "parent",
    run: (_: undefined, ctx) => ctx.run(rounds, { left: 2, seen: [] }),
  });
  const kit = await testKit({ tasks: [parent, rounds, pack] });
  const run = await kit.start(parent);
  for (const tick of [1, 2]) await kit.publish("tick", tick);
  t.is(((await run.result()) as readonly unknown[]).length, 2);
});

test("the time limit of a run counts on when it continues", async (t) => {
  const restless = durableTask({
    name: "restless",
    runTimeout: "570m",
    run: async (round: number, ctx) => {
      await ctx.sleepFor("1h");
      return round < 100 ? ctx.continueAs(round + 1) : "never";
    },
  });
  const kit = await testKit({ tasks: [restless] });
  const run = await kit.start(restless, 1);
  const error = await t.throwsAsync(run.result(), { instanceOf: RunFailedError });
  t.like(error?.cause, { code: "timeout" });
  t.is((await run.view()).state.beginning?.count, 9);
});

test("a run that is canceled is told so instead of continuing", async (t) => {
  const told: unknown[] = [];
  const stubborn = durableTask({
    name: "stubborn",
    run: async (round: number, ctx) => {
      try {
        await ctx.sleepFor("1h");
      } finally {
        await ctx.continueAs(round + 1).catch((error: unknown) => told.push(error));
      }
    },
  });
  const kit = await testKit({ tasks: [stubborn] });
  const run = await kit.start(stubborn, 1);
  await kit.advance("90m");
  await run.cancel();
  await t.throwsAsync(run.result(), { instanceOf: RunCanceledError });
  t.true(told.length === 1 && told[0] instanceof RunCanceledError);
});

test("an input that does not fit is refused, and the code goes on", async (t) => {
  const schema: Schema<number> = {
    "~standard": {
      version: 1,
      vendor: "test",
      validate: (value) =>
        typeof value === "number" ? { value } : { issues: [{ message: "a number" }] },
    },
  };
  const refused: unknown[] = [];
  const strict = durableTask({
    name: "strict",
    input: schema,
    run: async (round, ctx) => {
      if (round > 0) return round;
      const note = (error: unknown): void => void refused.push(error);
      await ctx.continueAs("one").catch(note);
      await ctx.sleepFor("1h");
      return ctx.continueAs(1);
    },
  });
  const plain = durableTask({
    name: "plain",
    run: async (round: unknown, ctx) => {
      if (round !== 0) return round;
      const note = (error: unknown): void => void refused.push(error);
      await ctx.continueAs(() => 1).catch(note);
      await ctx.sleepFor("1h");
      return ctx.continueAs();
    },
  });
  const kit = await testKit({ tasks: [strict, plain] });
  t.is(await kit.run(strict, 0), 1);
  t.is(await kit.run(plain, 0), undefined);
  t.is(refused.length, 4); // each is told again in its replay
  t.true(refused.every((error) => error instanceof InvalidInputError));
});

test("a run that has continued is retried and forked within its present history", async (t) => {
  let isBroken = true;
  const fragile = durableTask({
    name: "fragile",
    retries: 0,
    run: async (round: number, ctx: DurableContext): Promise<unknown> => {
      const done = await ctx.step("done", () => round);
      if (round < 3) return ctx.continueAs(round + 1);
      return ctx.step("last", () => {
        if (isBroken) throw new Error("broken");
        return [done, round];
      });
    },
  });
  const kit = await testKit({ tasks: [fragile] });
  const run = await kit.start(fragile, 1);
  await t.throwsAsync(run.result(), { instanceOf: RunFailedError });
  isBroken = false;
  await run.retry();
  t.deepEqual(await run.result(), [3, 3]);
  t.is(kit.executed.filter(({ step }) => step === "done").length, 3);
});

test("a continuation that waits with a timer and a race leaves nothing behind that wakes it", async (t) => {
  const racer = durableTask({
    name: "racer",
    run: async (round: number, ctx): Promise<unknown> => {
      const handle = await ctx.start(pack, round);
      await ctx.waitFor(anyOf(child(handle), sleep("1 day")));
      if (round < 3) return ctx.continueAs(round + 1);
      await ctx.sleepFor("3 days");
      return round;
    },
  });
  const { outcome } = await crashEverywhere({ tasks: [racer, pack] }, (kit) => kit.run(racer, 1));
  t.is(outcome, 3);
});
