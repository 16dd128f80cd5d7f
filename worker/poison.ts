/** What a run is paused with that cannot be carried any further. */
import type { Entry } from "../shared/entries.ts";
import { TAKEOVERS_BEFORE_PAUSE } from "../shared/limits.ts";
import type { RunState } from "../shared/run-state.ts";
import type { RunAddress } from "../shared/subjects.ts";

/** Says why nobody goes on with the run: it loses its workers, or its history cannot be read. */
export function pauseEntry({ taskName, runId }: RunAddress, { unreadableAt }: RunState): Entry {
  const what = `Run "${runId}" of task "${taskName}"`;
  if (unreadableAt === undefined)
    return {
      kind: "paused",
      reason: `${what} lost its worker ${TAKEOVERS_BEFORE_PAUSE} times in a row without getting any further.`,
      details: { code: "workers-lost" },
    };
  return {
    kind: "paused",
    reason: `${what} has a message in its history, at sequence ${unreadableAt}, that cannot be read. Remove it from the stream if it does not belong there.`,
    details: { code: "history-unreadable", sequence: unreadableAt },
  };
}
