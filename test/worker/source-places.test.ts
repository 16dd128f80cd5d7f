import test from "ava";
import { durableTask } from "../../shared/task.ts";
import { definitionOf } from "../../shared/task-definition.ts";
import { placeIn, sourcePlace } from "../../worker/source-places.ts";

const STACK = `Error: place
    at stackHere (file:///srv/own/source-places.js:36:12)
    at async Promise.all (index 0)
    at new Promise (<anonymous>)
    at node:internal/process/task_queues:95:5
    at Object.run (file:///srv/app/tasks/order.ts:12:5)
    at other (/srv/app/main.js:1:1)`;

test("the place is the last two parts of the path of the first frame that is not Contrail's", (t) => {
  t.is(placeIn(STACK, ["file:///srv/own/"]), "tasks/order.ts:12");
  t.is(placeIn(STACK, ["/srv/own/", "/srv/app/tasks/"]), "app/main.js:1");
  t.is(placeIn(STACK, ["/srv/"]), undefined);
  t.is(placeIn("", []), undefined);
  t.is(placeIn("Error\n    at C:\\app\\tasks\\order.js:7:3", []), "tasks/order.js:7");
});

test("the place of a name is found once for each task, and for no more than 1,000 names", (t) => {
  const definition = definitionOf(durableTask({ name: "t", run: () => {} }));
  const first = sourcePlace(definition, "s a");
  t.regex(first ?? "", /^worker\/source-places\.test\.[jt]s:\d+$/);
  t.is(sourcePlace(definition, "s a"), first);
  for (let i = 1; i < 1_000; i++) sourcePlace(definition, `s ${i}`);
  t.is(sourcePlace(definition, "s one more"), undefined);
  t.is(sourcePlace(definition, "s a"), first);
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = 0;
  const other = definitionOf(durableTask({ name: "u", run: () => {} }));
  t.truthy(sourcePlace(other, "s a"), "also where stack traces are turned off");
  t.is(Error.stackTraceLimit, 0);
  Error.stackTraceLimit = limit;
});
