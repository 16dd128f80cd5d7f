/** docs/errors.md has every code and docs/limits.md every limit, and neither has any other. */
import { readFileSync } from "node:fs";
import test from "ava";
import { CONDITION_DEPTH, CONDITION_LEAVES } from "../../shared/conditions.ts";
import { EVENT_NAME_BYTES } from "../../shared/event-names.ts";
import { FILTER_BYTES, FILTER_DEPTH } from "../../shared/filters.ts";
import * as limits from "../../shared/limits.ts";
import { codeOffenses, errorClasses, limitOffenses, tableRows } from "./codes-table.ts";
import { readProject } from "./source-file.ts";

const codes = readFileSync("docs/errors.md", "utf8");
const bounds = readFileSync("docs/limits.md", "utf8");
const files = readProject(".").filter(({ path }) =>
  /^(?:shared|engine|worker|testing)\/.*\.ts$/.test(path),
);
const values = new Map<string, number>([
  ...Object.entries(limits),
  ...Object.entries({ CONDITION_DEPTH, CONDITION_LEAVES, EVENT_NAME_BYTES }),
  ...Object.entries({ FILTER_BYTES, FILTER_DEPTH }),
]);

test("every code of an error and of a paused run is in the table of codes, and no other", (t) => {
  const offenses = codeOffenses(codes, files);
  t.is(offenses.length, 0, `\n${offenses.join("\n")}\n`);
  const count = files.reduce((sum, { text }) => sum + [...text.matchAll(/code = "/g)].length, 0);
  t.is(errorClasses(files).size, count, "every class with a code is read, and has its own");
});

test("every limit is in the table of limits with its value, and no other", (t) => {
  const offenses = limitOffenses(bounds, files, values);
  t.is(offenses.length, 0, `\n${offenses.join("\n")}\n`);
});

test("a code or a limit that a table leaves out, has too much or tells wrongly is seen", (t) => {
  for (const name of tableRows(codes).keys())
    t.not(codeOffenses(codes.replace(`\`${name}\``, "`no-such`"), files).length, 0, name);
  for (const [one, other] of [
    ["`TimeoutError`", "`RunFailedError`"],
    ["| yes ", "| no  "],
  ] as const)
    t.is(codeOffenses(codes.replace(one, other), files).length, 1, one);
  for (const name of tableRows(bounds).keys()) {
    const broken = limitOffenses(bounds.replace(`\n| \`${name}\``, "\n| `NONE`"), files, values);
    t.is(broken.length, 2, name);
  }
  const row = /(\| `WAITS_PER_RUN`\s+\| )[\d,]+/;
  t.is(limitOffenses(bounds.replace(row, "$17"), files, values).length, 1);
});
