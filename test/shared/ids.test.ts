import test from "ava";
import fc from "fast-check";
import { childId, childIdPrefix, splitChildId } from "../../shared/child-ids.ts";
import { hashId, jitter, newId, seededRandom, seedIds } from "../../shared/ids.ts";

test.serial(
  "new ids are 22 characters that a subject takes, begin like no option, and differ",
  (t) => {
    const ids = Array.from({ length: 5_000 }, () => newId());
    t.is(new Set(ids).size, ids.length);
    t.true(ids.every((id) => /^[A-Za-z0-9][A-Za-z0-9_-]{21}$/.test(id)));
  },
);

test.serial("ids and jitter of a seed repeat themselves, until it is taken away", (t) => {
  const draw = (): unknown[] => {
    const reset = seedIds("seed");
    const drawn = [newId(), newId(), jitter(), jitter()];
    reset();
    return drawn;
  };
  t.deepEqual(draw(), draw());
  t.not(newId(), draw()[0]);
  t.true(jitter() >= 0 && jitter() < 1);
});

test("the hash of parts is the same for the same parts, and tells how they are cut", (t) => {
  t.is(hashId("task", "run", 7), hashId("task", "run", 7));
  t.is(hashId("task", "run", 7), hashId("task", "run", "7"));
  t.is(hashId("a").length, 22);
  const parts = fc.array(fc.string(), { maxLength: 4 });
  fc.assert(
    fc.property(parts, parts, (a, b) => {
      const isSame = JSON.stringify(a) === JSON.stringify(b);
      return isSame === (hashId(...a) === hashId(...b));
    }),
  );
  t.not(hashId("ab", "c"), hashId("a", "bc"));
  t.not(hashId("a,1:b"), hashId("a", "b"));
});

test("a random source repeats itself for a seed, and is spread evenly", (t) => {
  const draw = (seed: string): number[] => {
    const random = seededRandom(seed);
    return Array.from({ length: 10_000 }, random);
  };
  const numbers = draw("a");
  t.deepEqual(numbers, draw("a"));
  t.notDeepEqual(numbers.slice(0, 5), draw("b").slice(0, 5));
  t.true(numbers.every((number) => number >= 0 && number < 1));
  for (let tenth = 0; tenth < 10; tenth++) {
    const count = numbers.filter((number) => Math.floor(number * 10) === tenth).length;
    t.true(count > 850 && count < 1_150, `${count} in tenth ${tenth}`);
  }
});

test("the id of a child says whose it is and which one, and no other id does", (t) => {
  const parent = { taskName: "fulfil", runId: "42", startSequence: 7 };
  const prefix = childIdPrefix(parent);
  t.not(prefix, childIdPrefix({ ...parent, startSequence: 8 }));
  for (const ordinal of [0, 9, 10, 99_999, 999_999_999])
    t.deepEqual(splitChildId(childId(prefix, ordinal)), { prefix, ordinal });
  const others = ["", "-", "a-1", `${prefix}-`, `${prefix}-01`, `${prefix}--1`, `${prefix}-1e3`];
  for (const id of [...others, prefix, `x${prefix}-1`, `${prefix}-1234567890`, `${prefix}-1-1`])
    t.is(splitChildId(id), undefined, id);
});
