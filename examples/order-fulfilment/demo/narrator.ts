/** Tells on the screen what happens to a run and its children, as it happens. */
import { type Client, type RunHandle, type RunView, type TimelineRow, timelineOf } from "contrail";
import type { Screen, Style } from "./screen.ts";

/** What a narrator needs. */
export interface NarratorParts {
  readonly client: Client;
  readonly screen: Screen;
  readonly signal: AbortSignal;
  /** The short name of a worker, for people. */
  readonly nameOf: (workerId: string) => string;
  /** The run has given its slot back and waits. */
  readonly onEvicted: (view: RunView) => void;
}

const STYLES: { readonly [K in TimelineRow["kind"]]?: Style } = {
  claimed: "begin",
  step: "good",
  wait: "waiting",
  evicted: "waiting",
  paused: "bad",
  ended: "good",
};
/** What is told of a child; the rest would be more than anybody can read. */
const CHILD_KINDS: readonly TimelineRow["kind"][] = ["step", "paused", "ended"];

/** Follows runs and prints their timelines. */
export class Narrator {
  readonly #parts: NarratorParts;
  readonly #children: Map<string, Promise<void>> = new Map();

  constructor(parts: NarratorParts) {
    this.#parts = parts;
  }

  /** Tells of a run to its end. Returns its last view. */
  async tell(run: RunHandle): Promise<RunView> {
    const { signal, screen, onEvicted } = this.#parts;
    let shown = 0;
    let last: RunView | undefined;
    for await (const view of run.follow({ signal })) {
      last = view;
      const rows = timelineOf(view);
      const isNew = rows.length > shown;
      for (const row of readable(rows.slice(shown))) this.#show(row);
      shown = rows.length;
      this.#tellChildren(view);
      if (isNew && view.state.status === "waiting") onEvicted(view);
    }
    await Promise.all(this.#children.values());
    screen.flush();
    return last as RunView;
  }

  #tellChildren({ commits }: RunView): void {
    for (const { entries } of commits)
      for (const entry of entries) {
        if (entry.kind !== "wait-opened" || entry.condition.kind !== "child") continue;
        const { taskName, runId } = entry.condition;
        const key = `${taskName}/${runId}`;
        if (!this.#children.has(key)) this.#children.set(key, this.#tellChild(taskName, runId));
      }
  }

  async #tellChild(taskName: string, runId: string): Promise<void> {
    const { client, signal } = this.#parts;
    let shown = 0;
    for await (const view of client.get(taskName, runId).follow({ signal })) {
      const rows = timelineOf(view);
      for (const row of rows.slice(shown))
        if (CHILD_KINDS.includes(row.kind))
          this.#show({
            ...row,
            text: `child ${taskName} ${JSON.stringify(view.input)} ${row.text}`,
          });
      shown = rows.length;
    }
  }

  #show({ at, worker, pool, kind, text, durationMs }: TimelineRow): void {
    const { screen, nameOf } = this.#parts;
    const took = durationMs === undefined ? "" : ` (${durationMs} ms)`;
    screen.line({
      at,
      worker: worker === undefined ? "" : nameOf(worker),
      pool,
      text: `${withNames(text, nameOf)}${took}`,
      style: STYLES[kind] ?? "plain",
    });
  }
}

/** Names of workers for their ids. */
function withNames(text: string, nameOf: (id: string) => string): string {
  return text.replace(/\bworker-[a-z]-[\w-]{6}/g, nameOf);
}

/** Rows as somebody reads them who sees this for the first time: what is of one commit, in one go. */
function readable(rows: readonly TimelineRow[]): TimelineRow[] {
  const result: TimelineRow[] = [];
  for (let i = 0; i < rows.length; ) {
    const { at } = rows[i] as TimelineRow;
    let end = i;
    while (rows[end]?.at === at) end++;
    result.push(...readableCommit(rows.slice(i, end)));
    i = end;
  }
  return result.map((row) => ({ ...row, text: shortened(row.text) }));
}

function readableCommit(rows: readonly TimelineRow[]): TimelineRow[] {
  const of = (kind: TimelineRow["kind"]) => rows.filter((row) => row.kind === kind);
  const [happened, waits] = [of("happened"), of("wait")];
  return rows.flatMap((row): TimelineRow[] => {
    switch (row.kind) {
      case "claimed": {
        // A first pass is not claimed: its first commit came when its first step had ended.
        if (row.text === "begins") return [{ ...row, at: row.at - (rows[1]?.durationMs ?? 0) }];
        const why = happened.length > 0 ? summary(happened) : row.text.replace(/^[^:]*: /, "");
        return [{ ...row, text: `${row.text.split(":")[0]}: ${why}` }];
      }
      case "happened":
        if (of("claimed").length > 0 || row !== happened[0]) return [];
        return [{ ...row, text: summary(happened) }];
      case "wait":
        if (waits.length === 1) return [row];
        return row === waits[0] ? [{ ...row, text: `waits for ${waits.length} children` }] : [];
      default:
        return [row];
    }
  });
}

function summary(happened: readonly TimelineRow[]): string {
  const texts = happened.map(({ text }) => text).filter((text) => !text.startsWith("child "));
  const childCount = happened.length - texts.length;
  if (childCount > 0)
    texts.push(childCount === 1 ? "a child has ended" : `${childCount} children have ended`);
  return texts.join(", ");
}

/** Says what matters to somebody who watches: how long instead of until when, and no numbers. */
function shortened(text: string): string {
  return text
    .replaceAll(/the time \S+ \(in ([^)]+)\)/g, "$1")
    .replace(/^resumes, after (\S+):/, "resumes where $1 stopped:")
    .replace(/, number \d+ of the events$/, "");
}
