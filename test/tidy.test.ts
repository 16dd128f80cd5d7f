/** The house rules that no linter knows. Each is tried on files that break it and files that do not. */
import { readFileSync } from "node:fs";
import test from "ava";
import { codeRules } from "./tidy/code-rules.ts";
import { fileRules } from "./tidy/file-rules.ts";
import { importRules } from "./tidy/import-rules.ts";
import { readProject, SourceFile } from "./tidy/source-file.ts";

const { c8 } = JSON.parse(readFileSync("package.json", "utf8")) as { c8: { include: string[] } };
const rules = [...codeRules, ...fileRules, ...importRules(c8.include)];
const project = readProject(".");

for (const rule of rules) {
  test(`the project keeps the house rule: ${rule.title}`, (t) => {
    const offenses = rule.check(project);
    const lines = offenses.map(({ path, line, message }) => `${path}:${line}  ${message}`);
    t.is(lines.length, 0, `\n${lines.join("\n")}\n`);
  });

  test(`a file that breaks it is seen: ${rule.title}`, (t) => {
    const isCycle = rule.title.includes("cycle");
    const groups = isCycle ? [rule.bad] : rule.bad.map((sample) => [sample]);
    t.true(groups.length > 0);
    for (const group of groups) {
      const files = group.map(({ path, text }) => new SourceFile(path, text));
      t.not(rule.check(files).length, 0, `${group[0]?.path}: ${group[0]?.text}`);
    }
    const files = rule.good.map(({ path, text }) => new SourceFile(path, text));
    t.deepEqual(rule.check(files), []);
  });
}

test("every model file exists", (t) => {
  const paths = new Set(project.map(({ path }) => path));
  t.deepEqual(
    c8.include.filter((path) => !paths.has(path)),
    [],
  );
});

test("comments, strings, templates and patterns are told from code", (t) => {
  const text = [
    'const a = "one // two"; // three',
    "const b = `four @{five({ six: `seven @{eight}` })} nine`;".replaceAll("@", "$"),
    'const c = /[/"]ten/.test(a) / eleven; /* twelve */',
    "const d = 'it\\'s thirteen' + fourteen;",
  ].join("\n");
  const { code, comments } = new SourceFile("shared/a.ts", text);
  const words = (blanked: string): string[] =>
    blanked.match(
      /\b(?:one|two|three|four|five|six|seven|eight|nine|ten|\w+teen|eleven|twelve)\b/g,
    ) ?? [];
  t.deepEqual(words(code), ["five", "six", "eight", "eleven", "fourteen"]);
  t.deepEqual(words(comments), ["three", "twelve"]);
  t.is(code.length, text.length);
});

test("every form of import is found", (t) => {
  const text = [
    'import { a } from "./a.ts";',
    'import type { B } from "../b.ts";',
    'import {\n  c,\n} from "c";',
    'export { d } from "./d.ts";',
    'export * from "./e.ts";',
    'import "./f.ts";',
    'const g = await import("./g.ts");',
    'export const h = "./h.ts";',
    "say(\"import { i } from './i.ts'\");",
  ].join("\n");
  const { imports } = new SourceFile("shared/jetstream/all.ts", text);
  t.deepEqual(
    imports.map(({ specifier, target }) => target ?? specifier),
    [
      "shared/jetstream/a.ts",
      "shared/b.ts",
      "c",
      "shared/jetstream/d.ts",
      "shared/jetstream/e.ts",
      "shared/jetstream/f.ts",
      "shared/jetstream/g.ts",
    ],
  );
});
