/**
 * Whether a wait that code asks for is the recorded one but for its times. Pure. When a wait began,
 * its times were fixed and recorded, so that code which gives other ones by now, such as a longer
 * timeout or a time it computed from a clock, still asks for the same wait.
 */
import type { Condition } from "../shared/conditions.ts";
import type { StoredCondition } from "../shared/entries.ts";
import type { ManyChildren } from "./work.ts";

/** Whether they differ in nothing but when their sleeps end. Names, filters and children must agree. */
export function isSameButForTimes(
  asked: Condition | ManyChildren,
  recorded: StoredCondition,
): boolean {
  switch (asked.kind) {
    case "sleep":
      return recorded.kind === "sleep";
    case "event":
      return (
        recorded.kind === "event" &&
        recorded.name === asked.name &&
        JSON.stringify(recorded.where) === JSON.stringify(asked.where)
      );
    case "child":
      if (recorded.kind !== "child") return false;
      if ("task" in asked.child) {
        const { task, id } = asked.child;
        return recorded.taskName === task.name && (id ?? recorded.runId) === recorded.runId;
      }
      return recorded.taskName === asked.child.taskName && recorded.runId === asked.child.runId;
    case "children":
      return (
        recorded.kind === "children" &&
        recorded.taskName === asked.task.name &&
        recorded.count === asked.inputs.length
      );
    case "anyOf":
    case "allOf":
      return (
        recorded.kind === asked.kind &&
        recorded.of.length === asked.of.length &&
        asked.of.every(([name, part], i) => {
          const [recordedName, recordedPart] = recorded.of[i] as readonly [string, StoredCondition];
          return name === recordedName && isSameButForTimes(part, recordedPart);
        })
      );
  }
}
