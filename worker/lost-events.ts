/** Whether the events that a run waits for are counted as they were when it began (rule 23). */
import type { Entry } from "../shared/entries.ts";
import type { EventPosition } from "../shared/messages.ts";
import { pendingLeaves, type WaitState } from "../shared/run-state.ts";
import type { RunAddress } from "../shared/subjects.ts";
import type { Services } from "./services.ts";

/** The run that waits, and where its events begin. */
export interface EventsOfRun extends RunAddress {
  readonly events: EventPosition;
}

/**
 * Why the run cannot wait for events any more: their stream was made anew or has lost its end, so
 * its numbers mean other events than they did. Nothing when all is well. Usually asks nobody.
 * @throws {UnavailableError} When no server answers.
 */
export async function whyEventsAreLost(
  { events, names }: Pick<Services, "events" | "names">,
  run: EventsOfRun,
  waits: Iterable<WaitState>,
): Promise<Extract<Entry, { kind: "paused" }> | undefined> {
  const { created, after } = run.events;
  if (created === "" || !hasEvents(waits)) return undefined;
  let present = await events.recent();
  // A remembered end may be lower than what the starter of the run knew, and so may the answer of a
  // leader that was deposed while the question waited for it. Asked once more it knows better.
  for (let reads = 0; reads < 2 && present.created === created && present.after < after; reads++)
    present = await events.read();
  const isAnother = present.created !== created;
  if (!isAnother && present.after >= after) return undefined;
  const stream = names.eventsStream;
  const what = isAnother
    ? `was created anew at ${present.created}, after the run had begun with the one of ${created}`
    : `ends at event ${present.after}, and the run began behind event ${after}`;
  return {
    kind: "paused",
    reason: `Run "${run.runId}" of task "${run.taskName}" waits for events, and their stream ${stream} ${what}: what it waits for may be lost, or counted differently. Cancel the run, and start it under another id if it is still needed.`,
    details: { code: "events-replaced", stream, began: run.events, found: present },
  };
}

function hasEvents(waits: Iterable<WaitState>): boolean {
  for (const wait of waits)
    if (pendingLeaves(wait).some(({ condition }) => condition.kind === "event")) return true;
  return false;
}
