/** How far the consumer group of a task is on one shard: which tokens it will deliver again. */
import { UnavailableError } from "../shared/errors.ts";
import { type ConsumerInfo, callApi, errorOf, isMissing } from "../shared/jetstream/api.ts";
import { decodeToken, type Names } from "../shared/subjects.ts";
import type { EngineServices } from "./services.ts";

/** What the server says of a consumer. */
export interface GroupProgress {
  /** Everything up to this sequence was delivered at least once. */
  readonly deliveredTo: number;
  /** Everything up to this sequence was acknowledged. */
  readonly acknowledgedTo: number;
  /** How many tokens were delivered and are not acknowledged. */
  readonly held: number;
  /** Counts deliveries, repeated ones too. */
  readonly deliveries: number;
  /** Requests for tokens that wait at the server. */
  readonly waitingRequests: number;
}

/** What becomes of a token. `held`: at a worker, or delivered again later, unless it was lost. */
export type TokenFate = "deliverable" | "held" | "gone";

/**
 * What the consumer group shows of a token that is stored.
 * @param progress Nothing when there is no consumer: whoever creates it is delivered everything.
 */
export function fateOf(sequence: number, progress: GroupProgress | undefined): TokenFate {
  if (!progress || sequence > progress.deliveredTo) return "deliverable";
  return sequence <= progress.acknowledgedTo || progress.held === 0 ? "gone" : "held";
}

/** What names a group: the beginning of its runs' subjects, `<ns>.log.<shard>.<task>`. */
export function groupOf(prefix: string): string {
  return prefix.slice(0, prefix.lastIndexOf("."));
}

/**
 * Asks the server about a group. Nothing when it has no consumer.
 * @throws {UnavailableError} When there was no answer in time.
 */
export async function readProgress(
  { link, names, signal }: Pick<EngineServices, "link" | "signal"> & { readonly names: Names },
  group: string,
): Promise<GroupProgress | undefined> {
  const [, , shard = "", task = ""] = group.split(".");
  const taskName = nameOf(task);
  if (taskName === undefined) return undefined;
  const consumer = names.taskConsumer(taskName);
  const subject = `CONSUMER.INFO.${names.logStream(Number(shard))}.${consumer}`;
  const answer = await callApi<ConsumerInfo>(link.requests, subject, undefined, { signal });
  if (isMissing(answer)) return undefined;
  const error = errorOf(answer);
  if (error !== undefined)
    throw new UnavailableError(`${subject} was refused: ${error.description}`, { ...error });
  const { delivered, ack_floor: floor } = answer;
  return {
    deliveredTo: delivered?.stream_seq ?? 0,
    acknowledgedTo: floor?.stream_seq ?? 0,
    held: answer.num_ack_pending ?? 0,
    deliveries: delivered?.consumer_seq ?? 0,
    waitingRequests: answer.num_waiting ?? 0,
  };
}

/** Nothing when somebody has published where no run can be. */
function nameOf(token: string): string | undefined {
  try {
    return decodeToken(token);
  } catch {
    return undefined;
  }
}
