/** Reads the directory of a chaos run: what clients asked for, what steps did, what was broken, what is stored. */
import { closeSync, existsSync, openSync, readdirSync, readFileSync, readSync } from "node:fs";
import { join } from "node:path";
import { StringDecoder } from "node:string_decoder";
import type { Line } from "./wire.ts";

/** Something that was written down when it began and when it ended, a line for each edge. */
interface Edge {
  readonly id: string | number;
  readonly at: number;
  readonly edge: string;
}

/** One edge of an operation of a client. */
export interface Operation extends Edge {
  readonly edge: "invoke" | "ok" | "failed" | "unknown";
  readonly op: string;
  readonly process: string;
  readonly taskName?: string;
  readonly runId?: string;
  readonly key?: string;
  readonly eventName?: string;
  readonly payload?: unknown;
  readonly value?: { readonly output?: unknown };
  readonly error?: { readonly code?: string };
}

/** What became of an operation. Without a second edge its outcome is unknown. */
export interface Told extends Operation {
  readonly invokedAt: number;
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

/** Something was broken, or mended again, or could not be broken. */
export interface Fault extends Edge {
  readonly edge: "begin" | "end" | "failed";
  readonly family: string;
  readonly kind: string;
  readonly target: string;
  readonly detail?: {
    readonly sequences?: readonly number[];
    readonly failed?: string;
    /** Of a partition: `namespace` when packets were lost. */
    readonly madeBy?: string;
  } | null;
}

/** A fault, and how long it lasted. */
export interface Span extends Fault {
  readonly from: number;
  readonly to: number;
}

/** A life of a process, by all that was written down when it began, was ready and ended. */
export interface Life {
  readonly process: string;
  readonly role: string;
  readonly from: number;
  /** Without an end of its own it lasts for ever. */
  readonly to: number;
  readonly isReady: boolean;
  /** Of a worker its id. */
  readonly name?: string;
  readonly slots?: { readonly regular?: number; readonly durable?: number };
  /** How it ended: because that was wanted, by a signal, or with a code. */
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
    readonly held: readonly Readonly<Record<"task" | "run" | "since", string>>[];
  };
}

/** What the runner says of the whole. */
export interface Summary {
  readonly seed: string | number;
  readonly topology: string;
  readonly minutes: number;
  readonly faults: readonly string[];
  readonly namespace: string;
  /** Who made partitions: `namespace` by losing packets, `proxies` by holding bytes back. */
  readonly network?: string;
  readonly startedAt: number;
  readonly healedAt?: number;
  /** When the list of runs was taken. */
  readonly listedAt?: number;
  readonly endedAt: number;
  readonly ended: string;
  /** Whether everything came to rest. */
  readonly quiet?: boolean;
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

/** A message that was seen to be stored. */
export type Seen = Pick<Line, "sequence" | "subject">;

/** Everything that is known of a chaos run. */
export interface Evidence {
  readonly path: string;
  readonly summary: Summary;
  readonly operations: readonly Operation[];
  readonly told: readonly Told[];
  readonly effects: readonly Effect[];
  readonly faults: readonly Fault[];
  readonly spans: readonly Span[];
  readonly lives: readonly Life[];
  readonly leases: readonly Lease[];
  /** When the machine was late with what was due, and by how much. */
  readonly slowness: readonly { readonly at: number; readonly lateMs: number }[];
  readonly listed: readonly Listed[] | undefined;
  /** Who holds slots when all workers are gone. */
  readonly slots: readonly { readonly worker: string }[] | undefined;
  /** What every stream holds at the end, by its name, in the order of its sequences. */
  readonly dump: ReadonlyMap<string, readonly Line[]>;
  /** What was seen to be stored while it ran. */
  readonly live: ReadonlyMap<string, readonly Seen[]>;
}

type LifeEdge = Life & Pick<Edge, "at" | "edge">;

/** Reads a directory. @throws {Error} When it has no `run.json`. */
export function readEvidence(path: string): Evidence {
  const all = <T extends { readonly at: number }>(prefix: string): T[] =>
    namesIn(path)
      .filter((name) => name.startsWith(prefix) && name.endsWith(".jsonl"))
      .flatMap((name) => linesOf<T>(join(path, name)))
      .sort((a, b) => a.at - b.at);
  const summary = JSON.parse(readFileSync(join(path, "run.json"), "utf8")) as Summary;
  const operations = all<Operation>("operations");
  const faults = all<Fault>("faults");
  const told = paired(operations, "invoke").map(([invoked, end]): Told => {
    return { ...invoked, edge: "unknown", ...end, invokedAt: invoked.at };
  });
  const spans = paired(faults, "begin").map(([fault, end]): Span => {
    return { ...fault, from: fault.at, to: end?.at ?? summary.endedAt };
  });
  return {
    ...{ path, summary, operations, told, faults, spans },
    effects: all("effects"),
    lives: [...groupBy(all<LifeEdge>("processes"), ({ process }) => process).values()].map(lifeOf),
    leases: all("leases"),
    slowness: all("slowness"),
    listed: jsonOf(join(path, "dump", "runs.json")),
    slots: jsonOf(join(path, "dump", "slots.json")),
    dump: streamsIn<Line>(join(path, "dump"), (line) => line),
    live: streamsIn<Seen>(join(path, "live"), ({ sequence, subject }) => ({ sequence, subject })),
  };
}

/** Lists by what they have in common. */
export function groupBy<T>(items: readonly T[], keyOf: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const group = groups.get(keyOf(item));
    if (group) group.push(item);
    else groups.set(keyOf(item), [item]);
  }
  return groups;
}

function lifeOf(edges: readonly LifeEdge[]): Life {
  const at = (edge: string): number | undefined => edges.find((each) => each.edge === edge)?.at;
  const from = edges[0]?.at ?? 0;
  const to = at("exit") ?? Number.POSITIVE_INFINITY;
  return Object.assign({}, ...edges, { from, to, isReady: at("ready") !== undefined }) as Life;
}

function paired<T extends Edge>(edges: readonly T[], first: T["edge"]): [T, T?][] {
  return [...groupBy(edges, ({ id }) => `${id}`).values()].flatMap((lines): [T, T?][] => {
    const begin = lines.find(({ edge }) => edge === first);
    return begin ? [[begin, ...lines.filter(({ edge }) => edge !== first)] as [T, T?]] : [];
  });
}

function streamsIn<T extends Seen>(path: string, keep: (line: Line) => T): Map<string, T[]> {
  const names = namesIn(path).filter((name) => name.endsWith(".jsonl"));
  return new Map(
    names.map((name) => {
      const lines = linesOf<Line, T>(join(path, name), keep);
      return [name.slice(0, -".jsonl".length), lines.sort((a, b) => a.sequence - b.sequence)];
    }),
  );
}

function jsonOf<T>(file: string): T | undefined {
  return existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as T) : undefined;
}

function namesIn(path: string): string[] {
  return existsSync(path) ? readdirSync(path) : [];
}

const PIECE_BYTES = 8 * 1024 * 1024;

/**
 * The lines of a file, a piece at a time: hours of chaos do not fit into one string. A killed process
 * may have left half of its last line.
 */
function linesOf<T, K = T>(
  path: string,
  keep: (line: T) => K = (line) => line as unknown as K,
): K[] {
  const file = openSync(path, "r");
  const found: K[] = [];
  const take = (line: string): void => {
    if (line === "") return;
    try {
      found.push(keep(JSON.parse(line) as T));
    } catch {
      // half a line
    }
  };
  const decoder = new StringDecoder("utf8");
  const piece = Buffer.alloc(PIECE_BYTES);
  let rest = "";
  for (let length = readSync(file, piece); length > 0; length = readSync(file, piece)) {
    const lines = (rest + decoder.write(piece.subarray(0, length))).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) take(line);
  }
  take(rest + decoder.end());
  closeSync(file);
  return found;
}
