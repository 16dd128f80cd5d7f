import test from "ava";
import { candidates, runText } from "../../../engine/cli/run-reference.ts";

test("a reference without a slash is an id", (t) => {
  t.deepEqual(candidates({ text: "42" }), [{ runId: "42" }]);
});

test("a reference with slashes may be an id or any split into task and id", (t) => {
  t.deepEqual(candidates({ text: "a/b/c" }), [
    { runId: "a/b/c" },
    { taskName: "a", runId: "b/c" },
    { taskName: "a/b", runId: "c" },
  ]);
  t.deepEqual(candidates({ text: "/a/" }), [{ runId: "/a/" }]);
});

test("with a task the text is an id as it stands", (t) => {
  t.deepEqual(candidates({ text: "a/b", task: "t" }), [{ taskName: "t", runId: "a/b" }]);
});

test("what is printed for a run is read back as that run", (t) => {
  for (const run of [
    { taskName: "pay", runId: "42" },
    { taskName: "a/b", runId: "c/d" },
  ])
    t.true(
      candidates({ text: runText(run) }).some(
        (found) => found.taskName === run.taskName && found.runId === run.runId,
      ),
    );
});
