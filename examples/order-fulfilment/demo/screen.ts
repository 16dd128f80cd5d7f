/** Prints the demo: plain lines, in color only where a person looks at a terminal. */
import { inspect, styleText } from "node:util";
import type { Pool } from "contrail";

/** How a text stands out. */
export type Style = "good" | "bad" | "waiting" | "begin" | "strong" | "dim" | "plain";

/** A line of the timeline. */
export interface Line {
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly worker?: string | undefined;
  readonly pool?: Pool | undefined;
  readonly text: string;
  readonly style?: Style;
}

type Format = Parameters<typeof styleText>[0];

const FORMATS: { readonly [S in Exclude<Style, "plain">]: Format } = {
  good: "green",
  bad: "red",
  waiting: "yellow",
  begin: "cyan",
  strong: "bold",
  dim: "gray",
};
/** One for each worker, so that a run is seen to change places. */
const WORKER_FORMATS: readonly Format[] = ["magenta", "blueBright", "cyanBright", "yellowBright"];
const WIDTHS = { time: 8, worker: 8, slot: 7 } as const;
const MARGIN = "  ";
const ASIDE_INDENT: number = MARGIN.length + WIDTHS.time + 2;
const TEXT_INDENT: number = ASIDE_INDENT + WIDTHS.worker + WIDTHS.slot + 4;
const MOST_COLUMNS = 100;
const FEWEST_COLUMNS = 72;
/** Lines of several runs arrive on their own; within this time they are put in order. */
const ORDER_WITHIN_MS = 120;

/** Standard output. */
export class Screen {
  readonly #hasColor: boolean;
  readonly #columns: number;
  readonly #workers: string[] = [];
  #zero = 0;
  #lines: Line[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor() {
    const { stdout, env } = process;
    this.#hasColor = stdout.isTTY && stdout.getColorDepth() > 1 && !env.NO_COLOR;
    const columns = stdout.isTTY ? stdout.columns : MOST_COLUMNS;
    this.#columns = Math.max(FEWEST_COLUMNS, Math.min(columns, MOST_COLUMNS));
  }

  /** Prints a text, line by line. */
  say(text = "", style: Style = "plain"): void {
    this.flush();
    for (const line of text.split("\n"))
      this.#write(line === "" ? "" : MARGIN + this.#styled(line, style));
  }

  /** What follows is about this. */
  heading(text: string): void {
    this.say();
    for (const line of wrap(text, this.#columns - MARGIN.length)) this.say(line, "strong");
  }

  /** A line of a list: a name and what there is to say about it. */
  item(name: string, text: string): void {
    this.say(`${this.#styled(name.padEnd(12), "strong")} ${text}`);
  }

  /** A value as JavaScript. */
  value(value: unknown, style: Style): void {
    this.say(inspect(value, { depth: null, breakLength: this.#columns - 4, compact: 3 }), style);
  }

  /** Times of the timeline count from here. Prints the names of its columns. */
  beginTimeline(zero: number): void {
    this.#zero = zero;
    const { time, worker, slot } = WIDTHS;
    const names = ["time".padStart(time), "worker".padEnd(worker), "slot".padEnd(slot), "what"];
    this.say();
    this.say(names.join("  "), "dim");
  }

  /** A line of the timeline. It is printed within moments, in order of time. */
  line(line: Line): void {
    this.#lines.push(line);
    this.#timer ??= setTimeout(() => this.flush(), ORDER_WITHIN_MS);
  }

  /** What is said beside the timeline. */
  aside(text: string, style: Style = "plain"): void {
    this.flush();
    const lines = wrap(text, this.#columns - ASIDE_INDENT - 2);
    for (const [i, line] of lines.entries())
      this.#write(
        `${" ".repeat(ASIDE_INDENT)}${i === 0 ? "> " : "  "}${this.#styled(line, style)}`,
      );
  }

  /** A line to type. It is never broken. */
  command(text: string): void {
    this.#write(`${" ".repeat(ASIDE_INDENT + 2)}${this.#styled(text, "strong")}`);
  }

  /** Prints what waits to be put in order. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const lines = this.#lines.sort((a, b) => a.at - b.at);
    this.#lines = [];
    for (const line of lines) this.#printLine(line);
  }

  #printLine({ at, worker = "", pool, text, style = "plain" }: Line): void {
    const time = `${((at - this.#zero) / 1000).toFixed(2)} s`.padStart(WIDTHS.time);
    const head = [
      this.#styled(time, "dim"),
      this.#worker(worker),
      this.#styled((pool ?? "").padEnd(WIDTHS.slot), "dim"),
    ].join("  ");
    const [first = "", ...rest] = wrap(text, this.#columns - TEXT_INDENT);
    this.#write(`${MARGIN}${head}  ${this.#styled(first, style)}`);
    for (const part of rest)
      this.#write(`${" ".repeat(TEXT_INDENT + 2)}${this.#styled(part, style)}`);
  }

  #worker(name: string): string {
    const text = name.padEnd(WIDTHS.worker);
    if (name === "" || !this.#hasColor) return text;
    if (!this.#workers.includes(name)) this.#workers.push(name);
    const format = WORKER_FORMATS[this.#workers.indexOf(name) % WORKER_FORMATS.length];
    return styleText(format as Format, text);
  }

  #styled(text: string, style: Style): string {
    return style === "plain" || !this.#hasColor ? text : styleText(FORMATS[style], text);
  }

  #write(line: string): void {
    process.stdout.write(`${line}\n`);
  }
}

/** Breaks a text between words. All lines but the first leave two columns for an indent. */
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
