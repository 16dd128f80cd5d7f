/** Where entries and results hold values that may be kept in the object store. Pure. */
import type { Entry, LeafOutcome, Outcome } from "./entries.ts";
import { PayloadReference } from "./payload-reference.ts";
import type { Delivery } from "./run-state.ts";

/** Whose value it is: one of the run's, the output that the run ends with, or a child's output. */
export type ValueKind = "own" | "output" | "child";

/** What becomes of one value. */
export type ReplaceValue = (value: unknown, kind: ValueKind) => Promise<unknown>;

/** The entries, with other values. */
export async function withValues(
  entries: readonly Entry[],
  replace: ReplaceValue,
): Promise<Entry[]> {
  const replaced: Entry[] = [];
  for (const entry of entries) replaced.push(await withValue(entry, replace));
  return replaced;
}

async function withValue(entry: Entry, replace: ReplaceValue): Promise<Entry> {
  switch (entry.kind) {
    case "step-completed":
    case "step-skipped":
      return { ...entry, value: await replace(entry.value, "own") };
    case "continued":
      return { ...entry, input: await replace(entry.input, "own") };
    case "ended":
      return { ...entry, outcome: await withOutput(entry.outcome, "output", replace) };
    case "wait-settled":
      return { ...entry, outcome: await withLeafValues(entry.outcome, replace) };
    default:
      return entry;
  }
}

async function withLeafValues(outcome: LeafOutcome, replace: ReplaceValue): Promise<LeafOutcome> {
  switch (outcome.kind) {
    case "sleep":
      return outcome;
    case "event":
      return { ...outcome, data: await replace(outcome.data, "own") };
    case "child":
      return { ...outcome, outcome: await withOutput(outcome.outcome, "child", replace) };
    case "children": {
      const ended: [number, Outcome][] = [];
      for (const [position, each] of outcome.ended)
        ended.push([position, await withOutput(each, "child", replace)]);
      return { kind: "children", ended };
    }
  }
}

async function withOutput(
  outcome: Outcome,
  kind: ValueKind,
  replace: ReplaceValue,
): Promise<Outcome> {
  if (outcome.status !== "completed") return outcome;
  return { ...outcome, output: await replace(outcome.output, kind) };
}

/** Whether something of what the code is to receive has to be fetched. */
export function isApart({ key, result }: Delivery): boolean {
  if (!result.ok) return false;
  const { value } = result;
  return key.startsWith("w") ? hasReference(value) : value instanceof PayloadReference;
}

/**
 * Whether something in a result has to be fetched. Looks at the places of values in what a wait
 * results in, not into the values.
 */
function hasReference(result: unknown): boolean {
  if (result instanceof PayloadReference) return true;
  if (typeof result !== "object" || result === null) return false;
  if (Array.isArray(result)) return result.some(hasReference);
  const { kind, output, data, outputs, value } = result as Readonly<Record<string, unknown>>;
  switch (kind) {
    case "sleep":
      return false;
    case "event":
      return data instanceof PayloadReference;
    case "child":
      return output instanceof PayloadReference;
    case "children":
      return Array.isArray(outputs) && outputs.some((each) => each instanceof PayloadReference);
    case "anyOf":
    case "allOf":
      return hasReference(value);
    default:
      return Object.values(result).some(hasReference);
  }
}
