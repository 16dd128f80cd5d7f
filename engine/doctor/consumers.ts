/** The consumer groups of the tasks: as they have to be, on every shard, and with workers. */
import { differencesOf, differenceText } from "../../shared/jetstream/admin.ts";
import { type ConsumerInfo, callApi, errorOf } from "../../shared/jetstream/api.ts";
import type { NatsLink } from "../../shared/jetstream/connection.ts";
import { toServerConsumer } from "../../shared/jetstream/server-config.ts";
import { taskConsumerConfig } from "../../shared/jetstream/task-consumer.ts";
import type { NamespaceSetup } from "../../shared/setup.ts";
import { decodeToken } from "../../shared/subjects.ts";
import type { Finding } from "./findings.ts";

interface Consumer extends Pick<ConsumerInfo, "name" | "config"> {
  readonly shard: number;
  readonly waitingRequests: number;
  readonly pendingTokens: number;
  readonly heldTokens: number;
}

/** The consumers from an offset on, as many as the server sends at once. */
interface ConsumerPage {
  readonly total: number;
  readonly consumers: readonly ConsumerInfo[];
}

/** One finding for each task that a worker has ever registered. */
export async function findConsumers(link: NatsLink, setup: NamespaceSetup): Promise<Finding[]> {
  const shards = Array.from({ length: setup.shardCount }, (_, shard) => shard);
  const lists = await Promise.all(shards.map((shard) => listConsumers(link, setup, shard)));
  const byTask = new Map<string, Consumer[]>();
  for (const consumer of lists.flat()) {
    const taskName = taskOf(consumer);
    if (taskName === undefined) continue; // a follower of somebody, gone by itself later
    const group = byTask.get(taskName);
    if (group) group.push(consumer);
    else byTask.set(taskName, [consumer]);
  }
  return [...byTask]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([taskName, consumers]) => findTask(setup, taskName, consumers));
}

async function listConsumers(
  link: NatsLink,
  { names }: NamespaceSetup,
  shard: number,
): Promise<Consumer[]> {
  const consumers: Consumer[] = [];
  for (let total = 1; consumers.length < total; ) {
    const subject = `CONSUMER.LIST.${names.logStream(shard)}`;
    const request = { offset: consumers.length };
    const answer = await callApi<ConsumerPage>(link.requests, subject, request);
    const { consumers: page = [], total: count = 0 } = answer;
    if (errorOf(answer) || page.length === 0) break; // a stream that is missing is told of there
    total = count;
    for (const { name, config, ...info } of page)
      consumers.push({
        ...{ shard, name, config },
        waitingRequests: info.num_waiting,
        pendingTokens: info.num_pending,
        heldTokens: info.num_ack_pending,
      });
  }
  return consumers;
}

/** Whose group it is. Names that are too long for a consumer stand in its description alone. */
export function taskOf({ name, config }: Pick<Consumer, "name" | "config">): string | undefined {
  if (!name.startsWith("task-")) return undefined;
  try {
    const described = /^Tokens of task (".*")$/s.exec(config.description ?? "")?.[1];
    if (described !== undefined) return JSON.parse(described) as string;
    return decodeToken(name.slice("task-".length));
  } catch {
    return undefined; // somebody else's consumer
  }
}

function findTask(
  { names, shardCount, claimTimeoutMs }: NamespaceSetup,
  taskName: string,
  consumers: readonly Consumer[],
): Finding {
  const sum = (of: (consumer: Consumer) => number): number =>
    consumers.reduce((total, consumer) => total + of(consumer), 0);
  const counts = {
    waitingRequests: sum((consumer) => consumer.waitingRequests),
    pendingTokens: sum((consumer) => consumer.pendingTokens),
    heldTokens: sum((consumer) => consumer.heldTokens),
  };
  const finding = (verdict: Finding["verdict"], text: string, details: object = {}): Finding => ({
    check: "consumer",
    verdict,
    message: `Task ${JSON.stringify(taskName)} ${text}`,
    details: { task: taskName, ...counts, ...details },
  });
  const differences = consumers.flatMap(({ shard, config }) => {
    const wanted = taskConsumerConfig({ names, taskName, shard, claimTimeoutMs });
    return differencesOf(toServerConsumer(wanted), config)
      .filter(({ field }) => field !== "description")
      .map((difference) => ({ shard, ...difference }));
  });
  if (differences.length > 0) {
    const list = differences.map((difference) =>
      differenceText(difference, ` on shard ${difference.shard}`),
    );
    return finding("problem", `has a consumer that is not as expected: ${list.join("; ")}.`, {
      differences,
    });
  }
  const there = new Set(consumers.map(({ shard }) => shard));
  const missing = Array.from({ length: shardCount }, (_, shard) => shard).filter(
    (shard) => !there.has(shard),
  );
  if (missing.length > 0)
    return finding(
      "problem",
      `has no consumer on shard ${missing.join(", ")}: its runs there wait until a worker that registered it starts.`,
      { missing },
    );
  const { pendingTokens, heldTokens, waitingRequests } = counts;
  if (pendingTokens > 0 && waitingRequests === 0)
    return finding(
      "note",
      `has ${pendingTokens} tokens that no worker asks for: none with a free slot runs, or all are busy.`,
    );
  return finding(
    "ok",
    `is as expected on ${shardCount} shards: ${pendingTokens} tokens queued, ${heldTokens} at workers, ${waitingRequests} requests for more.`,
  );
}
