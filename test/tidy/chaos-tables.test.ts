/** docs/chaos.md says what is broken, what is judged and which bugs were found. Each name is looked up. */
import { readFileSync } from "node:fs";
import test from "ava";
import { RULES } from "../chaos/check/judgment.ts";
import { faultKinds } from "../chaos/faults/index.ts";
import { PLANTED_BUGS } from "../chaos/mutants/chaos-mutants.ts";
import { mutate } from "../mutants/mutant.ts";
import { chaosOffenses } from "./chaos-tables.ts";

const page = readFileSync("docs/chaos.md", "utf8");
const facts = { faults: faultKinds, rules: Object.keys(RULES), bugs: PLANTED_BUGS };

test("every fault, rule and planted bug that docs/chaos.md names exists, and every one that exists is named", (t) => {
  const offenses = chaosOffenses(page, facts);
  t.is(offenses.length, 0, `\n${offenses.join("\n")}\n`);
});

test("a page of chaos that names what does not exist is seen, and one that leaves something out", (t) => {
  const name = PLANTED_BUGS[0]?.name ?? "";
  for (const [text, instead] of [
    [/`kill-worker`/, "`kill-somebody`"],
    [/`full-disk`/, "`full-restart`"],
    [/\| `P4` /, "| `P14` "],
    [new RegExp(`\`${name}\``), "`no-such-bug`"],
    [new RegExp(`(\`${name}\` +\\| )[^|]*`), "$1 99 "],
    [new RegExp(`(\`${name}\` +\\|[^|]*\\|[^|]*\\| )[^|]*`), "$1 P10 "],
  ] as const) {
    t.regex(page, text);
    t.not(chaosOffenses(page.replace(text, instead), facts).length, 0, instead);
  }
});

test("there are enough planted bugs, each with a name of its own and a rule that has to be violated", (t) => {
  t.true(PLANTED_BUGS.length >= 25);
  const names = PLANTED_BUGS.map(({ name }) => name);
  t.deepEqual(names, [...new Set(names)]);
  for (const { name, shows } of PLANTED_BUGS)
    t.true(shows.length > 0 && shows.every((rule) => rule in RULES), name);
});

for (const bug of PLANTED_BUGS)
  test(`the planted bug ${bug.name} finds its place in ${bug.file}`, (t) => {
    t.notThrows(() => mutate(bug));
  });
