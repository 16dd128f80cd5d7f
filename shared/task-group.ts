/** What the server says about the consumer group of a task: whether somebody works for it. */
import { UnavailableError } from "./errors.ts";
import { type ConsumerInfo, callApi, errorOf, isMissing } from "./jetstream/api.ts";
import type { NatsLink } from "./jetstream/connection.ts";
import type { Names, RunAddress } from "./subjects.ts";

/** The consumer group of a task on one shard. */
export interface TaskGroup {
  /** Requests for tokens that wait at the server: workers with a free slot for the task. */
  readonly waitingRequests: number;
  /** Tokens that were not delivered yet. */
  readonly pendingTokens: number;
  /** Tokens that workers hold: of runs that are executed, or were until their worker was lost. */
  readonly heldTokens: number;
  /** A token that a worker says nothing of for so long is given to another. */
  readonly claimTimeoutMs: number;
}

/**
 * The group that the tokens of this run go to. Nothing when no worker has ever registered the task.
 * @throws {UnavailableError} When no server answers.
 */
export async function readTaskGroup(
  link: Pick<NatsLink, "requests">,
  names: Names,
  run: RunAddress,
): Promise<TaskGroup | undefined> {
  const { stream } = names.run(run);
  const subject = `CONSUMER.INFO.${stream}.${names.taskConsumer(run.taskName)}`;
  const answer = await callApi<ConsumerInfo>(link.requests, subject, undefined);
  if (isMissing(answer)) return undefined;
  const error = errorOf(answer);
  if (error !== undefined)
    throw new UnavailableError(`${subject} was refused: ${error.description}`, { ...error });
  return {
    waitingRequests: answer.num_waiting ?? 0,
    pendingTokens: answer.num_pending ?? 0,
    heldTokens: answer.num_ack_pending ?? 0,
    claimTimeoutMs: (answer.config?.ack_wait ?? 0) / 1e6,
  };
}
