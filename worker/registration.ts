/**
 * What is stored when a run suspends, besides the waiting commit: one schedule for the earliest due
 * time and one registration for what the engine has to match. Both are guarded by the waiting
 * commit, so that a late one is refused instead of replacing a newer one (rules 11 to 13).
 */
import type { Entry } from "../shared/entries.ts";
import type { HeaderList } from "../shared/jetstream/headers.ts";
import { TIMER_LEAD_MS } from "../shared/limits.ts";
import { encodeReady, encodeWait, type WatchedLeaf } from "../shared/messages.ts";
import { pendingLeaves, type RunState, type WaitState } from "../shared/run-state.ts";
import { HEADERS, REGISTERS_HEADER } from "../shared/subjects.ts";
import { earlier, limitOf, type RunLimits } from "./run-limits.ts";
import type { Services } from "./services.ts";

/** Where a run's messages go. */
export interface RunPlace {
  /** `<ns>.log.<shard>.<task>.<run>` */
  readonly prefix: string;
  /** The literal subject of its history. */
  readonly history: string;
  readonly isChild: boolean;
  /** Which events stream the run began with; "" when it never waits for events. */
  readonly eventsCreated: string;
}

/** When the earliest sleep of these waits is due, if there is one. */
export function earliestDue(waits: Iterable<WaitState>): number | undefined {
  let earliest: number | undefined;
  for (const wait of waits)
    for (const { condition } of pendingLeaves(wait))
      if (condition.kind === "sleep" && (earliest === undefined || condition.dueAt < earliest))
        earliest = condition.dueAt;
  return earliest;
}

/**
 * When the run has to be woken by time: for a sleep, for the next attempt of a step, or because a
 * time limit is over.
 */
export function nextDue(state: RunState, limits: RunLimits): number | undefined {
  let next = earlier(earliestDue(state.sleeping.values()), limitOf(state, limits));
  for (const { retryAt } of state.retries.values()) next = earlier(next, retryAt);
  return next;
}

/** What the engine has to watch for a run with these waits. */
export function watchedLeaves(waits: Iterable<WaitState>): WatchedLeaf[] {
  const watched: WatchedLeaf[] = [];
  for (const wait of waits)
    for (const { leaf, condition } of pendingLeaves(wait))
      if (condition.kind !== "sleep")
        watched.push({ key: wait.key, leaf, condition, recorded: recordedRanges(wait, leaf) });
  return watched;
}

/** A leaf without a filter takes less than this in a registration. */
const LEAF_BYTES = 2_048;
/** Room for the headers of a registration. */
const FRAME_BYTES = 2_048;

/**
 * Why the run cannot wait for all of this: the registration would not fit into one message, and a run
 * that waits without one would never be woken (hole 15). Nothing when it fits.
 * @param waits Those that are pending, also those that no commit has taken along yet.
 */
export function whyNotRegistered(
  { link }: Pick<Services, "link">,
  place: RunPlace,
  state: RunState,
  waits: Iterable<WaitState>,
): Extract<Entry, { kind: "paused" }> | undefined {
  const limit = link.maxPayload - FRAME_BYTES;
  const leaves = watchedLeaves(waits);
  const hasFilter = leaves.some(({ condition }) => "where" in condition);
  if (!hasFilter && leaves.length * LEAF_BYTES + state.consumedEvents.size * 9 < limit)
    return undefined;
  const actual = waitMessage(place, state, leaves, 0).length;
  if (actual <= limit) return undefined;
  const what = leaves.length === 1 ? "one thing" : `${leaves.length} things at once`;
  const reason = `The run waits for ${what}, which takes ${actual} bytes to register; the server accepts ${limit}. Wait for less at a time, or with smaller filters, or raise max_payload on the server.`;
  return { kind: "paused", reason, details: { code: "waits-too-large", limit, actual } };
}

/** Says on the waiting commit what will be registered behind it: a timer, waits, or both. */
export function registersHeader(hasTimer: boolean, waits: Iterable<WaitState>): HeaderList {
  let isWatched = false;
  for (const wait of waits)
    isWatched ||= pendingLeaves(wait).some(({ condition }) => condition.kind !== "sleep");
  const kinds = [...(hasTimer ? ["timer"] : []), ...(isWatched ? ["wait"] : [])];
  return [[REGISTERS_HEADER, kinds.join(" ")]];
}

/** Headers that cancel the run's schedule along with the message that carries them. */
export function cancelTimer(place: RunPlace): HeaderList {
  return [
    [HEADERS.scheduler, `${place.prefix}.timer`],
    [HEADERS.scheduleNext, "purge"],
  ];
}

/**
 * Registers the waits of a run whose last commit is a waiting one. May be done again, by anybody.
 * @returns False when a registration could not be stored: the token must not be acknowledged.
 */
export async function registerWaits(
  services: Services,
  place: RunPlace,
  state: RunState,
  options: {
    readonly passMs: number;
    readonly signal: AbortSignal;
    readonly limits: RunLimits;
  },
): Promise<boolean> {
  const { publisher } = services.link;
  const guard = {
    expect: state.waitSequence,
    expectSubject: place.history,
    signal: options.signal,
  };
  const write = async (kind: "timer" | "wait", body: Uint8Array, headers?: HeaderList) => {
    const point = services.failpoint(`before-${kind}`);
    if (point) await point;
    const outcome = await publisher.guardedPublish(`${place.prefix}.${kind}`, body, {
      ...guard,
      ...(headers ? { headers } : {}),
    });
    return outcome.ok || outcome.kind === "guard"; // refused by the guard: the run went on
  };
  // One after the other: of two writes with one guard under way at once, a cluster refuses the second
  // with 10164 (200 of 200 times, measured), and it would only be sent again.
  const dueAt = nextDue(state, options.limits);
  if (dueAt !== undefined && !(await write("timer", ...timerMessage(place, state, dueAt))))
    return false;
  const leaves = watchedLeaves(state.pending.values());
  if (leaves.length === 0) return true;
  return write("wait", waitMessage(place, state, leaves, options.passMs));
}

function timerMessage(
  place: RunPlace,
  state: RunState,
  dueAt: number,
): [body: Uint8Array, headers: HeaderList] {
  const body = encodeReady({
    answers: state.waitSequence,
    startSequence: state.startSequence,
    isChild: place.isChild,
    because: { timer: dueAt },
  });
  const at = new Date(Math.max(0, Math.floor(dueAt - TIMER_LEAD_MS))).toISOString();
  return [
    body,
    [
      [HEADERS.schedule, `@at ${at}`],
      [HEADERS.scheduleTarget, `${place.prefix}.token.ready`],
    ],
  ];
}

function waitMessage(
  place: RunPlace,
  state: RunState,
  leaves: readonly WatchedLeaf[],
  passMs: number,
): Uint8Array {
  const lowest = leaves.reduce(
    (least, { condition }) =>
      condition.kind === "event" ? Math.min(least, condition.after) : least,
    Number.POSITIVE_INFINITY,
  );
  const { eventsCreated } = place;
  return encodeWait({
    ...(lowest < Number.POSITIVE_INFINITY && eventsCreated !== "" ? { eventsCreated } : {}),
    waitSequence: state.waitSequence,
    startSequence: state.startSequence,
    isChild: place.isChild,
    leaves,
    consumed: [...state.consumedEvents].filter((sequence) => sequence > lowest),
    passMs,
  });
}

/** Which positions of a group of children are recorded, as ranges. */
function recordedRanges(wait: WaitState, leaf: number): [number, number][] {
  const recorded = wait.recorded.get(leaf)?.outcome;
  if (recorded?.kind !== "children") return [];
  return toRanges(recorded.ended.map(([position]) => position));
}

/** Numbers as ranges [from, to], in order. */
export function toRanges(numbers: readonly number[]): [number, number][] {
  const ranges: [number, number][] = [];
  for (const number of [...numbers].sort((a, b) => a - b)) {
    const last = ranges.at(-1);
    if (last && number <= last[1] + 1) last[1] = Math.max(last[1], number);
    else ranges.push([number, number]);
  }
  return ranges;
}
