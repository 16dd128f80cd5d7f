/** Prints the demo: plain lines, in color only where a person looks at a terminal. */
import { styleText } from "node:util";
import type { Pool } from "contrail";

/** A line of the timeline. */
export interface Line {
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly worker?: string | undefined;
  readonly pool?: Pool | undefined;
  readonly text: string;
  readonly style?: Style;
}

/** How a text stands out. */
export type Style = "good" | "bad" | "waiting" | "begin" | "dim" | "plain";

type Format = Parameters<typeof styleText>[0];

const FORMATS: { readonly [S in Exclude<Style, "plain">]: Format } = {
  good: "green",
  bad: "red",
  waiting: "yellow",
  begin: "cyan",
  dim: "gray",
};
const WIDTHS = { time: 8, worker: 10, pool: 9 } as const;
const MARGIN = "  ";
const INDENT: string = " ".repeat(MARGIN.length + WIDTHS.time + WIDTHS.worker + WIDTHS.pool + 6);
const MOST_COLUMNS = 100;
const FEWEST_COLUMNS = 72;
/** Lines of several runs arrive on their own; within this time they are put in order. */
const ORDER_WITHIN_MS = 120;

/** Standard output. */
export class Screen {
  readonly #hasColor: boolean;
  readonly #columns: number;
  #zero = 0;
  #lines: Line[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor() {
    const { stdout, env } = process;
    this.#hasColor = stdout.isTTY && stdout.getColorDepth() > 1 && !env["NO_COLOR"];
    const columns = stdout.isTTY ? stdout.columns : MOST_COLUMNS;
    this.#columns = Math.max(FEWEST_COLUMNS, Math.min(columns, MOST_COLUMNS));
  }

  /** A line by itself. */
  say(text = "", style: Style = "plain"): void {
    this.flush();
    for (const line of text.split("\n"))
      process.stdout.write(line === "" ? "\n" : `${MARGIN}${this.#styled(line, style)}\n`);
  }

  /** A line of a list: a name and what there is to say about it. */
  item(name: string, text: string): void {
    this.say(`${this.#styled(name.padEnd(12), "begin")} ${text}`);
  }

  heading(text: string): void {
    this.say();
    this.say(this.#hasColor ? styleText("bold", text) : text);
  }

  /** Times of the timeline count from here; prints the names of its columns. */
  beginTimeline(zero: number): void {
    this.#zero = zero;
    const { time, worker, pool } = WIDTHS;
    const names = ["time".padStart(time), "worker".padEnd(worker), "slot".padEnd(pool), "what"];
    this.say();
    this.say(names.join("  "), "dim");
  }

  /** A line of the timeline. It is printed within moments, in order of time. */
  line(line: Line): void {
    this.#lines.push(line);
    this.#timer ??= setTimeout(() => this.flush(), ORDER_WITHIN_MS);
  }

  /** What is said beside the timeline, where its texts stand. */
  aside(text: string, style: Style = "plain"): void {
    this.flush();
    for (const line of text.split("\n"))
      process.stdout.write(`${INDENT}${this.#styled(line, style)}\n`);
  }

  /** Prints what waits to be put in order. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const lines = this.#lines.sort((a, b) => a.at - b.at);
    this.#lines = [];
    for (const line of lines) this.#print(line);
  }

  #print({ at, worker = "", pool, text, style = "plain" }: Line): void {
    const time = `${((at - this.#zero) / 1000).toFixed(2)} s`.padStart(WIDTHS.time);
    const head = [
      this.#styled(time, "dim"),
      worker.padEnd(WIDTHS.worker),
      this.#styled((pool ?? "").padEnd(WIDTHS.pool), "dim"),
    ].join("  ");
    const [first = "", ...rest] = wrap(text, this.#columns - INDENT.length);
    process.stdout.write(`${MARGIN}${head}  ${this.#styled(first, style)}\n`);
    for (const part of rest) process.stdout.write(`${INDENT}${this.#styled(`  ${part}`, style)}\n`);
  }

  #styled(text: string, style: Style): string {
    return style === "plain" || !this.#hasColor ? text : styleText(FORMATS[style], text);
  }
}

/** Breaks a text between words, leaving two columns for the indent of what follows. */
function wrap(text: string, columns: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    const room = lines.length === 0 ? columns : columns - 2;
    if (line !== "" && line.length + 1 + word.length > room) {
      lines.push(line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return [...lines, line];
}
