import test from "ava";
import { PLANTED_BUGS } from "../chaos/mutants/chaos-mutants.ts";
import { mutate } from "./mutant.ts";
import { MUTANTS } from "./mutants.ts";

test("no two mutants have one name", (t) => {
  const names = MUTANTS.map(({ name }) => name);
  t.deepEqual(names, [...new Set(names)]);
});

const ALL = new Map([...MUTANTS, ...PLANTED_BUGS].map((mutant) => [mutant.name, mutant]));

for (const mutant of ALL.values())
  test(`the mutant ${mutant.name} finds its place in ${mutant.file}`, (t) => {
    t.notThrows(() => mutate(mutant));
  });
