/** Reads the directory of a chaos run: what clients asked for, what steps did, what was broken, what is stored. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Line } from "./wire.ts";

/** One edge of an operation of a client. Without a second edge its outcome is unknown. */
export interface Operation {
  readonly id: string;
  readonly at: number;
  readonly edge: "invoke" | "ok" | "failed" | "unknown";
  readonly op: string;
  readonly taskName?: string;
  readonly runId?: string;
  readonly key?: string;
  readonly eventName?: string;
  readonly payload?: unknown;
  readonly value?: { readonly sequence?: number; readonly output?: unknown };
  readonly error?: { readonly name?: string; readonly code?: string };
}

/** What the code of a step wrote when it began or ended. */
export interface Effect {
  readonly at: number;
  readonly process: string;
  readonly taskName: string;
  readonly runId: string;
  readonly step: string;
  readonly attempt: number;
  readonly phase: "begin" | "end" | "failed";
  /** The step's fencing token: where the history ended when it began. */
  readonly token?: string;
  readonly value?: unknown;
}

/** Something that was broken, or mended again. */
export interface Fault {
  readonly id: string | number;
  readonly at: number;
  readonly edge: "begin" | "end";
  readonly family: string;
  readonly kind: string;
  readonly target: string;
  readonly detail?: { readonly sequence?: number; readonly sequences?: readonly number[] };
}

/** A life of a process began, was ready, or ended. */
export interface Life {
  readonly at: number;
  readonly edge: "start" | "ready" | "exit";
  readonly process: string;
  readonly role: string;
  /** Of a worker its id. */
  readonly name?: string;
  readonly slots?: { readonly regular?: number; readonly durable?: number };
  readonly expected?: boolean;
  readonly signal?: string | null;
  readonly code?: number | null;
}

/** A record of held slots as it was written. */
export interface Lease {
  readonly at: number;
  readonly key: string;
  readonly bucket: string;
  readonly operation: string;
  readonly value?: {
    readonly worker: string;
    readonly capacity: number;
    readonly held: readonly {
      readonly task: string;
      readonly run: string;
      readonly since: string;
    }[];
  };
}

/** What the runner says of the whole. */
export interface Summary {
  readonly seed: string | number;
  readonly topology: string;
  readonly minutes: number;
  readonly faults: readonly string[];
  readonly namespace: string;
  readonly startedAt: number;
  readonly healedAt?: number;
  readonly endedAt: number;
  readonly ended: string;
  readonly reason?: string;
  readonly command?: string;
  readonly settings: {
    readonly claimTimeoutMs: number;
    readonly slots?: { readonly regular: number; readonly durable: number };
  };
}

/** A run that `contrail list` shows as not ended. */
export interface Listed {
  readonly taskName: string;
  readonly runId: string;
  readonly status: string;
  readonly why?: string;
}

/** Everything that is known of a chaos run. */
export interface Evidence {
  readonly path: string;
  readonly summary: Summary;
  readonly operations: readonly Operation[];
  readonly effects: readonly Effect[];
  readonly faults: readonly Fault[];
  readonly lives: readonly Life[];
  readonly leases: readonly Lease[];
  readonly listed: readonly Listed[] | undefined;
  /** What every stream holds at the end, by its name, in the order of its sequences. */
  readonly dump: ReadonlyMap<string, readonly Line[]>;
  /** What was seen to be stored while it ran. */
  readonly live: ReadonlyMap<string, readonly Line[]>;
}

/** Reads a directory. @throws {Error} When it has no `run.json`. */
export function readEvidence(path: string): Evidence {
  const all = <T extends { readonly at: number }>(prefix: string): T[] =>
    namesIn(path)
      .filter((name) => name.startsWith(prefix) && name.endsWith(".jsonl"))
      .flatMap((name) => linesOf<T>(join(path, name)))
      .sort((a, b) => a.at - b.at);
  const listed = join(path, "dump", "runs.json");
  return {
    path,
    summary: JSON.parse(readFileSync(join(path, "run.json"), "utf8")) as Summary,
    operations: all("operations"),
    effects: all("effects"),
    faults: all("faults"),
    lives: all("processes"),
    leases: all("leases"),
    listed: existsSync(listed) ? (JSON.parse(readFileSync(listed, "utf8")) as Listed[]) : undefined,
    dump: streamsIn(join(path, "dump")),
    live: streamsIn(join(path, "live")),
  };
}

function streamsIn(path: string): Map<string, Line[]> {
  const names = namesIn(path).filter((name) => name.endsWith(".jsonl"));
  return new Map(
    names.map((name) => {
      const lines = linesOf<Line>(join(path, name));
      return [name.slice(0, -".jsonl".length), lines.sort((a, b) => a.sequence - b.sequence)];
    }),
  );
}

function namesIn(path: string): string[] {
  return existsSync(path) ? readdirSync(path) : [];
}

/** A killed process may have left half of its last line. */
function linesOf<T>(path: string): T[] {
  return readFileSync(path, "utf8")
    .split("\n")
    .flatMap((line) => {
      try {
        return line === "" ? [] : [JSON.parse(line) as T];
      } catch {
        return [];
      }
    });
}
