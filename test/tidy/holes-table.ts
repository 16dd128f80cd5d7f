/** The table of docs/holes.md, compared with the tests and mutants that it names. */
import type { SourceFile } from "./source-file.ts";

/** One row: one way into a hole, and what shows it. */
export interface HoleRow {
  readonly line: number;
  readonly hole: number;
  readonly rules: readonly number[];
  /** Such as `test/holes/tokens.test.ts`. */
  readonly file: string;
  readonly title: string;
  readonly mutants: readonly string[];
}

/** What the table is compared with. */
export interface HoleFacts {
  readonly files: readonly Pick<SourceFile, "path" | "text">[];
  readonly mutants: readonly string[];
}

/** The holes that the attack on the protocol found. */
export const HOLE_COUNT = 34;
/** The rules of the protocol. */
export const RULE_COUNT = 30;

const TEST = /^\[[a-z-]+\]\(\.\.\/(test\/holes\/[a-z-]+\.test\.ts)\): (.+)$/;

/** Reads the rows of the page that name a test. */
export function readHoleRows(page: string): HoleRow[] {
  const rows: HoleRow[] = [];
  for (const [i, line] of page.split("\n").entries()) {
    const [hole = "", , rules = "", test = "", mutants = ""] = cellsOf(line);
    const [, file = "", title = ""] = TEST.exec(test) ?? [];
    if (!/^\d+$/.test(hole) || file === "") continue;
    rows.push({
      line: i + 1,
      hole: Number(hole),
      rules: rules.split(", ").map(Number),
      file,
      title,
      mutants: [...mutants.matchAll(/`([^`]+)`/g)].map(([, name]) => name as string),
    });
  }
  return rows;
}

/** The rules that the page tells, in its order: rows of a number and a text. */
export function readRules(page: string): number[] {
  const rows = page.split("\n").map(cellsOf);
  return rows
    .filter((cells) => cells.length === 2 && /^\d+$/.test(cells[0] ?? ""))
    .map(([rule]) => Number(rule));
}

function cellsOf(line: string): string[] {
  if (!line.startsWith("|")) return [];
  return line
    .split("|")
    .slice(1, -1)
    .map((cell) => cell.trim());
}

/** What is wrong with the page, a sentence each. */
export function holeOffenses(page: string, { files, mutants }: HoleFacts): string[] {
  const rows = readHoleRows(page);
  const offenses: string[] = [];
  const matched = new Set<DeclaredHole>();
  const declared = new Map(files.map(({ path, text }) => [path, readHoles(text)]));
  for (const { line, hole, file, title, mutants: named } of rows) {
    const at = `docs/holes.md:${line}`;
    const test = declared.get(file)?.find((each) => each.hole === hole && each.title.test(title));
    if (test === undefined) {
      offenses.push(`${at}  ${file} has no test "${title}" of hole ${hole}.`);
      continue;
    }
    matched.add(test);
    if (named.length === 0) offenses.push(`${at}  No mutant opens hole ${hole} here.`);
    for (const name of named)
      if (!mutants.includes(name)) offenses.push(`${at}  There is no mutant "${name}".`);
      else if (!test.text.includes(`"${name}"`))
        offenses.push(`${at}  "${title}" is not tried with the mutant "${name}".`);
  }
  for (const [path, tests] of declared)
    for (const test of tests)
      if (!matched.has(test))
        offenses.push(
          `${path}  docs/holes.md does not have the test ${test.title} of hole ${test.hole}.`,
        );
  for (const name of mutants)
    if (!rows.some((row) => row.mutants.includes(name)))
      offenses.push(`test/mutants  docs/holes.md does not have the mutant "${name}".`);
  for (let hole = 1; hole <= HOLE_COUNT; hole++)
    if (!rows.some((row) => row.hole === hole))
      offenses.push(`docs/holes.md  There is no row for hole ${hole}.`);
  return offenses;
}

/** A call of `hole` in a test file. */
interface DeclaredHole {
  readonly hole: number;
  /** What its title may be: a template's parts may become anything. */
  readonly title: RegExp;
  /** The call with the loop around it. */
  readonly text: string;
}

const CALL = /\n(?:for \([^;]*?\)\s+)?hole\((\d+), \{\s+title:\s+(?:"([^"]+)"|`([^`]+)`)/g;

function readHoles(text: string): DeclaredHole[] {
  const calls = [...text.matchAll(CALL)];
  return calls.map((call, i) => {
    const [, hole, plain, template] = call;
    const parts = plain === undefined ? (template ?? "").split(/\$\{[^}]*\}/) : [plain];
    const pattern = parts.map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join(".+");
    return {
      hole: Number(hole),
      title: new RegExp(`^${pattern}$`),
      text: text.slice(call.index, calls[i + 1]?.index),
    };
  });
}
