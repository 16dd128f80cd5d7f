import test from "ava";
import { decodeCommit, type Entry } from "../../shared/entries.ts";
import { initialState } from "../../shared/run-state.ts";
import { Committer, type CommitterOptions } from "../../worker/committer.ts";

const CANCEL: Entry = { kind: "cancel-requested", by: "ann", reason: "" };
const LAST: readonly Entry[] = [
  { kind: "ended", outcome: { status: "completed", output: 1 } },
  { kind: "waiting" },
  { kind: "paused", reason: "", details: null },
];

/** A committer over a history in memory, and the kinds of entries that each commit holds. */
function history(publish?: CommitterOptions["publisher"]["guardedPublish"]): {
  committer: Committer;
  commits: string[][];
  whileStoring: () => void;
} {
  const commits: string[][] = [];
  const made = {
    commits,
    whileStoring: (): void => {},
    committer: new Committer({
      publisher: {
        guardedPublish: async (subject, body, options) => {
          if (publish) return publish(subject, body, options);
          made.whileStoring();
          const sequence = 10 + commits.length;
          commits.push(decodeCommit(body, sequence, subject).entries.map(({ kind }) => kind));
          return { ok: true, stream: "LOG", sequence, duplicate: false, uncertain: false };
        },
      },
      reader: { lastFor: async () => undefined },
      ...{ stream: "LOG", history: "run.h", state: initialState(1, 0), pass: "w/r0", token: 1 },
      ...{ now: () => 0, inlineBytes: 1_000, maxBytes: 1_000_000, isOver: () => false },
      stow: async (entries) => entries,
    }),
  };
  return made;
}

test("a committer over a connection that is closed gives the run up", async (t) => {
  let tries = 0;
  const { committer } = history(async () => {
    // Whoever asks again and again keeps everything else from going on: no timer would end it.
    if (++tries > 3) throw new Error("It asks a closed connection again and again.");
    const closed = { kind: "unknown", reason: "closed", maybeStored: false } as const;
    return { ok: false, ...closed, uncertain: false };
  });
  committer.add({ kind: "waiting" });
  t.is(await committer.commit(), "lost");
  t.true(committer.isLost);
  t.is(tries, 1);
});

for (const last of LAST)
  test(`a committer puts nothing behind what it is told after "${last.kind}"`, async (t) => {
    const { committer, commits } = history();
    committer.add(last);
    committer.add(CANCEL);
    t.is(await committer.commit(), "stored");
    t.deepEqual(commits, [[last.kind]]);
  });

test("a committer puts nothing behind an end that is on its way", async (t) => {
  const made = history();
  let later: Promise<string> | undefined;
  made.whileStoring = () => {
    made.whileStoring = () => {};
    made.committer.add(CANCEL);
    later = made.committer.commit();
  };
  made.committer.add(LAST[0] as Entry);
  t.is(await made.committer.commit(), "stored");
  t.is(await later, "stored");
  t.deepEqual(made.commits, [["ended"]]);
});
