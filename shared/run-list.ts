/** Lists runs from the log itself: the last message of every start and history, headers only. */
import { describe } from "./describe.ts";
import { InvalidInputError } from "./errors.ts";
import type { NatsLink } from "./jetstream/connection.ts";
import { follow } from "./jetstream/follower.ts";
import { SHARD_COUNT } from "./limits.ts";
import { checkFields } from "./option-fields.ts";
import { checkStatus, type RunStatus } from "./run-status.ts";
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
  readonly runId?: string;
  readonly status?: RunStatus;
  /** At most so many, the newest first. Default 100. */
  readonly limit?: number;
}

const FIELDS = ["taskName", "runId", "status", "limit"];

/**
 * Lists runs. Reads one header for each start and each history of the log that is asked for.
 * @throws {InvalidInputError} When an option cannot be used: a list would be empty, or of all runs.
 */
export async function listRuns(
  link: NatsLink,
  names: Names,
  options: ListOptions,
): Promise<RunSummary[]> {
  checkFields(options, "argument of list()", FIELDS);
  const { taskName, runId, status, limit = 100 } = options;
  if (status !== undefined) checkStatus(status);
  if (!(limit >= 0))
    throw new InvalidInputError(`The limit is ${describe(limit)}. Expected a number from 0.`, {
      value: limit,
    });
  const runs = new Map<string, RunSummary>();
  const isOne = taskName !== undefined && runId !== undefined;
  const shards = isOne
    ? [names.run({ taskName, runId }).shard]
    : Array.from({ length: Math.min(names.shardCount, SHARD_COUNT) }, (_, i) => i);
  const of = `${tokenOr(taskName)}.${tokenOr(runId)}`;
  await Promise.all(shards.map((shard) => readShard(link, names, { shard, of }, runs)));
  return [...runs.values()]
    .filter((run) => status === undefined || run.status === status)
    .sort((a, b) => b.startedAt - a.startedAt)
    .slice(0, limit);
}

function tokenOr(name: string | undefined): string {
  return name === undefined ? "*" : encodeToken(name);
}

async function readShard(
  link: NatsLink,
  names: Names,
  { shard, of }: { readonly shard: number; readonly of: string },
  runs: Map<string, RunSummary>,
): Promise<void> {
  const prefix = `${names.namespace}.log.${shard}.${of}`;
  const follower = follow(link, {
    stream: names.logStream(shard),
    subjects: [`${prefix}.token.start`, `${prefix}.h`, `${prefix}.c`],
    from: "last-per-subject",
    headersOnly: true,
    onMessage: (message) => {
      const place = placeOf(names, message.subject);
      if (!place) return;
      const { kind, taskName, runId } = place;
      const key = message.subject.slice(0, -kind.length);
      const run = runs.get(key) ?? {
        taskName,
        runId,
        status: "queued",
        startedAt: message.timeMs,
        changedAt: message.timeMs,
        isChild: kind === "c",
      };
      const isStart = kind === "token.start";
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

/** Whose message it is; nobody's when somebody published where Contrail never does. */
function placeOf(names: Names, subject: string): ReturnType<Names["parse"]> | undefined {
  try {
    return names.parse(subject);
  } catch {
    return undefined;
  }
}
