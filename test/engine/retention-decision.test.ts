import test from "ava";
import fc from "fast-check";
import {
  decideRetention,
  isReopened,
  type RetainedRun,
  type RetentionDecision,
} from "../../engine/retention-decision.ts";
import type { Entry, Outcome } from "../../shared/entries.ts";
import type { Ready } from "../../shared/messages.ts";

const HORIZON = 1_000;
const error = { name: "Error", message: "no" };
const OUTCOMES = {
  completed: { status: "completed", output: 1 },
  failed: { status: "failed", error },
  canceled: { status: "canceled", error },
} as const satisfies { readonly [S in Outcome["status"]]: Outcome };

function run(
  last: Entry,
  options: Partial<Pick<RetainedRun, "startSequence" | "hasParent">> & { timeMs?: number } = {},
): RetainedRun {
  const { timeMs = HORIZON, hasParent = false } = options;
  const startSequence = "startSequence" in options ? options.startSequence : 7;
  return { startSequence, hasParent, tail: { startSequence: 7, timeMs, entries: [last] } };
}

const ended = (status: Outcome["status"]): Entry => ({ kind: "ended", outcome: OUTCOMES[status] });
const retired: Entry = { kind: "retired", end: 9 };

for (const [title, facts, expected] of [
  ["a completed run goes", run(ended("completed")), "purge"],
  ["a canceled run goes", run(ended("canceled")), "purge"],
  ["a failed run is retired first", run(ended("failed")), "retire"],
  ["a retired run goes when nobody has asked for a retry", run(retired), "look"],
  ["a run that was retired just now has had its time", run(retired, { timeMs: 9_999 }), "look"],
  ["a young end stays", run(ended("completed"), { timeMs: HORIZON + 1 }), "keep"],
  ["a waiting run stays", run({ kind: "waiting" }, { timeMs: 1 }), "keep"],
  ["a paused run stays", run({ kind: "paused", reason: "", details: null }), "keep"],
  ["a run at work stays", run({ kind: "claimed", worker: "w", because: "start" }), "keep"],
  ["a child stays with its parent", run(ended("completed"), { hasParent: true }), "parent"],
  ["a failed child is not even retired", run(ended("failed"), { hasParent: true }), "parent"],
  ["an end of another start is none", run(ended("completed"), { startSequence: 8 }), "keep"],
  [
    "an end without a start is left over",
    run(ended("failed"), { startSequence: undefined }),
    "purge",
  ],
] as const satisfies readonly (readonly [string, RetainedRun, RetentionDecision])[])
  test(`${title}`, (t) => {
    t.is(decideRetention(facts, HORIZON), expected);
  });

test("nothing but an old end of the present start, without a parent, ever goes", (t) => {
  const last = fc.constantFrom<Entry>(
    ended("completed"),
    ended("failed"),
    ended("canceled"),
    retired,
    { kind: "waiting" },
    { kind: "outlived" },
  );
  fc.assert(
    fc.property(
      fc.array(last, { maxLength: 3 }),
      fc.option(fc.integer({ min: 5, max: 8 }), { nil: undefined }),
      fc.integer({ min: 990, max: 1_010 }),
      fc.boolean(),
      (entries, startSequence, timeMs, hasParent) => {
        const tail = { startSequence: 7, timeMs, entries };
        const decision = decideRetention({ startSequence, hasParent, tail }, HORIZON);
        const end = entries.at(-1);
        if (decision === "keep" || decision === "parent") return;
        t.true(end?.kind === "retired" || (end?.kind === "ended" && timeMs <= HORIZON));
        t.true(startSequence === undefined || (startSequence === 7 && !hasParent));
        const mayBeRetried = end?.kind === "ended" && end.outcome.status === "failed";
        if (decision === "purge" && startSequence !== undefined) t.false(mayBeRetried);
        t.true(decision !== "purge" || end?.kind !== "retired" || startSequence === undefined);
      },
    ),
  );
});

test("only a retry of the very end that was retired keeps a run", (t) => {
  const token = (answers: number, repair?: Ready["because"]["repair"]): Ready => ({
    ...{ answers, startSequence: 7, isChild: false },
    because: repair ? { repair } : { poke: "p" },
  });
  const asker = { by: "b", reason: "" };
  const again = { ...asker, again: [] };
  t.true(isReopened(9, [token(3), token(9, again)]));
  t.false(isReopened(9, []));
  t.false(isReopened(9, [token(9), token(9, asker), token(5, again)]));
});
