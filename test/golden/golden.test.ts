/** Histories that earlier versions have recorded are read and replayed by this one, for ever. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import type { Entry } from "../../shared/entries.ts";
import { type History, parseHistory } from "../../shared/history-file.ts";
import { evolve, initialState } from "../../shared/run-state.ts";
import type { AnyTask } from "../../shared/task-reference.ts";
import { replayHistory } from "../../worker/replay.ts";
import { scenarios } from "./scenarios.ts";
import * as tasks from "./tasks.ts";

const FOLDER = "test/golden";
const names = readdirSync(FOLDER)
  .filter((file) => file.endsWith(".json"))
  .map((file) => file.slice(0, -".json".length));

function read(name: string): History {
  const file = join(FOLDER, `${name}.json`);
  return parseHistory(readFileSync(file, "utf8"), file);
}

const { code: _, ...known } = tasks;
const byName = new Map<string, AnyTask>(Object.values(known).map((task) => [task.name, task]));

for (const name of names)
  test(`the golden history ${name} is read, folded and replayed`, async (t) => {
    const history = read(name);
    const task = byName.get(history.taskName) as AnyTask;
    const state = initialState(history.startSequence, history.startedAt);
    for (const commit of history.commits) evolve(state, commit);
    t.not(state.status, "queued");
    const verdict = await replayHistory(task, history);
    if (task.kind === "regular") t.is(verdict.verdict, "skipped");
    else t.deepEqual(verdict, { verdict: "same", isOutputOther: false });
  });

test("every scenario has its golden history, and the other way round", (t) => {
  t.deepEqual(names.toSorted(), scenarios.map(({ name }) => name).toSorted());
});

/** The kinds of entries, each of which a golden history has to have. */
const KINDS: readonly Entry["kind"][] = [
  ...(["claimed", "step-completed", "step-failed", "attempt-failed", "wait-opened"] as const),
  ...(["wait-settled", "child-started", "waiting", "paused", "cancel-requested"] as const),
  ...(["timed-out", "cleanup-over", "operation-interrupted", "ended", "change-noted"] as const),
  ...(["heartbeat", "resumed", "retried", "step-skipped", "version-pinned"] as const),
  "continued",
];

test("the golden histories hold every kind of entry", (t) => {
  const found = new Set(
    names
      .flatMap((name) => read(name).commits.flatMap(({ entries }) => entries))
      .map(({ kind }) => kind),
  );
  t.deepEqual(
    KINDS.filter((kind) => !found.has(kind)),
    [],
  );
});
