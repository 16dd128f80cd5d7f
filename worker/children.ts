/**
 * Starts child runs. A start is guarded like any other, so that starting again after a crash finds
 * the child of the first time (rule 26).
 */

import { childId, childIdPrefix } from "../shared/child-ids.ts";
import type { Failure } from "../shared/entries.ts";
import { ContrailError, NotPermittedError, RunConflictError } from "../shared/errors.ts";
import { toFailure } from "../shared/failures.ts";
import { newId } from "../shared/ids.ts";
import { unstoredError } from "../shared/jetstream/unstored.ts";
import { startMessage } from "../shared/large-start.ts";
import { decodeStart, type EventPosition, type ParentReference } from "../shared/messages.ts";
import { setQueueDeadline } from "../shared/queue-deadline.ts";
import { validateInput } from "../shared/schema.ts";
import type { RunAddress } from "../shared/subjects.ts";
import { checkName } from "../shared/subjects.ts";
import { definitionOf, queueLimitOf } from "../shared/task-definition.ts";
import type { AnyTask } from "../shared/task-reference.ts";
import type { Services } from "./services.ts";

/** The run that starts children. */
export interface ParentRun extends RunAddress {
  readonly startSequence: number;
  /** Children inherit where their events begin (rule 20). */
  readonly events: EventPosition;
}

/** A child to start. */
export interface ChildStart {
  readonly task: AnyTask;
  readonly runId: string;
  readonly input: unknown;
  /** Key of the parent's operation. */
  readonly key: string;
}

/** The id of the child with this ordinal: the same in every replay, another one in another run. */
export function derivedChildId(parent: ParentRun, ordinal: number): string {
  return childId(childIdPrefix(parent), ordinal);
}

/**
 * Starts one child, or finds it started.
 * @returns Nothing when the child runs, or why it does not: a bad input or an id that is taken.
 */
export async function startChild(
  services: Services,
  parent: ParentRun,
  child: ChildStart,
  signal: AbortSignal,
): Promise<Failure | undefined> {
  try {
    checkName(child.runId, "run id");
    const schema = definitionOf(child.task).schema;
    const what = `input of child "${child.task.name}"`;
    const input = schema ? await validateInput(schema, child.input, what) : child.input;
    await publishStart(services, parent, { ...child, input }, signal);
    return undefined;
  } catch (error) {
    // What the worker may not do is mended on the server, and no failure of the child.
    if (error instanceof NotPermittedError) throw error;
    if (error instanceof ContrailError && !error.retryable) return toFailure(error);
    throw error;
  }
}

async function publishStart(
  { link, names, workerId, payloads }: Services,
  parent: ParentRun,
  child: ChildStart,
  signal: AbortSignal,
): Promise<void> {
  const { taskName, runId, startSequence, events } = parent;
  const reference: ParentReference = { taskName, runId, startSequence, key: child.key };
  const address = { taskName: child.task.name, runId: child.runId };
  const run = names.run(address);
  const queueTimeoutMs = queueLimitOf(definitionOf(child.task));
  const limitQueue = async (): Promise<void> => {
    if (queueTimeoutMs !== undefined) await setQueueDeadline(link, names, address, queueTimeoutMs);
  };
  const subject = `${run.prefix}.token.start`;
  const { body } = await startMessage(payloads, address, {
    input: child.input,
    events,
    parent: reference,
    nonce: newId(),
    by: `worker ${workerId}`,
    ...(queueTimeoutMs === undefined ? {} : { queueTimeoutMs }),
  });
  for (;;) {
    const outcome = await link.publisher.guardedPublish(subject, body, { expect: 0, signal });
    if (outcome.ok) return limitQueue();
    if (outcome.kind === "guard") break;
    const isClosed = outcome.kind === "unknown" && outcome.reason === "closed";
    if (outcome.kind === "refused" || signal.aborted || isClosed)
      throw unstoredError(outcome, {
        what: `The start of child "${child.task.name}" of run "${runId}"`,
        mayNot: "could not be stored",
      });
  }
  const found = await link.reader.lastFor(run.stream, subject, { leader: true });
  const start = found && decodeStart(found.data, `${subject}, sequence ${found.sequence}`);
  if (start?.parent && isSame(start.parent, reference)) return limitQueue();
  throw new RunConflictError(
    `Child "${child.task.name}" with the id "${child.runId}" was not started by this call: another run or a client has taken the id. Give the child another id, or none.`,
    { taskName: child.task.name, runId: child.runId },
  );
}

function isSame(a: ParentReference, b: ParentReference): boolean {
  return (
    a.taskName === b.taskName &&
    a.runId === b.runId &&
    a.startSequence === b.startSequence &&
    a.key === b.key
  );
}
