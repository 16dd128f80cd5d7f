import test from "ava";
import {
  allOf,
  anyOf,
  type Condition,
  child,
  event,
  sleep,
  sleepUntil,
} from "../../shared/conditions.ts";
import { task } from "../../shared/task.ts";
import { describeCondition, type ManyChildren, ordinalsOf } from "../../worker/work.ts";

const pack = task({ name: "pack item", run: (input: number) => input });
const many: ManyChildren = { kind: "children", task: pack, inputs: [1, 2, 3], isLeft: false };

test("a wait takes one number for each child that gets a derived id or could", (t) => {
  t.is(ordinalsOf(sleep("1s")), 0);
  t.is(ordinalsOf(event("a")), 0);
  t.is(ordinalsOf(child({ taskName: "t", runId: "r" } as never)), 0);
  t.is(ordinalsOf(child(pack, 1)), 1);
  t.is(ordinalsOf(child(pack, 1, { id: "x" })), 1);
  t.is(ordinalsOf(many), 3);
  t.is(ordinalsOf(allOf()), 0);
  t.is(ordinalsOf(anyOf(child(pack, 1), allOf(child(pack, 2), sleep("1s")), event("a"))), 2);
});

test("each condition has a text of its own, for the history and for people", (t) => {
  const conditions: readonly (Condition | ManyChildren)[] = [
    sleep("90s"),
    sleep("91s"),
    sleepUntil(new Date(0)),
    event("order.paid"),
    event("order.*"),
    event("order.paid", { where: { id: 1 } }),
    event("order.paid", { where: { id: 2 } }),
    event("order.paid", { from: "now" }),
    child(pack, 1),
    child(pack, 1, { id: "x" }),
    child({ taskName: "pack item", runId: "x" } as never),
    many,
    { ...many, inputs: [1] },
    anyOf(sleep("90s"), event("a")),
    allOf(sleep("90s"), event("a")),
    allOf(event("a"), sleep("90s")),
    anyOf({ late: sleep("90s"), a: event("a") }),
    anyOf({ late: sleep("90s"), b: event("a") }),
    allOf(),
  ];
  const texts = conditions.map(describeCondition);
  t.is(new Set(texts).size, texts.length, texts.join("\n"));
  t.deepEqual(texts.slice(0, 4), [
    "sleep 90000 ms",
    "sleep 91000 ms",
    "sleep until 1970-01-01T00:00:00.000Z",
    "event order.paid",
  ]);
  t.is(texts.at(-3), "anyOf(late: sleep 90000 ms, a: event a)");
});
