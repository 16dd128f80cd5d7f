/** The tables of docs/chaos.md, compared with the faults, rules and planted bugs that they name. */

/** What the tables are compared with. */
export interface ChaosFacts {
  readonly faults: readonly { readonly family: string; readonly kind: string }[];
  readonly rules: readonly string[];
  readonly bugs: readonly {
    readonly name: string;
    readonly rule: string;
    readonly shows: readonly string[];
    readonly faults: readonly string[];
  }[];
}

/** What is wrong with the page, a sentence each. */
export function chaosOffenses(page: string, { faults, rules, bugs }: ChaosFacts): string[] {
  const told = {
    faults: faultsOf(rowsUnder(page, "What is broken")),
    rules: rowsUnder(page, "How a chaos run is judged").map(([rule = ""]) => plain(rule)),
    bugs: rowsUnder(page, "The judge is judged").filter(([name]) => name?.startsWith("`")),
  };
  const known = faults.map(({ family, kind }) => `${family} ${kind}`);
  return [
    ...compared("fault", told.faults, known),
    ...compared("rule", told.rules, rules),
    ...compared(
      "planted bug",
      told.bugs.map(([name = ""]) => plain(name)),
      bugs.map(({ name }) => name),
    ),
    ...told.bugs.flatMap(([name = "", rule, ways = "", violated = ""]) => {
      const bug = bugs.find((each) => each.name === plain(name));
      if (!bug) return [];
      const found = violated.split(", ");
      return [
        ...(bug.rule === rule ? [] : [`${name} breaks rule ${bug.rule}, not ${rule}.`]),
        ...(bug.faults.every((family) => ways.split(", ").includes(family))
          ? []
          : [`${name} is led into by ${bug.faults.join(", ")}, not ${ways}.`]),
        ...(bug.shows.some((each) => found.includes(each))
          ? []
          : [`${name} has to be found by ${bug.shows.join(" or ")}, not ${violated}.`]),
      ];
    }),
  ];
}

function compared(what: string, told: readonly string[], known: readonly string[]): string[] {
  return [
    ...told.filter((name) => !known.includes(name)).map((name) => `There is no ${what} "${name}".`),
    ...known
      .filter((name) => !told.includes(name))
      .map((name) => `The ${what} "${name}" is missing.`),
    ...told
      .filter((name, i) => told.indexOf(name) !== i)
      .map((name) => `The ${what} "${name}" is there twice.`),
  ];
}

/** A family is named in the first of its rows. */
function faultsOf(rows: readonly (readonly string[])[]): string[] {
  let family = "";
  return rows.flatMap(([first = "", kinds = ""]) => {
    family = plain(first) || family;
    return kinds.split(", ").map((kind) => `${family} ${plain(kind)}`);
  });
}

/** The rows of the first table under a heading, without its head. */
function rowsUnder(page: string, heading: string): string[][] {
  const lines = page.split("\n");
  const from = lines.indexOf(`## ${heading}`);
  const rest = from < 0 ? [] : lines.slice(from + 1);
  const begin = rest.findIndex((line) => line.startsWith("|"));
  const rows: string[][] = [];
  for (const line of begin < 0 ? [] : rest.slice(begin + 2)) {
    if (!line.startsWith("|")) break;
    rows.push(
      line
        .split("|")
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
  }
  return rows;
}

function plain(cell: string): string {
  return cell.replaceAll("`", "");
}
