/** What the log says about one run, for people and programs that look at it. */
import { decodeCommit, type StoredCommit } from "./entries.ts";
import { UnavailableError, UndecodableError } from "./errors.ts";
import type { NatsLink } from "./jetstream/connection.ts";
import type { StoredMessage } from "./jetstream/reader.ts";
import {
  decodeCancel,
  decodeReady,
  decodeStart,
  type ForkOrigin,
  type ParentReference,
  type Repair,
} from "./messages.ts";
import { storedStart } from "./run-presence.ts";
import { notFound } from "./run-results.ts";
import { evolve, noteUnreadable, type RunState } from "./run-state.ts";
import { copiedCommits, stateOfStart } from "./start-state.ts";
import type { Names, RunAddress } from "./subjects.ts";

/** A run with its history. */
export interface RunView {
  readonly taskName: string;
  readonly runId: string;
  readonly input: unknown;
  readonly startedAt: number;
  readonly startedBy: string;
  readonly startSequence: number;
  readonly parent?: ParentReference;
  /** The run of the same task that this one was forked from; its copied commits come first. */
  readonly forkedFrom?: { readonly runId: string; readonly reason: string };
  /** What the time and the random values of a fork go on from. */
  readonly fork?: { readonly seed: string; readonly startedAt: number };
  /** A request to cancel that the run may not have noticed yet. */
  readonly cancelRequest?: { readonly by: string; readonly reason: string; readonly at: number };
  /** A repair that somebody asked for and no worker has taken up yet. */
  readonly repairRequest?: Repair & { readonly at: number };
  /** Sequence of the last registration with the engine, and when its schedule is set for. */
  readonly hasRegistration: boolean;
  readonly hasTimer: boolean;
  readonly commits: readonly StoredCommit[];
  /** The fold over the commits. */
  readonly state: RunState;
}

/** A replica that does not know of the run yet is read again so often, with so long a pause. */
const READINGS = 40;
const READ_AGAIN_MS = 25;

/**
 * Reads a run.
 * @throws {RunNotFoundError} When there is no such run.
 * @throws {UnavailableError} When the replica that is read has not heard of it for a second.
 */
export async function readView(
  link: Pick<NatsLink, "reader" | "clock">,
  names: Names,
  address: RunAddress,
): Promise<RunView> {
  const { stream } = names.run(address);
  for (let reading = 1; reading <= READINGS; reading++) {
    const view = await readOnce(link, names, address);
    if (view) return view;
    if (!(await storedStart(link, names, address))) throw notFound(address);
    await new Promise<void>((resolve) => void link.clock.after(READ_AGAIN_MS, resolve));
  }
  throw new UnavailableError(`A replica of ${stream} is behind.`);
}

/** Nothing when the replica that is read knows of no start. */
async function readOnce(
  link: Pick<NatsLink, "reader">,
  names: Names,
  address: RunAddress,
): Promise<RunView | undefined> {
  const { stream, prefix } = names.run(address);
  const messages = await link.reader.readSubject(stream, `${prefix}.>`);
  const lastOf = (kind: string): StoredMessage | undefined =>
    messages.findLast(({ subject }) => subject === `${prefix}.${kind}`);
  // A start expects to be the first on its subject, so whatever follows it there is none.
  const first = messages.find(({ subject }) => subject === `${prefix}.token.start`);
  if (!first) return undefined;
  const start = decodeStart(first.data, first.subject);
  const state = stateOfStart(start, first.sequence, first.timeMs);
  const commits: StoredCommit[] = start.fork ? copiedCommits(start.fork, first.sequence) : [];
  const history = `${prefix}.${start.parent ? "c" : "h"}`;
  for (const message of messages) {
    if (message.subject !== history) continue;
    const commit = readable(() => decodeCommit(message.data, message.sequence, message.subject));
    if (commit) evolve(state, commit);
    else noteUnreadable(state, message.sequence);
    if (commit?.startSequence === first.sequence) commits.push(commit);
  }
  const cancel = lastOf("cancel");
  const request = cancel && readable(() => decodeCancel(cancel.data, cancel.subject));
  const { taskName, runId } = address;
  return {
    taskName,
    runId,
    input: start.input,
    startedAt: first.timeMs,
    startedBy: start.by,
    startSequence: first.sequence,
    ...(start.parent ? { parent: start.parent } : {}),
    ...(start.fork ? forkFacts(start.fork) : {}),
    ...(cancel && request?.startSequence === first.sequence
      ? { cancelRequest: { by: request.by, reason: request.reason, at: cancel.timeMs } }
      : {}),
    ...repairOf(lastOf("token.ready"), state),
    hasRegistration: lastOf("wait") !== undefined,
    hasTimer: lastOf("timer") !== undefined,
    commits,
    state,
  };
}

function forkFacts(fork: ForkOrigin): Pick<RunView, "forkedFrom" | "fork"> {
  const { runId, reason, seed, startedAt } = fork;
  return { forkedFrom: { runId, reason }, fork: { seed, startedAt } };
}

/** The repair that the run's last token asks for, as long as the run stands where it was asked. */
function repairOf(
  ready: StoredMessage | undefined,
  { tail, retiredEnd = tail, startSequence }: RunState,
): Pick<RunView, "repairRequest"> {
  const token = ready && readable(() => decodeReady(ready.data, ready.subject));
  if (
    !token?.because.repair ||
    token.answers !== retiredEnd ||
    token.startSequence !== startSequence
  )
    return {};
  return { repairRequest: { ...token.because.repair, at: ready?.timeMs ?? 0 } };
}

/** What was decoded, or nothing when it cannot be: a view shows what there is. */
function readable<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof UndecodableError) return undefined;
    throw error;
  }
}
