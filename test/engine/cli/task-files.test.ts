import test from "ava";
import { isUsersFile } from "../../../engine/cli/import-tracker.ts";
import { placeIn, tasksIn } from "../../../engine/cli/task-files.ts";
import { durableTask, task } from "../../../shared/task.ts";

const a = task({ name: "a", run: () => 1 });
const b = durableTask({ name: "b", run: () => 1 });
const c = task({ name: "c", run: () => 1 });

test("tasks are found under any name, in lists, and in the default export", (t) => {
  t.deepEqual(tasksIn({ a, other: 1, helper: () => a }), [a]);
  t.deepEqual(tasksIn({ default: a }), [a]);
  t.deepEqual(tasksIn({ default: [a, [b]], c }), [a, b, c]);
  t.deepEqual(tasksIn({ default: { a, list: [b] } }), [a, b]);
  t.deepEqual(tasksIn({ default: { default: [a], b } }), [a, b]);
  t.deepEqual(tasksIn({ a, again: a, default: [a] }), [a]);
});

test("a module without tasks has none", (t) => {
  t.deepEqual(tasksIn({}), []);
  t.deepEqual(tasksIn({ settings: { a }, none: null, default: undefined }), []);
});

test("only files that the user may change are watched", (t) => {
  const own = ["/app/lib/contrail/dist/shared/"];
  t.true(isUsersFile("/app/tasks.ts", own));
  t.false(isUsersFile("/app/node_modules/zod/index.js", own));
  t.false(isUsersFile("/app/lib/contrail/dist/shared/task.js", own));
  t.false(isUsersFile("data:text/javascript,1", own));
});

test("the place of an error is the first that is the user's own", (t) => {
  for (const [stack, place] of [
    ["Error: x\n    at file:///a%20b/c.js:3:7\n    at file:///d.js:1:1", "/a b/c.js:3"],
    ["Error: x\n    at run (/a b/c.ts:12:7)", "/a b/c.ts:12"],
    ["Error: x\n    at f (file:///p/node_modules/q/r.js:1:1)\n    at /a/c.ts:2:1", "/a/c.ts:2"],
    ["/a b/c.ts:1:16: ERROR: Unexpected", "/a b/c.ts:1"],
    ["file:///a/c.js:9\nexport const a = ;\n\nSyntaxError: x", "/a/c.js:9"],
    ["Error: x\n    at node:internal/modules/run_main:117:5", undefined],
    ["", undefined],
  ] as const)
    t.is(placeIn(stack), place);
});
