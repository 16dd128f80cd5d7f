import test from "ava";
import type { StoredCommit } from "../../shared/entries.ts";
import { UndecodableError } from "../../shared/errors.ts";
import { type History, historyText, parseHistory } from "../../shared/history-file.ts";

const commit: StoredCommit = {
  ...{ sequence: 9, startSequence: 5, pass: "w/d1", token: 5, time: 1_000.5 },
  entries: [
    { kind: "claimed", worker: "w", because: "start" },
    {
      ...{ kind: "step-completed", key: "s0 ü", at: 0, attempts: 1, durationMs: 3 },
      value: {
        bytes: new Uint8Array([0, 255]),
        date: new Date(5),
        map: new Map([[1, new Set(["x"])]]),
        big: 12n ** 30n,
        none: undefined,
        endless: Number.POSITIVE_INFINITY,
      },
    },
  ],
};
const history: History = {
  ...{ taskName: "a/b", runId: "r 1", startedAt: 999, startedBy: "me", startSequence: 5 },
  parent: { taskName: "p", runId: "q", startSequence: 2, key: "w0 run a/b" },
  input: { at: new Date(7), text: "\u0000" },
  commits: [commit],
};

test("a history is read back as it was written, whatever values it holds", (t) => {
  t.deepEqual(parseHistory(historyText(history), "f"), history);
  const { parent: _, ...own } = history;
  t.deepEqual(parseHistory(historyText(own), "f"), own);
  const forked = { ...own, fork: { seed: "a/b/r 0/4", startedAt: 990 } };
  t.deepEqual(parseHistory(historyText(forked), "f"), forked);
});

test("beside what is stored stands the same as JSON, for people", (t) => {
  const file = JSON.parse(historyText(history)) as {
    format: string;
    commits: { at: string; entries: { kind: string; value?: { date: string } }[] }[];
  };
  t.is(file.format, "contrail-history/1");
  t.is(file.commits[0]?.at, "1970-01-01T00:00:01.000Z");
  t.is(file.commits[0]?.entries[1]?.value?.date, "1970-01-01T00:00:00.005Z");
});

test("what is no such file is refused by name", (t) => {
  const file = JSON.parse(historyText(history)) as { [field: string]: unknown };
  const commits = file["commits"] as { [field: string]: unknown }[];
  const broken: readonly unknown[] = [
    ...[null, [], 1, {}, { ...file, format: "contrail-history/2" }],
    ...["taskName", "runId", "startedAt", "startedBy", "startSequence", "input", "commits"].map(
      (field) => ({ ...file, [field]: undefined }),
    ),
    { ...file, parent: {} },
    { ...file, input: { stored: 1 } },
    { ...file, input: { stored: "////" } },
    { ...file, commits: [1] },
    { ...file, commits: [{ ...commits[0], sequence: -1 }] },
    { ...file, commits: [{ ...commits[0], stored: "AQ==" }] },
  ];
  for (const value of broken) {
    const text = JSON.stringify(value);
    const error = t.throws(
      () => parseHistory(text, "f.json"),
      { instanceOf: UndecodableError },
      text,
    );
    t.regex(error?.message ?? "", /f\.json/);
  }
  t.throws(() => parseHistory("{", "f.json"), { instanceOf: UndecodableError });
});
