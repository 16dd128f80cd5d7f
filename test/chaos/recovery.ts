/** How long it took to recover from what died, by what was recorded and dumped. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { decodeCommit, type StoredCommit } from "../../shared/entries.ts";
import type { DumpedMessage } from "./dump.ts";

/** Some times, in milliseconds. */
export interface Times {
  readonly count: number;
  readonly p50: number;
  readonly p99: number;
  readonly worst: number;
}

/** What was recovered from, and within how many milliseconds each time. */
export interface Recovery {
  /** From the death of a worker to the claim of a run that it held by another one. */
  readonly worker: readonly number[];
  /** From the death of the engine that led to the lead of another one. */
  readonly engine: readonly number[];
  /** From the death of a server that led a shard of the log to a write that the shard took. */
  readonly leader: readonly number[];
}

interface ProcessLine {
  readonly at: number;
  readonly edge: string;
  readonly process: string;
  readonly role: string;
  readonly name?: string;
  readonly signal?: string | null;
}

/** Reads it from the folder of a chaos run. */
export function recoveryOf(folder: string): Recovery {
  const processes = readLines<ProcessLine>(join(folder, "processes.jsonl"));
  const deaths = processes.filter(({ edge, signal }) => edge === "exit" && signal === "SIGKILL");
  return {
    worker: workerRecoveries(folder, deaths),
    engine: engineRecoveries(folder, deaths),
    leader: leaderRecoveries(folder),
  };
}

/** Lines of a file; a last one that is torn is left out. */
export function readLines<T>(file: string): T[] {
  if (!existsSync(file)) return [];
  const lines = readFileSync(file, "utf8").split("\n");
  return lines.flatMap((line) => {
    try {
      return [JSON.parse(line) as T];
    } catch {
      return [];
    }
  });
}

function workerRecoveries(folder: string, deaths: readonly ProcessLine[]): number[] {
  const diedAt = new Map(deaths.flatMap(({ name, at }) => (name ? [[name, at] as const] : [])));
  const found: number[] = [];
  for (const history of histories(folder)) {
    let holder = "";
    for (const { commit, timeMs } of history) {
      const takesOver = commit.entries.some(
        (entry) => entry.kind === "claimed" && entry.because === "takeover",
      );
      const died = diedAt.get(holder);
      if (takesOver && died !== undefined && timeMs > died) found.push(timeMs - died);
      holder = commit.pass.slice(0, commit.pass.lastIndexOf("/"));
    }
  }
  return found;
}

/** The commits of every run, in order; what cannot be read is left out. */
function histories(folder: string): { commit: StoredCommit; timeMs: number }[][] {
  const runs = new Map<string, { commit: StoredCommit; timeMs: number }[]>();
  const logs = readdirSync(join(folder, "dump")).filter((file) => /_LOG_\d+\.jsonl$/.test(file));
  for (const file of logs)
    for (const message of readLines<DumpedMessage>(join(folder, "dump", file))) {
      const { subject, sequence, timeMs } = message;
      if (!/\.[hc]$/.test(subject)) continue;
      try {
        const commit = decodeCommit(Buffer.from(message.data, "base64"), sequence, subject);
        runs.set(subject, [...(runs.get(subject) ?? []), { commit, timeMs }]);
      } catch {
        // whoever judges the run sees to it
      }
    }
  return [...runs.values()];
}

interface LogLine {
  readonly at: number;
  readonly message?: string;
}

function engineRecoveries(folder: string, deaths: readonly ProcessLine[]): number[] {
  const logs = readdirSync(join(folder, "logs")).filter((file) => file.startsWith("engine-"));
  const leads: number[] = [];
  const isLeadingAtEnd = new Set<string>();
  for (const file of logs) {
    let isLeading = false;
    for (const { at, message } of readLines<LogLine>(join(folder, "logs", file))) {
      if (message === "This engine leads.") leads.push(at);
      if (message?.startsWith("This engine")) isLeading = message === "This engine leads.";
    }
    if (isLeading) isLeadingAtEnd.add(file.replace(/\.log$/, ""));
  }
  leads.sort((a, b) => a - b);
  const outages = readLines<{ at: number; kind: string }>(join(folder, "faults.jsonl"));
  const isOutage = (at: number): boolean =>
    outages.some(
      (fault) =>
        /^(all-down|runs-without-engines)$/.test(fault.kind) && Math.abs(fault.at - at) < 1_000,
    );
  return deaths.flatMap(({ process, at }) => {
    if (isOutage(at)) return []; // nobody was there to take over
    const next = isLeadingAtEnd.has(process) ? leads.find((lead) => lead > at) : undefined;
    return next === undefined ? [] : [next - at];
  });
}

function leaderRecoveries(folder: string): number[] {
  const faults = readLines<{ edge: string; detail?: { recoveredMs?: number } }>(
    join(folder, "faults.jsonl"),
  );
  return faults.flatMap(({ edge, detail }) =>
    edge === "end" && detail?.recoveredMs !== undefined ? [detail.recoveredMs] : [],
  );
}

/** What many values come to. */
export function timesOf(values: readonly number[]): Times {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (share: number): number =>
    Math.round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0);
  return { count: sorted.length, p50: at(0.5), p99: at(0.99), worst: at(1) };
}
