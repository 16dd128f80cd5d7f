import test from "ava";
import { mutate } from "./mutant.ts";
import { MUTANTS } from "./mutants.ts";

test("no two mutants have one name", (t) => {
  const names = MUTANTS.map(({ name }) => name);
  t.deepEqual(names, [...new Set(names)]);
});

for (const mutant of MUTANTS)
  test(`the mutant ${mutant.name} finds its place in ${mutant.file}`, (t) => {
    t.notThrows(() => mutate(mutant));
  });
