/**
 * What the command prints: data to stdout, messages to stderr; as text, or with `--json` as one
 * object a line.
 */
import {
  ContrailError,
  InvalidInputError,
  type LogFields,
  type LogSink,
} from "../../shared/index.ts";
import { jsonText, printable } from "./format.ts";

/** How to print. */
export interface OutputOptions {
  readonly json: boolean;
  /** Only data, warnings and errors. */
  readonly quiet: boolean;
  /** Errors with their stacks and causes. */
  readonly debug: boolean;
}

/** Exit codes; the only ones. */
export const EXIT = { done: 0, failed: 1, usage: 2 } as const;

/** An object on one line of `--json`. The names of its fields are stable. */
export type JsonLine = Readonly<Record<string, unknown>>;

/** Prints for one command; also where workers and engines of this process log. */
export class Output implements LogSink {
  readonly options: OutputOptions;

  constructor(options: OutputOptions) {
    this.options = options;
  }

  /** Prints what was asked for. The text may have several lines and is printed as it is. */
  data(text: string, json: JsonLine): void {
    process.stdout.write(`${this.options.json ? jsonText(json) : text}\n`);
  }

  /** Prints what people were told already, for programs. */
  onlyJson(json: JsonLine): void {
    if (this.options.json) process.stdout.write(`${jsonText(json)}\n`);
  }

  /** Prints rows: as one table, or as one object each. */
  rows<Row>(
    rows: readonly Row[],
    { text, json }: { text(rows: readonly Row[]): string; json(row: Row): JsonLine },
  ): void {
    if (!this.options.json) process.stdout.write(`${text(rows)}\n`);
    else for (const row of rows) process.stdout.write(`${jsonText(json(row))}\n`);
  }

  /** Tells people what happens. Programs that read JSON are not told. */
  note(text: string): void {
    if (!this.options.quiet && !this.options.json) process.stderr.write(`${text}\n`);
  }

  /** Tells why the command failed: code, what happened and what to do. */
  fail(error: unknown): void {
    const { code, message } = describeError(error);
    const { json, debug } = this.options;
    const details = debug ? stackOf(error) : undefined;
    if (json) {
      const line = { error: code, message, ...(details === undefined ? {} : { stack: details }) };
      process.stderr.write(`${jsonText(line)}\n`);
    } else
      process.stderr.write(`error ${code}: ${lines(message)}\n${details ? `${details}\n` : ""}`);
  }

  debug(message: string, fields?: LogFields): void {
    if (this.options.debug) this.#log("debug", message, fields);
  }

  info(message: string, fields?: LogFields): void {
    if (!this.options.quiet) this.#log("info", message, fields);
  }

  warn(message: string, fields?: LogFields): void {
    this.#log("warn", message, fields);
  }

  error(message: string, fields?: LogFields): void {
    this.#log("error", message, fields);
  }

  #log(level: string, message: string, fields: LogFields = {}): void {
    const flat = Object.fromEntries(
      Object.entries(fields).map(([name, value]) => [name, this.#field(value)]),
    );
    if (this.options.json) {
      process.stderr.write(`${jsonText({ ...flat, level, message })}\n`);
      return;
    }
    const shown = Object.entries(forPeople(flat)).map(
      ([name, value]) =>
        `${name}=${typeof value === "string" ? printable(value) : jsonText(value)}`,
    );
    process.stderr.write(`${level.padEnd(5)} ${[printable(message), ...shown].join(" ")}\n`);
  }

  #field(value: unknown): unknown {
    if (!(value instanceof Error)) return value;
    return this.options.debug ? stackOf(value) : `${value.name}: ${value.message}`;
  }
}

/** What an error is called, what it says, and which exit code it means. */
export function describeError(error: unknown): {
  readonly code: string;
  readonly message: string;
  readonly exitCode: number;
} {
  if (error instanceof ContrailError) {
    const exitCode = error instanceof InvalidInputError ? EXIT.usage : EXIT.failed;
    return { code: error.code, message: error.message, exitCode };
  }
  const message = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return { code: "unexpected", message: `${message} (--debug shows where)`, exitCode: EXIT.failed };
}

/** A run by its address, as commands take it. Whose output this is, people see. */
function forPeople(fields: LogFields): LogFields {
  const { taskName, runId, worker, ...others } = fields;
  if (typeof taskName !== "string" || typeof runId !== "string") return fields;
  return { ...others, run: `${taskName}/${runId}` };
}

/** Most messages have one line; those of a server that does not start end with its log. */
function lines(message: string): string {
  return message.split("\n").map(printable).join("\n");
}

function stackOf(error: unknown): string {
  const stacks: string[] = [];
  for (let at = error; at instanceof Error && stacks.length < 8; at = at.cause)
    stacks.push(at.stack ?? `${at.name}: ${at.message}`);
  return stacks.join("\ncaused by ");
}
