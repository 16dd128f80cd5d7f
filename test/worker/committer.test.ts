import test from "ava";
import { decodeCommit, type Entry } from "../../shared/entries.ts";
import { initialState } from "../../shared/run-state.ts";
import { Committer } from "../../worker/committer.ts";

const HISTORY = "contrail.log.0.job.one.h";
const CANCEL: Entry = { kind: "cancel-requested", by: "somebody", reason: "" };
const END: Entry = { kind: "ended", outcome: { status: "completed", output: 1 } };

test("a committer appends nothing behind the end of a run, also what comes while it is on its way", async (t) => {
  const stored: string[][] = [];
  let answer = (): void => {};
  const committer = new Committer({
    publisher: {
      async guardedPublish(_, body) {
        await new Promise<void>((resolve) => {
          answer = resolve;
        });
        const sequence = stored.length + 2;
        stored.push(decodeCommit(body, sequence, HISTORY).entries.map(({ kind }) => kind));
        return { ok: true, stream: "", sequence, duplicate: false, uncertain: false };
      },
    },
    reader: { lastFor: async () => undefined },
    ...{ stream: "contrail_LOG_0", history: HISTORY, state: initialState(1, 0) },
    ...{ pass: "w/r1", token: 1, now: () => 0, maxBytes: 1_000_000, isOver: () => false },
  });
  committer.add(END);
  const end = committer.commit();
  committer.add(CANCEL);
  const late = committer.commit();
  answer();
  t.is(await end, "stored");
  t.is(await late, "stored");
  t.deepEqual(stored, [["ended"]]);
});

test("a committer stores what was added before the end together with it", async (t) => {
  const stored: string[][] = [];
  const committer = new Committer({
    publisher: {
      async guardedPublish(_, body) {
        stored.push(decodeCommit(body, 2, HISTORY).entries.map(({ kind }) => kind));
        return { ok: true, stream: "", sequence: 2, duplicate: false, uncertain: false };
      },
    },
    reader: { lastFor: async () => undefined },
    ...{ stream: "contrail_LOG_0", history: HISTORY, state: initialState(1, 0) },
    ...{ pass: "w/r1", token: 1, now: () => 0, maxBytes: 1_000_000, isOver: () => false },
  });
  for (const entry of [CANCEL, END]) committer.add(entry);
  t.is(await committer.commit(), "stored");
  t.deepEqual(stored, [["cancel-requested", "ended"]]);
});
