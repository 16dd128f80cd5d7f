import test from "ava";
import { newId } from "../../shared/ids.ts";
import { Random } from "../chaos/random.ts";
import { one, shown } from "./campaign.ts";
import { targets } from "./targets/all.ts";
import { failureText, watch } from "./watch.ts";

/** More are a matter of `npm run fuzz`. */
const INPUTS = 500;
const broken = new URL("./broken-targets.js", import.meta.url);

test.serial("every decoder and parser bears hostile inputs", async (t) => {
  const seed = newId();
  const names = targets.map(({ name }) => name);
  const { failures, totals } = await watch({ seed, names, inputs: INPUTS });
  t.is(failures.map((failure) => failureText(failure, seed)).join("\n\n"), "");
  for (const name of names) t.is(totals.get(name)?.inputs, INPUTS, name);
});

test.serial(
  "an input is the same for one seed, target and number, and another for another",
  (t) => {
    Error.stackTraceLimit = 0; // where an error was made differs
    for (const { name, make } of targets) {
      const made = (seed: string): string =>
        Array.from({ length: 20 }, (_, i) => shown(make(new Random(seed, name, i)))).join("\n");
      t.is(made("a"), made("a"), name);
      t.not(made("a"), made("b"), name);
    }
  },
);

const findings: readonly [name: string, error: RegExp][] = [
  ["throws", /^URIError/],
  ["rejects", /^RangeError: later/],
  ["is wrong", /^Finding: one is two/],
  ["pollutes", /Object.prototype has the field "polluted"/],
  ["patches", /a prototype has other fields than before/],
  ["allocates", /took \d+ bytes of memory/],
  ["leaks", /Memory has grown by \d+ bytes/],
  ["hangs", /^An input hangs/],
  ["fills the memory", /memory/i],
];

for (const [name, error] of findings)
  test.serial(
    `a decoder that ${name} is found, and the command is told that shows it again`,
    async (t) => {
      const options = { module: broken, seed: "s", inputs: 100_000, hangMs: 2_000, heapMb: 64 };
      const { failures } = await watch({
        ...options,
        names: [name],
      });
      t.is(failures.length, 1);
      const [failure] = failures;
      if (!failure) return;
      t.is(failure.target, name);
      t.regex(failure.error, error);
      const text = failureText(failure, "s");
      t.true(text.includes(`npm run fuzz -- ${name} --seed s --input ${failure.number}`), text);
    },
  );

test.serial("an input that is given again fails again", async (t) => {
  const { targets: wrong } = (await import(broken.href)) as { targets: typeof targets };
  const target = wrong.find(({ name }) => name === "is wrong");
  if (!target) return t.fail();
  const { failures } = await watch({
    module: broken,
    seed: "s",
    inputs: 1_000,
    names: ["is wrong"],
  });
  const number = failures[0]?.number ?? -1;
  t.regex((await one(target, "s", number))?.error ?? "", /one is two/);
});
