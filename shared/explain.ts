/** Says in one sentence why a run is where it is. Pure; the facts are gathered by `readFacts`. */
import { waitText } from "./condition-text.ts";
import { describe } from "./describe.ts";
import type { LeafCondition } from "./entries.ts";
import type { FilterMismatch } from "./filter-mismatches.ts";
import type { LeaseRecord } from "./leases.ts";
import { CLAIM_TIMEOUT_MS } from "./limits.ts";
import { parsePassId } from "./pass-id.ts";
import { nameOfRepair } from "./repairs.ts";
import { pendingLeaves, type WaitState } from "./run-state.ts";
import type { RunStatus } from "./run-status.ts";
import type { RunView } from "./run-view.ts";
import type { TaskGroup } from "./task-group.ts";
import { durationText, relativeText } from "./time-text.ts";

/** What is known besides the run's own log. */
export interface RunFacts {
  /** Milliseconds since the epoch. */
  readonly now: number;
  /** Of both pools. */
  readonly leases: readonly LeaseRecord[];
  /** The consumer group of the run's task; nothing when no worker has ever registered it. */
  readonly group: TaskGroup | undefined;
  /** Whether an engine is running. */
  readonly hasEngine: boolean;
  /** Sequence of the oldest event that is still kept. */
  readonly firstEvent: number;
  /** Newest events of the names that it waits for, of which its filters want other types. */
  readonly mismatches?: readonly FilterMismatch[];
}

/** Why a run is where it is. */
export interface Explanation {
  /** A queued run that a worker holds is called running, although its log does not say so yet. */
  readonly status: RunStatus;
  /** Since when, in milliseconds since the epoch. */
  readonly since: number;
  /** One sentence: what it waits for, since when, what will wake it, or who holds it. */
  readonly sentence: string;
}

/** Waits of one run that are named one by one. */
const WAITS_SHOWN = 3;
/** A timer this late is called late. The server wakes its scheduler every 250 ms. */
const LATE_MS = 1_000;

/** Explains a run by its log and what else is known. */
export function explainRun(view: RunView, facts: RunFacts): Explanation {
  const { state, taskName, runId } = view;
  const holder = holderOf(view, facts.leases);
  const status = state.status === "queued" && holder ? "running" : state.status;
  const asked =
    view.cancelRequest && !state.interruption && !state.outcome
      ? `, and has not yet noticed that ${describe(view.cancelRequest.by)} asked to cancel it${teller(status, facts)}`
      : view.repairRequest
        ? `, and ${describe(view.repairRequest.by)} asked to ${nameOfRepair(view.repairRequest)} it: ${forWorkers(facts)}`
        : "";
  const since = sinceOf(view, holder);
  const text = isHeld(status, holder)
    ? `is running: worker ${holder.lease.worker} holds one of its ${holder.lease.capacity} ${holder.lease.pool} slots for it since ${relativeText(since, facts.now)}`
    : textOf(status, view, { ...facts, since });
  const isOpen = !state.outcome && state.version !== undefined && !isHeld(status, holder);
  const at = isOpen
    ? `; it goes on only at workers that have version ${describe(state.version)} of its task or one that is compatible`
    : "";
  const sentence = `Run ${JSON.stringify(runId)} of task ${JSON.stringify(taskName)} ${text}${asked}${at}.`;
  return { status, since, sentence };
}

/** A run that stands still is told of a cancellation by an engine. */
function teller(status: RunStatus, { hasEngine }: RunFacts): string {
  if (hasEngine || (status !== "waiting" && status !== "paused")) return "";
  return ': no engine is running, which would have to tell it; start one with "contrail engine"';
}

/** Who holds a slot for a run, and since when. */
interface Holder {
  readonly lease: LeaseRecord;
  readonly since: number;
}

/** The newest claim counts: a worker that lost the run may still show it for a moment. */
function holderOf(
  { taskName, runId }: RunView,
  leases: readonly LeaseRecord[],
): Holder | undefined {
  let newest: Holder | undefined;
  for (const lease of leases)
    for (const slot of lease.held) {
      if (slot.task !== taskName || slot.run !== runId) continue;
      const since = Date.parse(slot.since);
      if (!newest || since > newest.since) newest = { lease, since };
    }
  return newest;
}

function isHeld(status: RunStatus, holder: Holder | undefined): holder is Holder {
  return status === "running" && holder !== undefined;
}

function sinceOf(view: RunView, holder: Holder | undefined): number {
  const { state } = view;
  if (state.status === "queued") return holder?.since ?? view.startedAt;
  if (state.status === "running" && holder) return holder.since;
  if (state.status !== "waiting") return state.changedAt;
  let since = state.changedAt;
  for (const { openedAt } of state.pending.values()) since = Math.min(since, openedAt);
  return since;
}

type Facts = RunFacts & { readonly since: number };

function textOf(status: RunStatus, view: RunView, facts: Facts): string {
  const when = relativeText(facts.since, facts.now);
  const { state } = view;
  switch (status) {
    case "queued":
      return `is queued since ${when}: ${isDelivered(facts) ? deliveredText(facts) : forWorkers(facts)}`;
    case "running":
      return runningText(view, facts);
    case "waiting":
      return waitingText(view, facts);
    case "paused": {
      return `is paused since ${when} and a person must look: ${pauseText(view)}`;
    }
    case "completed":
      return `completed at ${when}, ${durationText(state.changedAt - view.startedAt)} after its start`;
    case "failed":
    case "canceled": {
      const error = state.outcome && "error" in state.outcome ? state.outcome.error : undefined;
      const { name = "Error", message = "" } = error ?? {};
      const verb = status === "failed" ? "failed" : "was canceled";
      return `${verb} at ${when}: ${oneLine(`${name}: ${message}`).replace(/\.$/, "")}`;
    }
  }
}

/** Why a run is paused, in one line, and what becomes of it when it is to end. */
export function pauseText({ state }: RunView): string {
  const reason = oneLine(state.paused?.reason.replace(/\.$/, "") ?? "it does not say why");
  const { interruption } = state;
  if (!interruption) return reason;
  const why =
    interruption.kind === "cancel"
      ? `${describe(interruption.by)} asked to cancel it`
      : "its time limit is over";
  const details = state.paused?.details as { readonly code?: unknown } | null | undefined;
  const how = details?.code === "replay-diverged" ? " with code that follows its history" : "";
  return `${reason}; ${why}, but it stays paused until it is resumed${how}, and then cleans up, undoes its steps and ends; or terminate it, which ends it without that ("contrail cancel --terminate")`;
}

/** A run that the log calls running, although nobody shows a slot for it. */
function runningText(view: RunView, { leases, since, now, group }: Facts): string {
  const { state } = view;
  const worker = parsePassId(state.pass)?.worker ?? state.worker;
  const last = `last wrote at ${relativeText(since, now)}`;
  const isAlive = leases.some((lease) => lease.worker === worker);
  if (isAlive)
    return `is at worker ${worker}, which ${last} and holds no slot for it now: it sleeps for a second or less, or goes on at this moment`;
  return `was at worker ${worker}, which ${last} and is gone: another worker takes it over at the latest ${durationText(group?.claimTimeoutMs ?? CLAIM_TIMEOUT_MS)} after the last sign of life`;
}

function waitingText({ state, hasRegistration }: RunView, facts: Facts): string {
  if (state.unreadableAt !== undefined)
    return `cannot go on: message ${state.unreadableAt} of its history cannot be read; a fork goes on from what comes before it`;
  const waits = [...state.pending.values()];
  const shown = waits.slice(0, WAITS_SHOWN).map((wait) => waitText(wait, facts.now));
  const rest = waits.length - shown.length;
  if (rest > 0) shown.push(`${rest} more waits`);
  const leaves = waits.flatMap((wait) => pendingLeaves(wait).map(({ condition }) => condition));
  const wakers = [
    ...timerText(leaves, facts),
    ...matchText(leaves, { ...facts, isRegistered: hasRegistration }),
    ...mismatchText(facts),
    ...lostEventsText(waits, facts),
  ];
  const when = relativeText(facts.since, facts.now);
  return `waits since ${when} for ${shown.join("; for ") || "nothing"}: ${wakers.join("; ")}`;
}

function timerText(leaves: readonly LeafCondition[], facts: Facts): string[] {
  let dueAt = Number.POSITIVE_INFINITY;
  for (const leaf of leaves) if (leaf.kind === "sleep") dueAt = Math.min(dueAt, leaf.dueAt);
  if (dueAt === Number.POSITIVE_INFINITY) return [];
  const lateMs = facts.now - dueAt;
  if (lateMs < LATE_MS) return ["the server wakes it when its time has come"];
  return [`its time is over since ${durationText(lateMs)}, and ${forWorkers(facts)}`];
}

function matchText(
  leaves: readonly LeafCondition[],
  { hasEngine, isRegistered }: Facts & { readonly isRegistered: boolean },
): string[] {
  const hasEvents = leaves.some(({ kind }) => kind === "event");
  const hasChildren = leaves.some(({ kind }) => kind === "child" || kind === "children");
  if (!hasEvents && !hasChildren) return [];
  if (!hasEngine)
    return ['no engine is running, which would have to match it: start one with "contrail engine"'];
  if (!isRegistered) return ["its registration with the engine is under way"];
  const what = [
    ...(hasEvents ? ["when a matching event is published"] : []),
    ...(hasChildren ? ["when children end"] : []),
  ];
  return [`an engine wakes it ${what.join(" or ")}`];
}

/** A filter that may never be true is seen by this. */
function mismatchText({ mismatches = [] }: Facts): string[] {
  return mismatches.map(
    ({ name, sequence, path, expected, found }) =>
      `event ${describe(name)}, number ${sequence} of the events, came and cannot match: its ${describe(path)} is ${typed(found)}, and the filter asks for ${typed(expected)}`,
  );
}

function typed(value: string | number | boolean): string {
  if (typeof value === "boolean") return String(value);
  return `the ${typeof value === "string" ? "text" : "number"} ${describe(value)}`;
}

/** Rule 23: what was published and removed before anybody looked is missed, and is said. */
function lostEventsText(waits: readonly WaitState[], { firstEvent }: Facts): string[] {
  const isCut = waits.some((wait) =>
    pendingLeaves(wait).some(
      ({ condition }) => condition.kind === "event" && condition.after + 1 < firstEvent,
    ),
  );
  return isCut
    ? [`events before number ${firstEvent} are no longer kept, so a match among them is missed`]
    : [];
}

/** Whether the token of a queued run is with a worker: none is left to be delivered. */
function isDelivered({ group }: RunFacts): boolean {
  return group !== undefined && group.pendingTokens === 0 && group.heldTokens > 0;
}

function deliveredText({ group }: RunFacts): string {
  return `a worker has been told of it and holds no slot for it: another is told after ${durationText(group?.claimTimeoutMs ?? CLAIM_TIMEOUT_MS)} without a sign of life`;
}

function forWorkers({ group, leases }: RunFacts): string {
  if (!group) return "no worker has ever registered its task";
  if (group.waitingRequests > 0) return "a worker with a free slot takes it next";
  const workers = new Set(leases.map(({ worker }) => worker)).size;
  if (workers === 0) return "no worker is running";
  const running =
    workers === 1 ? "the one worker that is running" : `the ${workers} workers that are running`;
  return `of ${running}, none with a free slot asks for its task`;
}

function oneLine(text: string): string {
  return text.replace(/\s+/g, " ");
}
