/** The tables of docs/errors.md and docs/limits.md, compared with the code. */
import type { SourceFile } from "./source-file.ts";

type Text = Pick<SourceFile, "path" | "text">;

/** The first cells of the rows of tables, where they are a name in backticks, with the other cells. */
export function tableRows(page: string): Map<string, readonly string[]> {
  const rows = new Map<string, readonly string[]>();
  for (const line of page.split("\n")) {
    if (!line.startsWith("|")) continue;
    const [first = "", ...others] = line
      .split("|")
      .slice(1, -1)
      .map((cell) => cell.trim());
    const name = /^`([^`]+)`$/.exec(first)?.[1];
    if (name !== undefined) rows.set(name, others);
  }
  return rows;
}

const CLASS =
  /\bclass (\w+) extends \w+ \{[^}]*?readonly code = "([a-z-]+)";\s+readonly retryable = (true|false);/g;
const CODE = /\bcode: "([a-z-]+)"/g;

/** Codes of the classes in these files, with class and whether they are retryable. */
export function errorClasses(
  files: readonly Text[],
): Map<string, { readonly name: string; readonly retryable: string }> {
  const found = files.flatMap(({ text }) => [...text.matchAll(CLASS)]);
  return new Map(
    found.map(([, name = "", code = "", retryable]) => [
      code,
      { name, retryable: retryable === "true" ? "yes" : "no" },
    ]),
  );
}

/** What is wrong with the page of codes, a sentence each. */
export function codeOffenses(page: string, files: readonly Text[]): string[] {
  const rows = tableRows(page);
  const classes = errorClasses(files);
  const written = new Set(
    files.flatMap(({ text }) => [...text.matchAll(CODE)].map(([, code]) => code as string)),
  );
  const offenses = [...new Set([...classes.keys(), ...written])]
    .filter((code) => !rows.has(code))
    .map((code) => `docs/errors.md does not have the code "${code}".`);
  for (const [code, cells] of rows) {
    const known = classes.get(code);
    if (!known && !written.has(code)) offenses.push(`docs/errors.md: nothing has "${code}".`);
    if (known && cells[0] !== `\`${known.name}\``)
      offenses.push(`docs/errors.md: "${code}" is the code of ${known.name}.`);
    if (known && cells[2] !== known.retryable)
      offenses.push(`docs/errors.md: "${code}" is retryable: ${known.retryable}.`);
  }
  return offenses;
}

const LIMIT = /\blimitName: "([a-z-]+)"/g;

/** What is wrong with the page of limits: names of errors, constants and their values. */
export function limitOffenses(
  page: string,
  files: readonly Text[],
  values: ReadonlyMap<string, number>,
): string[] {
  const rows = tableRows(page);
  const names = new Set(
    files.flatMap(({ text }) => [...text.matchAll(LIMIT)].map(([, name]) => name as string)),
  );
  const expected = [...names, ...values.keys()];
  const offenses = expected
    .filter((name) => !rows.has(name))
    .map((name) => `docs/limits.md does not have the limit "${name}".`);
  for (const [name, [shown = ""]] of rows) {
    const value = values.get(name);
    if (!names.has(name) && value === undefined)
      offenses.push(`docs/limits.md: there is no limit "${name}".`);
    if (value !== undefined && Number(/^[\d.,]+/.exec(shown)?.[0].replaceAll(",", "")) !== value)
      offenses.push(`docs/limits.md: "${name}" is ${value}, not "${shown}".`);
  }
  return offenses;
}
