import test from "ava";
import { type DivergenceDetails, divergenceReason, recordedSide } from "../../shared/divergence.ts";
import type { Entry, StoredCommit } from "../../shared/entries.ts";

const run = { taskName: "fulfil", runId: "42" };
const TODO =
  "Nothing new was done. Bring the code back that this run began with, or guard the change with ctx.changed() or a version of the task, and resume the run.";

function commit(sequence: number, ...entries: Entry[]): StoredCommit {
  return { sequence, startSequence: 1, pass: "w/d1", token: 1, time: sequence * 1_000, entries };
}
const step = (key: string, source?: string): Entry => ({
  ...{ kind: "step-completed", key, at: 0, attempts: 1, durationMs: 0, value: 1 },
  ...(source === undefined ? {} : { source }),
});

test("the recorded side is the first entry about an operation, with its place in log and code", (t) => {
  const commits = [
    commit(2, { kind: "claimed", worker: "w", because: "start" }),
    commit(3, step("s0 a"), step("s0 b", "tasks/order.ts:12")),
    commit(4, step("s0 b", "never")),
  ];
  t.deepEqual(recordedSide(commits, "s0 a"), {
    ...{ key: "s0 a", entry: "step-completed", sequence: 3, recordedAt: 3_000 },
  });
  t.deepEqual(recordedSide(commits, "s0 b"), {
    ...{ key: "s0 b", entry: "step-completed", sequence: 3, recordedAt: 3_000 },
    source: "tasks/order.ts:12",
  });
  t.is(recordedSide(commits, "s0 c"), undefined);
});

test("the reason tells both sides, their places, the likely cause and what to do", (t) => {
  const details: DivergenceDetails = {
    code: "replay-diverged",
    kind: "missing",
    recorded: {
      ...{ key: "s0 charge card", entry: "step-completed", sequence: 3, recordedAt: 3_000 },
      source: "order.ts:12",
    },
    asked: [{ key: "s1 send mail", source: "order.ts:14" }, { key: "w0 sleep 5 ms" }],
    likelyCause: "it was renamed",
  };
  t.is(
    divergenceReason(run, details),
    `Run "42" of task "fulfil" replayed differently: the history has step "charge card" at order.ts:12 of 1970-01-01T00:00:03Z, the code asked for step "send mail" (2) at order.ts:14, the wait for "sleep 5 ms". Likely cause: it was renamed. ${TODO}`,
  );
});

test("the reason tells also where there is nothing on a side, and no more than a few operations", (t) => {
  const details = { code: "replay-diverged", kind: "added", likelyCause: "x" } as const;
  const asked = [1, 2, 3, 4, 5].map((i) => ({ key: `c0 t${i}` }));
  t.is(
    divergenceReason(run, { ...details, asked }),
    `Run "42" of task "fulfil" replayed differently: the history has nothing more, the code asked for the start of "t1", the start of "t2", the start of "t3", 2 more. Likely cause: x. ${TODO}`,
  );
  t.regex(
    divergenceReason(run, { ...details, asked: [] }),
    /the code asked for nothing more\. Likely/,
  );
  t.regex(
    divergenceReason(run, { ...details, kind: "ended", asked: [] }),
    /the code has come to its end\. Likely/,
  );
  t.regex(divergenceReason(run, { ...details, asked: [{ key: "r0 run" }] }), /operation "run"/);
});
