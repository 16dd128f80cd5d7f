/**
 * Which runs of a task a worker that starts cannot go on with: they have another version. Looks at the
 * last message of so many histories, headers only; tells, and changes nothing.
 */
import type { NatsLink } from "../shared/jetstream/connection.ts";
import { follow } from "../shared/jetstream/follower.ts";
import type { StoredMessage } from "../shared/jetstream/reader.ts";
import type { LogSink } from "../shared/logger.ts";
import type { NamespaceSetup } from "../shared/setup.ts";
import { encodeToken, type Names, STATUS_HEADER, VERSION_HEADER } from "../shared/subjects.ts";
import { type TaskVersions, versionsText } from "./task-versions.ts";

/** Histories of one task that are looked at, on each shard. */
const HISTORIES = 5_000;
/** Runs that are named. */
const EXAMPLES = 3;
/** A run with this status goes on at some time, or may be made to. */
const OPEN: ReadonlySet<string | undefined> = new Set(["running", "waiting", "paused"]);

/** What to look through, and whom to tell. */
export interface ForeignRunsOptions {
  readonly link: NatsLink;
  readonly log: LogSink;
  readonly setup: NamespaceSetup;
  readonly versions: TaskVersions;
  /** Ends the look. */
  readonly signal: AbortSignal;
}

/** Runs of one version. */
interface Found {
  count: number;
  readonly examples: string[];
}

/** Writes one line about the runs that cannot go on here, or none when there are none. */
export async function tellForeignRuns(options: ForeignRunsOptions): Promise<void> {
  const { setup, versions, log, signal } = options;
  const found = new Map<string, Found>();
  const shards = Array.from({ length: setup.shardCount }, (_, shard) => shard);
  const looks = await Promise.all(shards.map((shard) => lookThrough(options, shard, found)));
  if (found.size === 0 || signal.aborted) return;
  const { name } = versions.newest;
  const isAll = !looks.includes(false);
  let count = 0;
  const texts = [...found].map(([version, runs]) => {
    count += runs.count;
    const examples = runs.examples.map((runId) => JSON.stringify(runId)).join(", ");
    return `${runs.count} with ${versionsText([version])}, such as ${examples}`;
  });
  log.warn(
    `${isAll ? "" : "At least "}${count} runs of task "${name}" cannot go on at this worker, which has ${versionsText(versions.versions)}: ${texts.join("; ")}. Keep a worker with their version until they have ended.`,
    { taskName: name, count, versions: Object.fromEntries(found), isAll },
  );
}

/** @returns Whether these were all histories. */
async function lookThrough(
  { link, setup, versions, signal }: ForeignRunsOptions,
  shard: number,
  found: Map<string, Found>,
): Promise<boolean> {
  const { names } = setup;
  const prefix = `${names.namespace}.log.${shard}.${encodeToken(versions.newest.name)}.*`;
  let count = 0;
  let stop: () => void = () => {};
  const stopped = new Promise<void>((resolve) => {
    stop = resolve;
  });
  const follower = follow(link, {
    stream: names.logStream(shard),
    subjects: [`${prefix}.h`, `${prefix}.c`],
    from: "last-per-subject",
    headersOnly: true,
    onMessage: (message) => {
      if (count >= HISTORIES) return stop();
      count++;
      note(message, versions, (version) => {
        const runs = found.get(version) ?? { count: 0, examples: [] };
        runs.count++;
        const runId = runIdOf(names, message.subject);
        if (runId !== undefined && runs.examples.length < EXAMPLES) runs.examples.push(runId);
        found.set(version, runs);
      });
    },
  });
  signal.addEventListener("abort", stop, { once: true });
  if (signal.aborted) stop();
  try {
    await Promise.race([follower.caughtUp, stopped]);
  } finally {
    signal.removeEventListener("abort", stop);
    await follower.close();
  }
  return count < HISTORIES;
}

/** Nobody's when somebody published where Contrail never does. */
function runIdOf(names: Names, subject: string): string | undefined {
  try {
    return names.parse(subject).runId;
  } catch {
    return undefined;
  }
}

function note(
  { headers }: StoredMessage,
  versions: TaskVersions,
  add: (version: string) => void,
): void {
  const version = headers.last(VERSION_HEADER) ?? "";
  if (OPEN.has(headers.last(STATUS_HEADER)) && !versions.forVersion(version)) add(version);
}
