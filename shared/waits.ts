/**
 * When a stored condition holds, and with what result: pure functions over what was recorded.
 *
 * W1. The order in which leaves were recorded decides, so a replay comes to the same result.
 * W2. `anyOf` takes the part that was settled first, `allOf` the moment when the last one was.
 * W3. A child that did not complete settles its part with a failure, which fails the whole wait when
 *     it is what settles it (as Promise.race and Promise.all do).
 */
import type { Failure, LeafCondition, LeafOutcome, Outcome, StoredCondition } from "./entries.ts";

/** What a settled wait gives to the code that asked for it. */
export type WaitResult =
  | { readonly ok: true; readonly value: unknown }
  | {
      readonly ok: false;
      readonly error: Failure;
      readonly status: "failed" | "canceled";
      /** The run itself was canceled or ran out of time. */
      readonly isInterruption?: true;
    };

/** A leaf's outcome with its place among all the leaves of its wait. */
export interface RecordedLeaf {
  readonly outcome: LeafOutcome;
  /** Counts up over the outcomes of one wait. */
  readonly order: number;
}

/** The leaves of a condition from left to right; their position is their number. */
export function leavesOf(condition: StoredCondition): LeafCondition[] {
  if (!("of" in condition)) return [condition];
  return condition.of.flatMap(([, part]) => leavesOf(part));
}

/** The result of a condition, or undefined while it does not hold. */
export function resolveWait(
  condition: StoredCondition,
  recorded: ReadonlyMap<number, RecordedLeaf>,
): WaitResult | undefined {
  return settle(condition, recorded, { leaf: 0 })?.result;
}

/** A part of a condition that is settled: when, in recorded order, and with what. */
interface Settled {
  readonly order: number;
  readonly result: WaitResult;
}

function settle(
  condition: StoredCondition,
  recorded: ReadonlyMap<number, RecordedLeaf>,
  position: { leaf: number },
): Settled | undefined {
  if (!("of" in condition)) {
    const found = recorded.get(position.leaf++);
    const result = found && leafResult(condition, found.outcome);
    return result && { order: found.order, result };
  }
  const parts = condition.of.map(([name, part]) => ({
    name,
    kind: part.kind,
    settled: settle(part, recorded, position),
  }));
  return condition.kind === "anyOf" ? firstOf(parts) : allOf(parts);
}

interface Part {
  readonly name: string | number;
  readonly kind: StoredCondition["kind"];
  readonly settled: Settled | undefined;
}

function firstOf(parts: readonly Part[]): Settled | undefined {
  let first: { part: Part; settled: Settled } | undefined;
  for (const part of parts)
    if (part.settled && (!first || part.settled.order < first.settled.order))
      first = { part, settled: part.settled };
  if (!first) return undefined;
  const { order, result } = first.settled;
  if (!result.ok) return { order, result };
  const { name, kind } = first.part;
  const which = typeof name === "string" ? { key: name } : { index: name };
  const isNested = kind === "anyOf" || kind === "allOf";
  const fields = isNested ? { kind, value: result.value } : (result.value as object);
  return { order, result: { ok: true, value: { ...fields, ...which } } };
}

function allOf(parts: readonly Part[]): Settled | undefined {
  const failed = parts
    .flatMap(({ settled }) => (settled && !settled.result.ok ? [settled] : []))
    .sort((a, b) => a.order - b.order)[0];
  if (failed) return failed;
  let order = 0;
  const values: [string | number, unknown][] = [];
  for (const { name, settled } of parts) {
    if (!settled?.result.ok) return undefined;
    order = Math.max(order, settled.order);
    values.push([name, settled.result.value]);
  }
  const isNamed = values.some(([name]) => typeof name === "string");
  const value = isNamed ? Object.fromEntries(values) : values.map(([, part]) => part);
  return { order, result: { ok: true, value } };
}

function leafResult(condition: LeafCondition, outcome: LeafOutcome): WaitResult | undefined {
  switch (outcome.kind) {
    case "sleep":
      return { ok: true, value: { kind: "sleep" } };
    case "event": {
      const { name, data, sequence, publishedAt, error } = outcome;
      if (error) return { ok: false, error, status: "failed" };
      return { ok: true, value: { kind: "event", name, data, sequence, publishedAt } };
    }
    case "child":
      return childResult(outcome.outcome, (output) => ({
        kind: "child",
        taskName: outcome.taskName,
        runId: outcome.runId,
        output,
      }));
    case "children":
      return condition.kind === "children"
        ? groupResult(condition.count, outcome.ended)
        : undefined;
  }
}

function childResult(outcome: Outcome, asValue: (output: unknown) => unknown): WaitResult {
  if (outcome.status === "completed") return { ok: true, value: asValue(outcome.output) };
  return { ok: false, error: outcome.error, status: outcome.status };
}

/** All of a group: the outputs in order, or the failure of the first in order that did not complete. */
function groupResult(
  count: number,
  ended: readonly (readonly [number, Outcome])[],
): WaitResult | undefined {
  if (ended.length < count) return undefined;
  const outputs: unknown[] = new Array(count);
  let failed: { position: number; result: WaitResult } | undefined;
  for (const [position, outcome] of ended) {
    const result = childResult(outcome, (output) => output);
    if (result.ok) outputs[position] = result.value;
    else if (!failed || position < failed.position) failed = { position, result };
  }
  return failed?.result ?? { ok: true, value: { kind: "children", outputs } };
}
