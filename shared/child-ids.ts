/**
 * The ids of children that were not given one: a hash that stands for the parent, and an ordinal. The
 * worker makes them; the engine finds the group they belong to by them, without a list of names.
 */
import { hashId } from "./ids.ts";
import type { RunAddress } from "./subjects.ts";

/** What the derived ids of all children of a run begin with. */
export function childIdPrefix(parent: RunAddress & { readonly startSequence: number }): string {
  return hashId(parent.taskName, parent.runId, parent.startSequence);
}

/** The id of the child with this ordinal. */
export function childId(prefix: string, ordinal: number): string {
  return `${prefix}-${ordinal}`;
}

/** Splits a derived id. Nothing when it cannot be one; ids that users chose may look like one. */
export function splitChildId(runId: string): { prefix: string; ordinal: number } | undefined {
  const dash = runId.lastIndexOf("-");
  const digits = runId.slice(dash + 1);
  if (dash !== PREFIX_LENGTH || !/^(0|[1-9]\d{0,8})$/.test(digits)) return undefined;
  return { prefix: runId.slice(0, dash), ordinal: Number(digits) };
}

/** Characters of a hash. */
const PREFIX_LENGTH = 22;
