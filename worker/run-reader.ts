/** Reads what the log says about a run, as new as a token needs it. */
import { decodeCommit } from "../shared/entries.ts";
import type { StoredMessage } from "../shared/jetstream/reader.ts";
import { type CancelRequest, decodeCancel, decodeStart, type Start } from "../shared/messages.ts";
import { evolve, initialState, type RunState } from "../shared/run-state.ts";
import type { WorkerLink } from "./services.ts";

/** Where to read. */
export interface RunLocation {
  readonly stream: string;
  readonly prefix: string;
  readonly history: string;
}

/** What was read. */
export interface ReadRun {
  /** Nothing when the start is gone: the run was purged. */
  readonly start: Start | undefined;
  readonly state: RunState;
  readonly cancel: CancelRequest | undefined;
}

/** Folds a run's history for the incarnation that began with this start. */
export async function readState(
  link: WorkerLink,
  at: RunLocation,
  start: { readonly sequence: number; readonly timeMs: number },
): Promise<RunState> {
  const state = initialState(start.sequence, start.timeMs);
  for (const message of await link.reader.readSubject(at.stream, at.history))
    evolve(state, decodeCommit(message.data, message.sequence, at.history));
  return state;
}

/** Reads start, history and cancel request of a run at once. */
export async function readRun(
  link: WorkerLink,
  at: RunLocation,
  startSequence: number,
): Promise<ReadRun> {
  const [lasts, commits] = await Promise.all([
    link.reader.multiLast(at.stream, [`${at.prefix}.start`, `${at.prefix}.cancel`]),
    link.reader.readSubject(at.stream, at.history),
  ]);
  const find = (kind: string): StoredMessage | undefined =>
    lasts.messages.find(({ subject }) => subject === `${at.prefix}.${kind}`);
  const start = find("start");
  const isSame = start?.sequence === startSequence;
  const state = initialState(startSequence, isSame ? start.timeMs : 0);
  for (const message of commits)
    evolve(state, decodeCommit(message.data, message.sequence, at.history));
  return {
    start: isSame ? decodeStart(start.data, start.subject) : undefined,
    state,
    cancel: cancelFor(find("cancel"), startSequence),
  };
}

/** The request of a cancel message, if it is for this start. */
export function cancelFor(
  message: StoredMessage | undefined,
  startSequence: number,
): CancelRequest | undefined {
  const request = message && decodeCancel(message.data, message.subject);
  return request?.startSequence === startSequence ? request : undefined;
}
