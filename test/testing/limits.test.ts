import test from "ava";
import { LimitExceededError, RunFailedError } from "../../shared/errors.ts";
import { parseHistory } from "../../shared/history-file.ts";
import {
  CHILDREN_PER_RUN,
  HISTORY_ENTRIES,
  HISTORY_RESERVE_ENTRIES,
  LONG_HISTORY_ENTRIES,
  WAITS_PER_RUN,
} from "../../shared/limits.ts";
import { silentLog } from "../../shared/logger.ts";
import { durableTask, type StepContext, task } from "../../shared/task.ts";
import { testKit } from "../../testing/index.ts";
import { replayHistory } from "../../worker/index.ts";

const pack = task({ name: "pack", run: (input: number) => input });

/** What an operation came to: which limit it exceeded, or nothing. */
async function limitOf(operation: Promise<unknown>): Promise<readonly unknown[]> {
  try {
    await operation;
    return [];
  } catch (error) {
    if (!(error instanceof LimitExceededError)) throw error;
    return [error.limitName, error.limit, error.actual];
  }
}

test("a run that asks for more children than it may have gets a typed error and goes on, also in a replay", async (t) => {
  const parent = durableTask({
    name: "parent",
    run: async (_: undefined, ctx) => {
      const many = new Array<number>(CHILDREN_PER_RUN).fill(1);
      const first = await ctx.run(pack, 7);
      const refused = [await limitOf(ctx.run(pack, many)), await limitOf(ctx.start(pack, many))];
      await ctx.sleepFor("1h"); // the code is called again
      return [first, await ctx.run(pack, [8, 9]), ...refused];
    },
  });
  const kit = await testKit({ tasks: [parent, pack] });
  const exceeded = ["children-per-run", CHILDREN_PER_RUN, CHILDREN_PER_RUN + 1];
  t.deepEqual(await kit.run(parent), [7, [8, 9], exceeded, exceeded]);
});

test("a run that waits for too much at once gets a typed error for what is too much", async (t) => {
  const waiter = durableTask({
    name: "waiter",
    run: async (_: undefined, ctx) => {
      const waits = Array.from({ length: WAITS_PER_RUN + 2 }, () => limitOf(ctx.sleepFor("1h")));
      const refused = (await Promise.all(waits)).filter(({ length }) => length > 0);
      await ctx.sleepFor("1h");
      return refused;
    },
  });
  const kit = await testKit({ tasks: [waiter] });
  const exceeded = ["waits-per-run", WAITS_PER_RUN, WAITS_PER_RUN + 1];
  t.deepEqual(await kit.run(waiter), [exceeded, exceeded]);
});

/** Many entries in few commits. */
function manySteps(count: number): (ctx: { step: Step }) => Promise<void> {
  return async (ctx) => {
    await Promise.all(Array.from({ length: count }, (_, i) => ctx.step(`${count} ${i}`, () => i)));
  };
}
type Step = (name: string, action: (step: StepContext) => number) => Promise<number>;

test("a run is told of its long history once, gets a typed error when it is too long, and is given up and undone when it goes on", async (t) => {
  const undone: string[] = [];
  const refused: (readonly unknown[])[] = [];
  const stubborn = durableTask({
    name: "stubborn",
    run: async (_: undefined, ctx) => {
      await ctx.step("reserve", () => 1, { undo: () => void undone.push("reserve") });
      await manySteps(LONG_HISTORY_ENTRIES)(ctx);
      await manySteps(HISTORY_ENTRIES - LONG_HISTORY_ENTRIES - 10)(ctx);
      for (;;) {
        const more = Array.from({ length: 100 }, () => limitOf(ctx.step("more", () => 1)));
        refused.push(...(await Promise.all(more)).filter(({ length }) => length > 0));
      }
    },
  });
  const warnings: string[] = [];
  const log = { ...silentLog, warn: (message: string) => void warnings.push(message) };
  const kit = await testKit({ tasks: [stubborn], log });
  const run = await kit.start(stubborn);
  const error = await t.throwsAsync(run.result(), { instanceOf: RunFailedError });
  t.like(error?.cause, { code: "limit-exceeded", limitName: "history-length" });
  t.deepEqual(undone, ["reserve"]);
  t.deepEqual(refused[0]?.slice(0, 2), ["history-length", HISTORY_ENTRIES]);
  t.true(refused.length <= HISTORY_RESERVE_ENTRIES + 200, `${refused.length}`);
  t.is(warnings.filter((message) => message.startsWith("The history of the run")).length, 1);
  t.like(await replayHistory(stubborn, parseHistory(await run.history(), "a history")), {
    verdict: "same",
  });
});
