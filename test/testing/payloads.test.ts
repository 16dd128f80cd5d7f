import test from "ava";
import { RunFailedError } from "../../shared/errors.ts";
import { parseHistory } from "../../shared/history-file.ts";
import { PAYLOAD_INLINE_BYTES, VALUE_BYTES } from "../../shared/limits.ts";
import { PayloadReference } from "../../shared/payload-reference.ts";
import { durableTask, task } from "../../shared/task.ts";
import { crashEverywhere, testKit } from "../../testing/index.ts";
import { replayHistory } from "../../worker/index.ts";

const MEGABYTE = 1_000_000;
const text = (length: number, letter = "x"): string => letter.repeat(length);

const grow = task({ name: "grow", run: (input: string) => input + input });

/** Has large values at every place where a value can be. */
const heavy = durableTask({
  name: "heavy",
  run: async (input: string, ctx) => {
    const stepped = await ctx.step("grow", () => input + input);
    await ctx.sleepFor("1h");
    const many = await ctx.run(grow, [input, "small"]);
    const one = await ctx.run(grow, input);
    await ctx.sleepFor("1h");
    if (input.startsWith("x")) return ctx.continueAs(text(input.length, "y"));
    return { stepped, many, one, lengths: [stepped, ...many, one].map(({ length }) => length) };
  },
});

test("inputs, results of steps and of children, and outputs larger than a message go to the object store", async (t) => {
  const kit = await testKit({ tasks: [heavy, grow] });
  const run = await kit.start(heavy, text(MEGABYTE));
  const output = (await run.result()) as { lengths: number[]; stepped: string };
  t.deepEqual(
    output.lengths,
    [2, 2, 0.00001, 2].map((size) => size * MEGABYTE),
  );
  t.true(/^y+$/.test(output.stepped));
  const view = await run.view();
  t.true(view.input instanceof PayloadReference);
  t.like(JSON.parse(JSON.stringify(view.input)), { bytes: MEGABYTE + 6 });
  const entries = view.commits.flatMap((commit) => commit.entries);
  const stepped = entries.find((entry) => entry.kind === "step-completed");
  t.true(stepped?.value instanceof PayloadReference);
});

test("a history is exported with its large values, and replayed without the object store", async (t) => {
  const kit = await testKit({ tasks: [heavy, grow] });
  const run = await kit.start(heavy, text(PAYLOAD_INLINE_BYTES, "y"));
  await run.result();
  const history = parseHistory(await run.history(), "a history");
  t.is((history.input as string).length, PAYLOAD_INLINE_BYTES);
  t.deepEqual(await replayHistory(heavy, history), { verdict: "same", isOutputOther: false });
});

test("a worker dies at every place around a payload, and the run comes to the same end", async (t) => {
  const light = durableTask({
    name: "light",
    run: async (input: string, ctx) => {
      const stepped = await ctx.step("grow", () => input + input);
      await ctx.sleepFor("1h");
      return (await ctx.run(grow, stepped)).length;
    },
  });
  const { outcome, places } = await crashEverywhere({ tasks: [light, grow] }, (kit) =>
    kit.run(light, text(PAYLOAD_INLINE_BYTES)),
  );
  t.is(outcome, PAYLOAD_INLINE_BYTES * 4);
  t.true(places.filter((place) => place.startsWith("after $O.")).length > 6);
});

test("a value larger than any may be fails its step, and the error names the maximum", async (t) => {
  const monstrous = durableTask({
    name: "monstrous",
    retries: 0,
    run: async (_: undefined, ctx) => {
      const large = ctx.step("grow", () => new Uint8Array(VALUE_BYTES + 1));
      return large.then(String, (error: Error) => error.message);
    },
  });
  const kit = await testKit({ tasks: [monstrous] });
  t.regex(await kit.run(monstrous), new RegExp(`takes more than ${VALUE_BYTES} bytes`));
});

test("a large result that somebody gives for a step, and a large output, are as any other", async (t) => {
  const fragile = durableTask({
    name: "fragile",
    retries: 0,
    run: async (_: undefined, ctx) =>
      ctx.step("broken", (): string => {
        throw new Error("broken");
      }),
  });
  const kit = await testKit({ tasks: [fragile] });
  const run = await kit.start(fragile);
  await t.throwsAsync(run.result(), { instanceOf: RunFailedError });
  await run.skip("broken", text(2 * MEGABYTE));
  t.is(((await run.result()) as string).length, 2 * MEGABYTE);
});
