/** docs/holes.md says what is shown, and by what. Each name in it is looked up. */
import { readFileSync } from "node:fs";
import test from "ava";
import { MUTANTS } from "../mutants/mutants.ts";
import { HOLE_COUNT, holeOffenses, RULE_COUNT, readHoleRows, readRules } from "./holes-table.ts";
import { readProject } from "./source-file.ts";

const page = readFileSync("docs/holes.md", "utf8");
const files = readProject(".").filter(({ path }) => /^test\/holes\/.*\.test\.ts$/.test(path));
const facts = { files, mutants: MUTANTS.map(({ name }) => name) };

test("every test and mutant that the table of holes names exists, and every one that exists is named", (t) => {
  const offenses = holeOffenses(page, facts);
  t.is(offenses.length, 0, `\n${offenses.join("\n")}\n`);
});

test("every rule that the table of holes and the mutants cite is told on the page", (t) => {
  const told = readRules(page);
  t.deepEqual(
    told,
    Array.from({ length: RULE_COUNT }, (_, i) => i + 1),
  );
  for (const { line, rules } of readHoleRows(page))
    for (const rule of rules) t.true(told.includes(rule), `docs/holes.md:${line}`);
});

test("a table of holes that names what does not exist is seen, and one that leaves something out", (t) => {
  const rows = readHoleRows(page);
  t.is(new Set(rows.map(({ hole }) => hole)).size, HOLE_COUNT);
  for (const { line, hole, title, mutants } of rows) {
    const lines = page.split("\n");
    const row = lines[line - 1] as string;
    const broken = [
      row.replace(title, `${title} again`),
      row.replace(/\| \d+ /, "| 99 "),
      row.replace(`\`${mutants[0]}\``, "`none`"),
      row.replace(`\`${mutants[0]}\``, `\`${otherThan(mutants)}\``),
      // Of a hole with several rows two may be made by one call.
      ...(rows.filter((row) => row.hole === hole).length === 1 ? [""] : []),
    ];
    for (const instead of broken) {
      lines[line - 1] = instead;
      t.not(holeOffenses(lines.join("\n"), facts).length, 0, instead);
    }
  }
});

function otherThan(names: readonly string[]): string {
  const others = readHoleRows(page).flatMap(({ mutants }) => mutants);
  return others.find((name) => name.length > 0 && !names.includes(name)) as string;
}
