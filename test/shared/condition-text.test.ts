import test from "ava";
import {
  conditionText,
  operationName,
  outcomeText,
  waitText,
} from "../../shared/condition-text.ts";
import type { LeafOutcome, StoredCondition } from "../../shared/entries.ts";
import type { RecordedLeaf } from "../../shared/waits.ts";

const NOW = Date.UTC(2030, 0, 1);
const sleep: StoredCondition = { kind: "sleep", dueAt: NOW + 60_000 };
const paid: StoredCondition = { kind: "event", name: "order.paid", where: { id: 7 }, after: 0 };
const any: StoredCondition = { kind: "event", name: "order.*", after: 0 };
const child: StoredCondition = { kind: "child", taskName: "pack", runId: "c1" };
const children: StoredCondition = { kind: "children", taskName: "pack", first: 0, count: 3 };

function recorded(...leaves: readonly (LeafOutcome | undefined)[]): Map<number, RecordedLeaf> {
  return new Map(
    leaves.flatMap((outcome, leaf) => (outcome ? [[leaf, { outcome, order: leaf }] as const] : [])),
  );
}

const slept: LeafOutcome = { kind: "sleep" };
const done = { status: "completed", output: 1 } as const;
const failed = { status: "failed", error: { name: "Error", message: "no" } } as const;

test("a condition is shown as people say it", (t) => {
  const cases: readonly (readonly [StoredCondition, string])[] = [
    [sleep, "the time 2030-01-01T00:01:00Z (in 1 min)"],
    [paid, 'event "order.paid" where { id: 7 }'],
    [any, 'event "order.*"'],
    [child, 'the end of run "c1" of task "pack"'],
    [children, 'the end of 3 children of task "pack"'],
    [{ ...children, count: 1 } as StoredCondition, 'the end of 1 child of task "pack"'],
    [
      {
        kind: "anyOf",
        of: [
          ["event", paid],
          ["timeout", sleep],
        ],
      },
      'event "order.paid" where { id: 7 } or the time 2030-01-01T00:01:00Z (in 1 min)',
    ],
    [
      {
        kind: "allOf",
        of: [
          [
            0,
            {
              kind: "anyOf",
              of: [
                [0, any],
                [1, child],
              ],
            },
          ],
          [1, children],
        ],
      },
      '(event "order.*" or the end of run "c1" of task "pack") and the end of 3 children of task "pack"',
    ],
    [{ kind: "allOf", of: [] }, "nothing"],
  ];
  for (const [condition, text] of cases) t.is(conditionText(condition, NOW), text);
});

test("a condition of many parts shows five and counts the rest", (t) => {
  const of = Array.from({ length: 1_000 }, (_, i) => [i, any] as const);
  const text = conditionText({ kind: "anyOf", of }, NOW);
  t.is(text, `${'event "order.*" or '.repeat(5)}995 more`);
});

test("a wait shows what is still missing", (t) => {
  const allOf: StoredCondition = {
    kind: "allOf",
    of: [
      [0, paid],
      [1, child],
      [2, children],
    ],
  };
  const ended: LeafOutcome = {
    kind: "children",
    ended: [
      [0, done],
      [2, failed],
    ],
  };
  const wait = { condition: allOf, recorded: recorded(slept, undefined, ended) };
  t.is(
    waitText(wait, NOW),
    'the end of run "c1" of task "pack" and the end of 1 of 3 children of task "pack"',
  );
  const all: LeafOutcome = {
    kind: "children",
    ended: [
      [0, done],
      [1, done],
      [2, done],
    ],
  };
  t.is(waitText({ condition: allOf, recorded: recorded(slept, slept, all) }, NOW), "nothing");
  const nested: StoredCondition = {
    kind: "allOf",
    of: [
      [
        0,
        {
          kind: "anyOf",
          of: [
            [0, any],
            [1, sleep],
          ],
        },
      ],
      [1, child],
    ],
  };
  const left = waitText({ condition: nested, recorded: recorded(undefined, slept) }, NOW);
  t.is(left, 'the end of run "c1" of task "pack"');
  const both: StoredCondition = {
    kind: "allOf",
    of: [
      [0, any],
      [1, sleep],
    ],
  };
  const deeper: StoredCondition = {
    kind: "allOf",
    of: [
      [0, both],
      [1, child],
    ],
  };
  const text = (...leaves: (LeafOutcome | undefined)[]): string =>
    waitText({ condition: deeper, recorded: recorded(...leaves) }, NOW);
  t.is(text(slept, slept), 'the end of run "c1" of task "pack"');
  t.is(
    text(slept),
    'the time 2030-01-01T00:01:00Z (in 1 min) and the end of run "c1" of task "pack"',
  );
});

test("what happened is shown by its kind", (t) => {
  const cases: readonly (readonly [LeafOutcome, string])[] = [
    [slept, "the time is over"],
    [
      { kind: "event", name: "order.paid", data: 1, sequence: 9, publishedAt: 0 },
      'event "order.paid", number 9 of the events',
    ],
    [
      { kind: "child", taskName: "pack", runId: "c1", outcome: failed },
      'child "c1" of task "pack" failed',
    ],
    [{ kind: "children", ended: [[0, done]] }, "1 child ended"],
    [
      {
        kind: "children",
        ended: [
          [0, done],
          [1, failed],
        ],
      },
      "2 children ended, 1 of them not completed",
    ],
  ];
  for (const [outcome, text] of cases) t.is(outcomeText(outcome), text);
});

test("an operation is shown by its name, with its number from the second on", (t) => {
  t.is(operationName("s0 charge card"), '"charge card"');
  t.is(operationName("s2 charge card"), '"charge card" (3)');
});
