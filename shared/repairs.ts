/**
 * What a person can ask for about a run that stands still, and what that means for its history. Pure.
 *
 * A1. A repair is one token that answers the commit the run stands at: a pause, a wait, or the end of
 *     a run that failed. Of several only one is claimed, and the claim records it (rules 1, 2).
 */
import { describe } from "./describe.ts";
import type { Entry, Failure, Outcome } from "./entries.ts";
import { RepairRefusedError } from "./errors.ts";
import type { Repair } from "./messages.ts";
import type { Delivery, RunState } from "./run-state.ts";
import type { RunView } from "./run-view.ts";

/** Who asks, and why. */
export interface Asker {
  readonly by: string;
  readonly reason: string;
}

/** What a repair is called. */
export function nameOfRepair({ again, skip }: Repair): "resume" | "retry" | "skip" {
  if (skip) return "skip";
  return again ? "retry" : "resume";
}

/** What a claim of its token records. */
export function repairEntries({ by, reason, again, skip }: Repair): Entry[] {
  const entries: Entry[] = [];
  if (again) entries.push({ kind: "retried", by, reason, again });
  if (skip) entries.push({ kind: "step-skipped", by, reason, ...skip });
  if (entries.length === 0) entries.push({ kind: "resumed", by, reason });
  return entries;
}

/**
 * Lets a paused run go on.
 * @throws {RepairRefusedError} When it is not paused, or its history cannot be read still.
 */
export function planResume(view: RunView, asker: Asker): Repair {
  checkReadable(view);
  if (view.state.status !== "paused")
    throw refusal(view, "resumed", 'Only a paused run is resumed. "why" tells what it waits for.');
  return asker;
}

/**
 * Reopens a failed run.
 * @param from Name or key of the operation to go back to. Without it, the one whose failure ended the
 * run; if its code failed by itself, only the end is taken back and the code goes on from there.
 * @throws {RepairRefusedError} When it has not failed, or is asked to be canceled.
 */
export function planRetry(view: RunView, asker: Asker, from?: string): Repair {
  checkReadable(view);
  const { state } = view;
  if (state.status !== "failed")
    throw refusal(view, "retried", "Only a failed run is retried; a paused one is resumed.");
  checkNotCanceled(view);
  return { ...asker, again: redone(view, from) };
}

/**
 * Refuses what comes too late. What somebody has asked for in time holds.
 * @throws {RepairRefusedError} When the run's keep time is over and it is about to be removed.
 */
export function checkKept(view: RunView): void {
  if (view.state.retiredEnd === undefined || view.repairRequest) return;
  throw refusal(view, "repaired", "Its keep time is over and it is about to be removed: fork it.");
}

/**
 * Gives a step its result. Of a failed run this also takes back its failure.
 * @param step Name of a step that failed, is to be tried again, or was not reached yet; or its key,
 * such as `s1 charge card` for the second of that name.
 * @throws {RepairRefusedError} When the run goes on by itself, or the step has a result.
 */
export function planSkip(view: RunView, asker: Asker, step: string, value: unknown): Repair {
  checkReadable(view);
  const { state } = view;
  const { status } = state;
  if (status !== "paused" && status !== "waiting" && status !== "failed")
    throw refusal(view, "given the result of a step", "It must be paused, waiting or failed.");
  const key = stepKey(state, step);
  const recorded = state.deliveries.find((given) => given.key === key);
  if (recorded && (recorded.result.ok || status !== "failed"))
    throw refusal(
      view,
      `given another result of step "${step}"`,
      `Fork it from before that. If a later step of this name is meant, call it by its key, such as "s1 ${step}".`,
    );
  const skip = { key, value };
  if (status !== "failed") return { ...asker, skip };
  checkNotCanceled(view);
  return { ...asker, again: redone(view, recorded && key), skip };
}

/** Keys of what a failed run does again: what it failed by, and the steps that were undone since. */
function redone({ state, ...run }: RunView, from: string | undefined): string[] {
  const { deliveries } = state;
  if (state.interruption && from === undefined)
    return deliveries.filter(({ result }) => !result.ok && result.isInterruption).map(keyOf);
  const again = new Set(undone(deliveries));
  if (from === undefined) {
    const failed = failedBy(state);
    if (failed !== undefined) again.add(failed);
    return [...again];
  }
  const found = deliveries.findLast(({ key }) => key === from || nameIn(key) === from);
  if (!found)
    throw refusal({ ...run, state }, `retried from ${describe(from)}`, "There is no such result.");
  return [...again.add(found.key)];
}

/** Steps whose undo is recorded: what they did is gone, so they are done again. */
function undone(deliveries: readonly Delivery[]): string[] {
  const names = new Set<string>();
  for (const { key, result } of deliveries)
    if (key.startsWith("s") && result.ok && nameIn(key).startsWith(UNDO))
      names.add(nameIn(key).slice(UNDO.length));
  return deliveries
    .filter(({ key, result }) => key.startsWith("s") && result.ok && names.has(nameIn(key)))
    .map(keyOf);
}

const UNDO = "undo ";

/** The last failure that the run's own error tells of, else the last one that there is. */
function failedBy({ outcome, deliveries }: RunState): string | undefined {
  const told = new Set<string>();
  const { error: end } = outcome as Extract<Outcome, { status: "failed" }>;
  for (let error: Failure | undefined = end; error; error = error.cause) told.add(textOf(error));
  const failed = deliveries.filter(
    ({ key, result }) => !result.ok && !nameIn(key).startsWith(UNDO),
  );
  const cause = failed.findLast(({ result }) => !result.ok && told.has(textOf(result.error)));
  return (cause ?? failed.at(-1))?.key;
}

function textOf({ name, message }: Failure): string {
  return `${name}: ${message}`;
}

/** The step of this name that is tried again or has failed, else any, else the first to come. */
function stepKey({ deliveries, retries }: RunState, step: string): string {
  if (/^s\d+ ./s.test(step)) return step;
  const isNamed = (key: string): boolean => key.startsWith("s") && nameIn(key) === step;
  for (const key of retries.keys()) if (isNamed(key)) return key;
  const named = deliveries.filter(({ key }) => isNamed(key));
  const failed = named.findLast(({ result }) => !result.ok);
  return (failed ?? named.at(-1))?.key ?? `s0 ${step}`;
}

function keyOf({ key }: Delivery): string {
  return key;
}

function nameIn(key: string): string {
  return key.slice(key.indexOf(" ") + 1);
}

function checkReadable(view: RunView): void {
  const { unreadableAt } = view.state;
  if (unreadableAt !== undefined)
    throw refusal(
      view,
      "repaired",
      `Message ${unreadableAt} of its history cannot be read; fork the run, which goes on from what comes before it.`,
    );
}

function checkNotCanceled(view: RunView): void {
  if (view.cancelRequest)
    throw refusal(view, "retried", `${view.cancelRequest.by} asked to cancel it. Fork it instead.`);
}

function refusal(view: RunView, what: string, why: string): RepairRefusedError {
  const { taskName, runId, state } = view;
  return new RepairRefusedError(
    `Run "${runId}" of task "${taskName}" is ${state.status} and cannot be ${what}. ${why}`,
    { taskName, runId, status: state.status },
  );
}
