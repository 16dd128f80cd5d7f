/** Lists runs from the log itself: the last message of every start and history, headers only. */
import type { NatsLink } from "./jetstream/connection.ts";
import { follow } from "./jetstream/follower.ts";
import { SHARD_COUNT } from "./limits.ts";
import type { RunStatus } from "./run-state.ts";
import { encodeToken, type Names, STATUS_HEADER } from "./subjects.ts";

/** A run in a list. */
export interface RunSummary {
  readonly taskName: string;
  readonly runId: string;
  readonly status: RunStatus;
  /** When it was started and when its history last changed, in milliseconds since the epoch. */
  readonly startedAt: number;
  readonly changedAt: number;
  readonly isChild: boolean;
}

/** Which runs to list. */
export interface ListOptions {
  readonly taskName?: string;
  readonly status?: RunStatus;
  /** At most so many, the newest first. Default 100. */
  readonly limit?: number;
}

/** Lists runs. Reads one header for each start and each history of the log. */
export async function listRuns(
  link: NatsLink,
  names: Names,
  { taskName, status, limit = 100 }: ListOptions,
): Promise<RunSummary[]> {
  const runs = new Map<string, RunSummary>();
  const shards = Array.from({ length: Math.min(names.shardCount, SHARD_COUNT) }, (_, i) => i);
  await Promise.all(shards.map((shard) => readShard(link, names, shard, taskName, runs)));
  return [...runs.values()]
    .filter((run) => status === undefined || run.status === status)
    .sort((a, b) => b.startedAt - a.startedAt)
    .slice(0, limit);
}

async function readShard(
  link: NatsLink,
  names: Names,
  shard: number,
  taskName: string | undefined,
  runs: Map<string, RunSummary>,
): Promise<void> {
  const task = taskName === undefined ? "*" : encodeToken(taskName);
  const prefix = `${names.namespace}.log.${shard}.${task}.*`;
  const follower = follow(link, {
    stream: names.logStream(shard),
    subjects: [`${prefix}.start`, `${prefix}.h`, `${prefix}.c`],
    from: "last-per-subject",
    headersOnly: true,
    onMessage: (message) => {
      const { kind, ...address } = names.parse(message.subject);
      const key = `${address.taskName} ${address.runId}`;
      const run = runs.get(key) ?? {
        taskName: address.taskName,
        runId: address.runId,
        status: "queued",
        startedAt: message.timeMs,
        changedAt: message.timeMs,
        isChild: kind === "c",
      };
      const isStart = kind === "start";
      runs.set(key, {
        ...run,
        isChild: run.isChild || kind === "c",
        startedAt: Math.min(run.startedAt, message.timeMs),
        changedAt: Math.max(run.changedAt, message.timeMs),
        status: isStart
          ? run.status
          : ((message.headers.last(STATUS_HEADER) as RunStatus | undefined) ?? run.status),
      });
    },
  });
  try {
    await follower.caughtUp;
  } finally {
    await follower.close();
  }
}
