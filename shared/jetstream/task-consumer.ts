/** The consumer group of a task: one durable pull consumer per shard, shared by its workers. */
import type { Names } from "../subjects.ts";
import { ensureConsumer } from "./admin.ts";
import type { Requests } from "./requests.ts";
import type { ConsumerConfig } from "./server-config.ts";

/** Which consumer group. */
export interface TaskConsumer {
  readonly names: Names;
  readonly taskName: string;
  readonly shard: number;
  /** The `ack_wait`: a token is delivered again when its worker is silent for so long. */
  readonly claimTimeoutMs: number;
}

/** Pulls that may wait at one consumer; the server refuses more. Fixed when it is created. */
const WAITING_PULLS = 16_384;

/**
 * The configuration of a task's consumer on one shard, always the same one (rule 10): created again
 * after a loss, it delivers every token that is still stored, and dead ones do no harm.
 */
export function taskConsumerConfig(consumer: TaskConsumer): ConsumerConfig {
  const { names, taskName, shard, claimTimeoutMs } = consumer;
  return {
    name: names.taskConsumer(taskName),
    description: `Tokens of task ${JSON.stringify(taskName)}`,
    filterSubjects: [names.taskTokens(taskName, shard)],
    ackWaitMs: claimTimeoutMs,
    deliver: "all",
    maxDeliver: -1,
    maxAckPending: -1,
    maxWaiting: WAITING_PULLS,
  };
}

/**
 * Creates the consumer, or finds it. Safe to repeat and to call from many workers at once.
 * @returns Whether this call created it.
 * @throws {IncompatibleSetupError} When it is there with another configuration, or there is no such
 * stream.
 * @throws {UnavailableError} When no server answers.
 */
export async function ensureTaskConsumer(
  requests: Requests,
  consumer: TaskConsumer,
  options: { readonly signal?: AbortSignal } = {},
): Promise<boolean> {
  const stream = consumer.names.logStream(consumer.shard);
  const config = taskConsumerConfig(consumer);
  const { wasCreated } = await ensureConsumer(requests, stream, config, {
    ...options,
    mayDiffer: ["description"],
  });
  return wasCreated;
}
