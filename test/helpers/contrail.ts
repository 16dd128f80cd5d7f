/** The `contrail` command as users run it: the compiled program in a process of its own. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import type { ExecutionContext } from "ava";
import { temporaryFolder } from "./folders.ts";
import { until } from "./until.ts";

const MAIN = resolve("dist/engine/cli/main.js");
/** What this process was given must not decide what the command does. */
const FOREIGN = /^(?:NATS_|CONTRAIL_(?!NATS_SERVER|CACHE_DIR))/;

/** How to run the command. */
export interface CommandOptions {
  readonly cwd: string;
  /** Given as NATS_URL. */
  readonly server?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** What it reads from standard input. Default nothing. */
  readonly stdin?: string;
}

/** What a command came to. */
export interface CommandResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** An object on a line of `--json`. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** Tests of one file run at once, and their commands would be too many for a small machine. */
const AT_ONCE = 2;
const queue: (() => void)[] = [];
let runningCount = 0;

/** Runs the command to its end, in its turn. */
export async function contrail(
  args: readonly string[],
  options: CommandOptions,
): Promise<CommandResult> {
  if (runningCount === AT_ONCE) await new Promise<void>((resolve) => queue.push(resolve));
  else runningCount++;
  try {
    return await new RunningCommand(args, options).ended;
  } finally {
    const next = queue.shift();
    if (next) next();
    else runningCount--;
  }
}

/** Starts the command; it is killed with the test. */
export function startContrail(
  t: Pick<ExecutionContext, "teardown">,
  args: readonly string[],
  options: CommandOptions,
): RunningCommand {
  const command = new RunningCommand(args, options);
  t.teardown(async () => {
    command.signal("SIGKILL");
    await command.ended;
  });
  return command;
}

/** The lines of `--json`. */
export function jsonLines(text: string): JsonObject[] {
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as JsonObject);
}

/** A folder that a user works in: with these files, and with this package installed. */
export function projectFolder(
  t: ExecutionContext,
  files: Readonly<Record<string, string>>,
): string {
  const folder = temporaryFolder(t);
  mkdirSync(join(folder, "node_modules"));
  symlinkSync(process.cwd(), join(folder, "node_modules", "contrail"));
  writeFiles(folder, { "package.json": '{"type":"module"}', ...files });
  return folder;
}

/** Writes files into a folder, with the folders above them. */
export function writeFiles(folder: string, files: Readonly<Record<string, string>>): void {
  for (const [name, text] of Object.entries(files)) {
    const file = join(folder, name);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
  }
}

/** A command that runs. */
export class RunningCommand {
  readonly ended: Promise<CommandResult>;
  readonly #child: ChildProcess;
  #stdout = "";
  #stderr = "";

  constructor(args: readonly string[], { cwd, server, env, stdin }: CommandOptions) {
    const inherited = Object.entries(process.env).filter(([name]) => !FOREIGN.test(name));
    const child = spawn(process.execPath, [MAIN, ...args], {
      cwd,
      env: {
        ...Object.fromEntries(inherited),
        ...(server === undefined ? {} : { NATS_URL: server }),
        ...env,
      },
      stdio: ["pipe", "pipe", "pipe"],
    });
    this.#child = child;
    child.stdout?.on("data", (chunk: Buffer) => {
      this.#stdout += chunk.toString();
    });
    child.stderr?.on("data", (chunk: Buffer) => {
      this.#stderr += chunk.toString();
    });
    child.stdin?.on("error", () => {}); // it ended without reading
    child.stdin?.end(stdin ?? "");
    this.ended = new Promise((resolve) => {
      child.once("close", (code) => resolve({ code, stdout: this.#stdout, stderr: this.#stderr }));
    });
  }

  get pid(): number {
    return this.#child.pid as number;
  }

  get stdout(): string {
    return this.#stdout;
  }

  get stderr(): string {
    return this.#stderr;
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Waits until it has printed something, to whichever of its two outputs. */
  async printed(pattern: RegExp, withinMs = 60_000): Promise<void> {
    await until(() => pattern.test(this.#stdout) || pattern.test(this.#stderr), {
      withinMs,
      what: `${pattern} in the output`,
    }).catch((error: unknown) => {
      throw new Error(`${String(error)}\nstdout: ${this.#stdout}\nstderr: ${this.#stderr}`);
    });
  }
}
