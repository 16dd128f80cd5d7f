/** Why a run is paused that no worker can go on with. */
import type { Entry } from "../shared/entries.ts";
import { TAKEOVERS_BEFORE_PAUSE } from "../shared/limits.ts";
import type { RunState } from "../shared/run-state.ts";
import type { RunAddress } from "../shared/subjects.ts";

/** What is recorded of a run whose history cannot be read, or whose workers are lost time and again. */
export function whyGivenUp(run: { readonly address: RunAddress; readonly state: RunState }): Entry {
  const { taskName, runId } = run.address;
  const what = `Run "${runId}" of task "${taskName}"`;
  const { unreadableAt } = run.state;
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
