/** Reads what the log says about a run, as new as a token needs it. */
import { decodeCommit } from "../shared/entries.ts";
import { UndecodableError } from "../shared/errors.ts";
import { beginningOf, readHistoryBeside } from "../shared/history-reader.ts";
import type { StoredMessage } from "../shared/jetstream/reader.ts";
import { type CancelRequest, decodeCancel, decodeStart, type Start } from "../shared/messages.ts";
import { evolve, noteUnreadable, type RunState } from "../shared/run-state.ts";
import { stateOfStart } from "../shared/start-state.ts";
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

/** What of a start its run's state begins with. */
export interface StartFacts {
  readonly sequence: number;
  readonly timeMs: number;
  readonly start: Start | undefined;
}

/**
 * Folds a run's history for the incarnation that began with this start.
 * @param last Its last commit, as far as it is known.
 */
export async function readState(
  link: WorkerLink,
  at: RunLocation,
  start: StartFacts,
  last: StoredMessage | undefined,
): Promise<RunState> {
  const state = stateOfStart(start.start, start.sequence, start.timeMs);
  fold(state, await link.reader.readSubject(at.stream, at.history, beginningOf(last)));
  return state;
}

/**
 * Reads start, history and cancel request of a run at once.
 * @param mustBeFresh A start that a replica does not show is asked of the leader.
 */
export async function readRun(
  link: WorkerLink,
  at: RunLocation,
  startSequence: number,
  mustBeFresh: boolean,
): Promise<ReadRun> {
  const subjects = [`${at.prefix}.token.start`, `${at.prefix}.cancel`, at.history];
  const asked = link.reader.multiLast(at.stream, subjects).then(({ messages }) => messages);
  const tail = asked.then((found) => found.find(({ subject }) => subject === at.history));
  const [lasts, commits] = await Promise.all([asked, readHistoryBeside(link.reader, at, tail)]);
  const find = (kind: string): StoredMessage | undefined =>
    lasts.find(({ subject }) => subject === `${at.prefix}.${kind}`);
  const last = find("token.start");
  // Another message on its subject does not end a run: only a purge does, which removes the start.
  const start =
    last?.sequence === startSequence
      ? last
      : await link.reader.get(at.stream, startSequence, { leader: mustBeFresh });
  const isThere = start?.subject === `${at.prefix}.token.start`;
  const decoded = isThere ? decodeStart(start.data, start.subject) : undefined;
  const state = stateOfStart(decoded, startSequence, isThere ? start.timeMs : 0);
  fold(state, commits);
  return {
    start: decoded,
    state,
    cancel: cancelFor(find("cancel"), startSequence),
  };
}

function fold(state: RunState, commits: readonly StoredMessage[]): void {
  for (const message of commits) {
    try {
      evolve(state, decodeCommit(message.data, message.sequence, message.subject));
    } catch (error) {
      if (!(error instanceof UndecodableError)) throw error;
      noteUnreadable(state, message.sequence);
    }
  }
}

/** The request of a cancel message, if it is for this start. */
export function cancelFor(
  message: StoredMessage | undefined,
  startSequence: number,
): CancelRequest | undefined {
  if (!message) return undefined;
  try {
    const request = decodeCancel(message.data, message.subject);
    return request.startSequence === startSequence ? request : undefined;
  } catch (error) {
    if (error instanceof UndecodableError) return undefined; // nobody can say what it asks for
    throw error;
  }
}
