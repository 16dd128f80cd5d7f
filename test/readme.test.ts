/** The README says what is so. */
import { existsSync, readFileSync } from "node:fs";
import test from "ava";

const text = readFileSync("README.md", "utf8");
const { scripts, version, engines } = JSON.parse(readFileSync("package.json", "utf8")) as {
  readonly scripts: { readonly [name: string]: string };
  readonly version: string;
  readonly engines: { readonly node: string };
};

/** What stands in the code blocks of a language. */
function blocks(language: string): string[] {
  return [...text.matchAll(/^```(\w+)\n(.*?)^```$/gms)]
    .filter(([, name]) => name === language)
    .map(([, , code]) => code ?? "");
}

test("the README's program is a file that is compiled and run", (t) => {
  t.deepEqual(blocks("ts"), [readFileSync("examples/quick-start/main.ts", "utf8")]);
});

test("the README's links lead to files that exist", (t) => {
  const links = [...text.matchAll(/\]\(([^)]+)\)/g)].map(([, target]) => target ?? "");
  t.true(links.length > 0);
  for (const link of links) t.true(existsSync(link), link);
});

test("the README's commands and versions are those of the package", (t) => {
  const commands = [...text.matchAll(/\bnpm (?:run )?(start|test|build)\b/g)];
  for (const [, script] of commands) t.truthy(scripts[script as string], script);
  t.true(commands.length >= 3);
  t.true(text.includes(`version ${version.replace(/\.\d+$/, "")},`));
  t.true(text.includes(`Node ${engines.node.replace(">=", "")} or newer`));
});

test("the README fits on a screen", (t) => {
  t.true(text.split("\n").length <= 90);
});
