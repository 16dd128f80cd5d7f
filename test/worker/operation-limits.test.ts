import test from "ava";
import { event } from "../../shared/conditions.ts";
import type { LimitName } from "../../shared/errors.ts";
import {
  CHILDREN_PER_RUN,
  HISTORY_ENTRIES,
  HISTORY_RESERVE_ENTRIES,
  LONG_HISTORY_ENTRIES,
  WAITS_PER_RUN,
} from "../../shared/limits.ts";
import { task } from "../../shared/task.ts";
import {
  exceededLimit,
  hasBecomeLong,
  historyTooLong,
  isHistoryFull,
  longHistory,
} from "../../worker/operation-limits.ts";
import type { StartWork, Work } from "../../worker/work.ts";

const pack = task({ name: "pack", run: (input: number) => input });
const step = { kind: "step", name: "a" } as unknown as Work;
const common = { isLeft: false, askedAt: 0, firstOrdinal: 0, childrenBefore: 0 };
const start = (childrenBefore: number, count: number): StartWork => ({
  ...{ ...common, kind: "start", task: pack, id: undefined, childrenBefore },
  inputs: new Array(count).fill(1),
});
const run = (childrenBefore: number, count: number): Work => {
  const { inputs } = start(0, count);
  const condition = { kind: "children", task: pack, inputs, isLeft: false } as const;
  return { ...common, kind: "wait", condition, childrenBefore };
};
const wait: Work = { ...common, kind: "wait", condition: event("a") };

test("an operation is refused by the limit that it exceeds, and not before", (t) => {
  const few = { entries: 0, waits: 0 };
  const open = { entries: 0, waits: WAITS_PER_RUN };
  const long = { entries: HISTORY_ENTRIES, waits: 0 };
  const cases: readonly [Work, typeof few, LimitName | undefined, number?][] = [
    [step, { entries: HISTORY_ENTRIES - 1, waits: WAITS_PER_RUN }, undefined],
    [step, long, "history-length", HISTORY_ENTRIES],
    [{ kind: "continue", input: 1, firstOrdinal: 0 }, long, undefined],
    [wait, { ...open, entries: HISTORY_ENTRIES + 5 }, "history-length", HISTORY_ENTRIES + 5],
    [wait, { ...open, waits: WAITS_PER_RUN - 1 }, undefined],
    [wait, open, "waits-per-run", WAITS_PER_RUN + 1],
    [{ ...wait, childrenBefore: CHILDREN_PER_RUN + 1 }, few, undefined],
    [start(0, 3), open, undefined],
    [start(CHILDREN_PER_RUN - 3, 3), few, undefined],
    [start(CHILDREN_PER_RUN - 3, 4), few, "children-per-run", CHILDREN_PER_RUN + 1],
    [run(CHILDREN_PER_RUN - 3, 3), few, undefined],
    [run(CHILDREN_PER_RUN - 3, 4), few, "children-per-run", CHILDREN_PER_RUN + 1],
    [run(1, CHILDREN_PER_RUN), open, "children-per-run", CHILDREN_PER_RUN + 1],
  ];
  for (const [work, counts, limitName, actual] of cases) {
    const error = exceededLimit(work, counts);
    t.deepEqual([error?.limitName, error?.actual], [limitName, actual], JSON.stringify(counts));
    if (error) t.true(error.message.includes(String(error.limit)));
  }
});

test("a history becomes long once, and is full when its reserve is used up", (t) => {
  t.false(hasBecomeLong(0, LONG_HISTORY_ENTRIES - 1));
  t.true(hasBecomeLong(LONG_HISTORY_ENTRIES - 1, LONG_HISTORY_ENTRIES));
  t.true(hasBecomeLong(0, LONG_HISTORY_ENTRIES + 5));
  t.false(hasBecomeLong(LONG_HISTORY_ENTRIES, LONG_HISTORY_ENTRIES + 1));
  t.false(isHistoryFull(HISTORY_ENTRIES + HISTORY_RESERVE_ENTRIES - 1));
  t.true(isHistoryFull(HISTORY_ENTRIES + HISTORY_RESERVE_ENTRIES));
  t.regex(longHistory(12_345), /12345 entries; at 50000 it fails/);
  t.like(historyTooLong(7), { limitName: "history-length", limit: HISTORY_ENTRIES, actual: 7 });
});
