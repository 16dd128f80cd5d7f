import test from "ava";
import type { Condition } from "../../shared/conditions.ts";
import type { StoredCondition } from "../../shared/entries.ts";
import { allOf, anyOf, child, event, sleep, sleepUntil, task } from "../../shared/task.ts";
import { isSameButForTimes } from "../../worker/condition-match.ts";
import type { ManyChildren } from "../../worker/work.ts";

const pack = task({ name: "pack", run: () => "packed" });
const handle = { taskName: "pack", runId: "1", result: () => Promise.resolve("") };
const nap: StoredCondition = { kind: "sleep", dueAt: 5 };
const paid: StoredCondition = { kind: "event", name: "paid", where: { id: 1 }, after: 3 };
const packed: StoredCondition = { kind: "child", taskName: "pack", runId: "1" };
const many: ManyChildren = { kind: "children", task: pack, inputs: [1, 2], isLeft: false };
const group = (taskName: string, count: number): StoredCondition => ({
  ...{ kind: "children", taskName, first: 0, count },
});
const either = (...of: [string | number, StoredCondition][]): StoredCondition => ({
  ...{ kind: "anyOf", of },
});

const SAME: readonly (readonly [Condition | ManyChildren, StoredCondition])[] = [
  [sleep("1h"), nap],
  [sleepUntil("2030-01-01T00:00:00Z"), nap],
  [event("paid", { where: { id: 1 } }), paid],
  [event("paid", { where: { id: 1 }, from: "now" }), paid],
  [child(pack), packed],
  [child(pack, undefined, { whenCanceled: "leave" }), packed],
  [child(pack, undefined, { id: "1" }), packed],
  [child(handle), packed],
  [many, group("pack", 2)],
  [anyOf(event("paid", { where: { id: 1 } }), sleep("1h")), either([0, paid], [1, nap])],
  [allOf({ a: sleep("1h") }), { kind: "allOf", of: [["a", nap]] }],
];

const OTHERS: readonly (readonly [Condition | ManyChildren, StoredCondition])[] = [
  [sleep("1h"), paid],
  [event("paid", { where: { id: 1 } }), nap],
  [event("sent", { where: { id: 1 } }), paid],
  [event("paid", { where: { id: 2 } }), paid],
  [event("paid"), paid],
  [child(pack), nap],
  [child(pack, undefined, { id: "2" }), packed],
  [child(pack), { ...packed, taskName: "ship" }],
  [child(handle), { ...packed, taskName: "ship" }],
  [child(handle), { ...packed, runId: "2" }],
  [many, packed],
  [many, group("ship", 2)],
  [many, group("pack", 3)],
  [anyOf(sleep("1h")), nap],
  [anyOf(sleep("1h")), { kind: "allOf", of: [[0, nap]] }],
  [anyOf(sleep("1h")), either([0, nap], [1, nap])],
  [anyOf({ a: sleep("1h") }), either(["b", nap])],
  [anyOf(sleep("1h"), sleep("2h")), either([0, nap], [1, paid])],
];

test("a wait is the recorded one when it differs in nothing but its times", (t) => {
  for (const [asked, recorded] of SAME)
    t.true(isSameButForTimes(asked, recorded), JSON.stringify(recorded));
});

test("a wait with another structure, event, filter or child is another one", (t) => {
  for (const [asked, recorded] of OTHERS)
    t.false(isSameButForTimes(asked, recorded), JSON.stringify([asked, recorded]));
});
