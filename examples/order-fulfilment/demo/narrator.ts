/** Tells on the screen what happens to a run and its children, as it happens. */
import { type Client, type RunHandle, type RunView, type TimelineRow, timelineOf } from "contrail";
import type { Screen, Style } from "./screen.ts";

/** What is told of a run besides its rows. */
export interface RunEvents {
  /** The run has given its slot back and waits. */
  readonly onEvicted?: (view: RunView) => void;
}

const STYLES: { readonly [K in TimelineRow["kind"]]?: Style } = {
  claimed: "begin",
  step: "good",
  wait: "waiting",
  evicted: "waiting",
  paused: "bad",
  ended: "good",
};
/** Rows that say more to a program than to somebody who watches. */
const CHILD_ROWS: readonly TimelineRow["kind"][] = ["step", "paused", "ended"];
const SHORTEST_SHOWN_MS = 50;

/** Follows runs and prints their timelines. */
export class Narrator {
  readonly #client: Client;
  readonly #screen: Screen;
  readonly #signal: AbortSignal;
  readonly #nameOf: (workerId: string) => string;
  readonly #children: Set<string> = new Set();
  readonly #telling: Set<Promise<void>> = new Set();

  /** @param nameOf The short name of a worker, for people. */
  constructor(
    { client, screen, signal }: { client: Client; screen: Screen; signal: AbortSignal },
    nameOf: (workerId: string) => string,
  ) {
    this.#client = client;
    this.#screen = screen;
    this.#signal = signal;
    this.#nameOf = nameOf;
  }

  /** Tells of a run to its end. Returns its last view. */
  async tell(run: RunHandle, events: RunEvents = {}): Promise<RunView> {
    let shown = 0;
    let last: RunView | undefined;
    for await (const view of run.follow({ signal: this.#signal })) {
      last = view;
      const rows = timelineOf(view);
      for (const row of together(rows.slice(shown))) this.#show(row);
      const isWaiting = view.state.status === "waiting" && rows.length > shown;
      shown = rows.length;
      this.#followChildren(view);
      if (isWaiting) events.onEvicted?.(view);
    }
    await Promise.all(this.#telling);
    this.#screen.flush();
    return last as RunView;
  }

  #show(row: TimelineRow, prefix = ""): void {
    const { at, worker, pool, kind, durationMs = 0 } = row;
    const took = durationMs < SHORTEST_SHOWN_MS ? "" : `, ${durationMs} ms`;
    const text = this.#shorten(`${prefix}${row.text}${took}`);
    const name = worker === undefined ? "" : this.#nameOf(worker);
    this.#screen.line({ at, worker: name, pool, text, style: STYLES[kind] ?? "plain" });
  }

  /** Writes the names of workers instead of their ids. */
  #shorten(text: string): string {
    return text.replace(/\bworker-[A-Za-z]-[\w-]{6}/g, (id) => this.#nameOf(id));
  }

  #followChildren({ commits }: RunView): void {
    for (const { entries } of commits)
      for (const entry of entries)
        if (entry.kind === "wait-opened" && entry.condition.kind === "child")
          this.#followChild(entry.condition.taskName, entry.condition.runId);
  }

  #followChild(taskName: string, runId: string): void {
    const key = `${taskName}/${runId}`;
    if (this.#children.has(key)) return;
    this.#children.add(key);
    const told = this.#tellChild(this.#client.get(taskName, runId)).finally(() =>
      this.#telling.delete(told),
    );
    this.#telling.add(told);
  }

  async #tellChild(child: RunHandle): Promise<void> {
    let shown = 0;
    for await (const view of child.follow({ signal: this.#signal })) {
      const rows = timelineOf(view);
      const prefix = `child ${view.taskName} ${JSON.stringify(view.input)} `;
      for (const row of rows.slice(shown))
        if (CHILD_ROWS.includes(row.kind)) this.#show(row, prefix);
      shown = rows.length;
    }
  }
}

/** Several waits that begin in one moment, or several things that happen, become one row. */
function together(rows: readonly TimelineRow[]): TimelineRow[] {
  const result: TimelineRow[] = [];
  let count = 1;
  for (const row of rows) {
    const last = result.at(-1);
    const isSame = last?.kind === row.kind && last.at === row.at;
    if (!last || !isSame || (row.kind !== "wait" && row.kind !== "happened")) {
      result.push(row);
      count = 1;
      continue;
    }
    count++;
    const text =
      row.kind === "wait" ? `waits for ${count} children` : `${count} children have ended`;
    result[result.length - 1] = { ...last, text };
  }
  return result;
}
