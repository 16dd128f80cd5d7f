/** Whether the streams of a namespace are as they have to be, field by field, and have a leader. */
import { differencesOf, differenceText } from "../../shared/jetstream/admin.ts";
import {
  type ApiAnswer,
  type ClusterInfo,
  callApi,
  errorOf,
  isMissing,
  type StreamInfo,
} from "../../shared/jetstream/api.ts";
import type { NatsLink } from "../../shared/jetstream/connection.ts";
import { toServerStream } from "../../shared/jetstream/server-config.ts";
import { EVENTS_KEEP_MS } from "../../shared/limits.ts";
import type { NamespaceSetup } from "../../shared/setup.ts";
import { type ExpectedStream, expectedStreams } from "../setup.ts";
import type { Finding } from "./findings.ts";
import { bytesText } from "./server.ts";

/** One finding for each stream, those behind the buckets too. */
export async function findStreams(link: NatsLink, setup: NamespaceSetup): Promise<Finding[]> {
  const expected = expectedStreams({ ...setup, replicas: 1, eventsKeepMs: EVENTS_KEEP_MS });
  return Promise.all(expected.map((stream) => findStream(link, stream)));
}

async function findStream(link: NatsLink, { config, mayDiffer }: ExpectedStream): Promise<Finding> {
  const { name } = config;
  const answer = await callApi<StreamInfo>(link.requests, `STREAM.INFO.${name}`, undefined);
  const problem = (message: string, details: object = {}): Finding => ({
    check: "stream",
    verdict: "problem",
    message: `Stream ${name} ${message}`,
    details: { stream: name, ...details },
  });
  if (isMissing(answer))
    return problem('is missing. "contrail setup" makes it again, without what was in it.', {
      isMissing: true,
    });
  const error = errorOf(answer);
  if (error) return problem(`cannot be seen: ${error.description} (${error.err_code}).`);
  const found = answer.config ?? {};
  const differences = differencesOf(toServerStream(config), found).filter(
    ({ field }) => !mayDiffer.includes(field),
  );
  if (differences.length > 0) {
    const list = differences.map((difference) => differenceText(difference));
    return problem(`is not as expected: ${list.join("; ")}.`, { differences });
  }
  const replicas = replicaProblems(answer.cluster);
  if (replicas.length > 0) return problem(`${replicas.join("; ")}.`, { replicas });
  return asExpected(name, answer);
}

function asExpected(name: string, { state, config }: ApiAnswer<StreamInfo>): Finding {
  const { messages = 0, bytes = 0 } = state ?? {};
  const replicas = config?.num_replicas ?? 1;
  return {
    check: "stream",
    verdict: "ok",
    message: `Stream ${name} is as expected: ${counted(messages, "message")}, ${bytesText(bytes)}, on ${counted(replicas, "server")}.`,
    details: { stream: name, messages, bytes, replicas },
  };
}

/** What is wrong with the servers that hold a stream. Outside a cluster nothing is said. */
function replicaProblems(cluster: ClusterInfo | undefined): string[] {
  if (!cluster) return [];
  const problems = cluster.leader ? [] : ["has no leader, so nothing can be written to it"];
  for (const { name, current, offline, lag } of cluster.replicas ?? []) {
    if (offline) problems.push(`misses server ${name}, which is offline`);
    else if (!current) problems.push(`has a replica on ${name} that is ${lag ?? 0} behind`);
  }
  return problems;
}

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? "" : "s"}`;
}
