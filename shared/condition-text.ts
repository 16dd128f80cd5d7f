/** What a wait waits for, and what happened to it, as people read it. Pure. */
import { describe } from "./describe.ts";
import type { LeafCondition, LeafOutcome, StoredCondition } from "./entries.ts";
import type { WaitState } from "./run-state.ts";
import { relativeText } from "./time-text.ts";
import type { RecordedLeaf } from "./waits.ts";

/** Parts of one condition that are shown. */
const PARTS_SHOWN = 5;

/** What a wait still waits for: what has happened already is left out. */
export function waitText(wait: Pick<WaitState, "condition" | "recorded">, now: number): string {
  return pendingText(wait.condition, { recorded: wait.recorded, now, leaf: 0, depth: 0 });
}

/** A condition as it was when the wait began. */
export function conditionText(condition: StoredCondition, now: number): string {
  return pendingText(condition, { recorded: new Map(), now, leaf: 0, depth: 0 });
}

/** What happened to a leaf. */
export function outcomeText(outcome: LeafOutcome): string {
  switch (outcome.kind) {
    case "sleep":
      return "the time is over";
    case "event":
      return `event ${describe(outcome.name)}, number ${outcome.sequence} of the events`;
    case "child":
      return `child ${describe(outcome.runId)} of task ${describe(outcome.taskName)} ${outcome.outcome.status}`;
    case "children": {
      const bad = outcome.ended.filter(([, { status }]) => status !== "completed").length;
      const failed = bad === 0 ? "" : `, ${bad} of them not completed`;
      return `${counted(outcome.ended.length, "child", "children")} ended${failed}`;
    }
  }
}

/** The name of an operation in a key such as `s1 charge card`, with its number from the second on. */
export function operationName(key: string): string {
  const space = key.indexOf(" ");
  const number = Number(key.slice(1, space));
  const name = describe(key.slice(space + 1));
  return number > 0 ? `${name} (${number + 1})` : name;
}

interface Position {
  readonly recorded: ReadonlyMap<number, RecordedLeaf>;
  readonly now: number;
  /** Number of the next leaf. */
  leaf: number;
  depth: number;
}

function pendingText(condition: StoredCondition, position: Position): string {
  if (!("of" in condition))
    return leafText(condition, position.recorded.get(position.leaf++), position.now);
  const isAny = condition.kind === "anyOf";
  position.depth++;
  const parts: string[] = [];
  let restCount = 0;
  for (const [, part] of condition.of) {
    const first = position.leaf;
    const text = pendingText(part, position);
    if (!isAny && isSettled(part, { recorded: position.recorded, leaf: first })) continue;
    if (parts.length < PARTS_SHOWN) parts.push(text);
    else restCount++;
  }
  position.depth--;
  if (restCount > 0) parts.push(`${restCount} more`);
  if (parts.length === 0) return "nothing";
  const text = parts.join(isAny ? " or " : " and ");
  return position.depth > 0 && parts.length > 1 ? `(${text})` : text;
}

function leafText(
  condition: LeafCondition,
  recorded: RecordedLeaf | undefined,
  now: number,
): string {
  switch (condition.kind) {
    case "sleep":
      return `the time ${relativeText(condition.dueAt, now)}`;
    case "event": {
      const where = condition.where === undefined ? "" : ` where ${describe(condition.where)}`;
      return `event ${describe(condition.name)}${where}`;
    }
    case "child":
      return `the end of run ${describe(condition.runId)} of task ${describe(condition.taskName)}`;
    case "children": {
      const ended = recorded?.outcome.kind === "children" ? recorded.outcome.ended.length : 0;
      const of = ended === 0 ? "" : ` of ${condition.count}`;
      const rest = condition.count - ended;
      return `the end of ${of === "" ? counted(rest, "child", "children") : `${rest}${of} children`} of task ${describe(condition.taskName)}`;
    }
  }
}

/** Whether all leaves that a part needs have happened. */
function isSettled(
  condition: StoredCondition,
  position: { readonly recorded: ReadonlyMap<number, RecordedLeaf>; leaf: number },
): boolean {
  if (!("of" in condition)) {
    const outcome = position.recorded.get(position.leaf++)?.outcome;
    if (condition.kind !== "children") return outcome !== undefined;
    return outcome?.kind === "children" && outcome.ended.length >= condition.count;
  }
  const parts = condition.of.map(([, part]) => isSettled(part, position));
  return condition.kind === "anyOf" ? parts.includes(true) : !parts.includes(false);
}

function counted(count: number, one: string, many: string): string {
  return `${count} ${count === 1 ? one : many}`;
}
