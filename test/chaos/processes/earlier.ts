/** What earlier lives of a client left unfinished when they were killed. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** What a client has to go on with. */
export interface EarlierLives {
  /** Runs that they asked to start and did not see end. */
  readonly unfinished: readonly string[];
  /** Ids of the events that are surely published. */
  readonly published: ReadonlySet<string>;
}

interface Line {
  readonly op: string;
  readonly edge: string;
  readonly runId?: string;
  readonly payload?: { readonly id?: string };
}

/** Reads it from what they recorded. */
export function readEarlier(folder: string, lane: string): EarlierLives {
  const asked = new Set<string>();
  const ended = new Set<string>();
  const published = new Set<string>();
  const files = readdirSync(folder).filter((file) => file.startsWith(`operations-${lane}.`));
  for (const text of files.flatMap((file) =>
    readFileSync(join(folder, file), "utf8").split("\n"),
  )) {
    const { op, edge, runId = "", payload } = parse(text) ?? {};
    if (op === "start" && runId !== "") asked.add(runId);
    if (op === "result" && (edge === "ok" || edge === "failed")) ended.add(runId);
    if (op === "publish" && edge === "ok") published.add(payload?.id ?? "");
  }
  return { unfinished: [...asked].filter((runId) => !ended.has(runId)), published };
}

/** The last line of a process that was killed may be torn. */
function parse(text: string): Line | undefined {
  try {
    return JSON.parse(text) as Line;
  } catch {
    return undefined;
  }
}
