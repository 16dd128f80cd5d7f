/** Processes of a test: their log lines, signals, and their end, which is not later than the test's. */
import { type ChildProcess, fork, spawn } from "node:child_process";
import { isStopped } from "../../helpers/process-state.ts";
import { until } from "../../helpers/until.ts";

/** One line that a process logged. */
export interface LogLine {
  readonly level: "debug" | "info" | "warn" | "error" | "raw";
  readonly message: string;
  readonly fields?: { readonly [field: string]: unknown };
}

/** How a process ended. */
export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A process of a test. */
export interface TestProcess {
  readonly pid: number;
  /** What it calls itself: the worker's id; the engine has none. */
  readonly id: string;
  /** What it logged so far. */
  readonly lines: readonly LogLine[];
  /** What it printed without logging it: crashes. */
  readonly stderr: () => string;
  /** Whether its log has such a line. */
  hasLogged(message: RegExp): boolean;
  /** Whether it still exists (a stopped one does). */
  readonly isRunning: boolean;
  /** Whether it is stopped by SIGSTOP. */
  readonly isStopped: boolean;
  /** Sends a signal; by default SIGKILL. A stopped process is not continued by this. */
  kill(signal?: NodeJS.Signals): void;
  /** Closes it as an operator does: SIGTERM. Resolves with its exit. A stopped one is continued. */
  stop(): Promise<Exit>;
  /** SIGKILL; resolves when it is gone. */
  end(): Promise<Exit>;
  /** Resolves when it is gone, for whatever reason. */
  readonly exited: Promise<Exit>;
}

/** What a process tells its test. */
export interface ReadyMessage {
  readonly ready: string;
}

/** How to start a process. */
export interface ProcessOptions {
  readonly script: URL;
  readonly options: unknown;
  readonly env?: { readonly [name: string]: string };
}

/** Environment variable with the options of a process. */
export const OPTIONS_VARIABLE = "CONTRAIL_E2E_OPTIONS";

/** How many processes start at the same time: each is busy with loading its modules. */
const STARTING_AT_ONCE = 2;
let starting = 0;
const waitingToStart: (() => void)[] = [];

/** Starts a process, a few at a time, and resolves when it says that it is ready. */
export async function startProcess(options: ProcessOptions): Promise<TestProcess> {
  if (starting >= STARTING_AT_ONCE)
    await new Promise<void>((resolve) => waitingToStart.push(resolve));
  else starting++;
  try {
    return await start(options);
  } finally {
    const next = waitingToStart.shift();
    if (next) next();
    else starting--;
  }
}

async function start(options: ProcessOptions): Promise<TestProcess> {
  const child = fork(options.script, {
    execArgv: [], // without source maps, whose loading takes a quarter of a process's start
    env: {
      ...process.env,
      ...options.env,
      [OPTIONS_VARIABLE]: JSON.stringify(options.options),
    },
    stdio: ["ignore", "pipe", "pipe", "ipc"],
  });
  const running = new RunningProcess(child);
  const what = `process ${child.pid} is ready`;
  await until(() => !running.isRunning || running.id !== "", { withinMs: 60_000, what });
  if (running.id === "") throw new Error(`A process ended at once.\n${running.stderr()}`);
  return running;
}

class RunningProcess implements TestProcess {
  readonly pid: number;
  readonly lines: LogLine[] = [];
  readonly exited: Promise<Exit>;
  readonly #child: ChildProcess;
  #id = "";
  #stderr = "";
  #rest = "";

  constructor(child: ChildProcess) {
    this.#child = child;
    this.pid = child.pid as number;
    guarded.add(this.pid);
    tellGuard();
    child.on("message", (message) => {
      this.#id = (message as ReadyMessage).ready;
    });
    child.stdout?.on("data", (chunk: Buffer) => this.#take(chunk.toString()));
    child.stderr?.on("data", (chunk: Buffer) => {
      this.#stderr += chunk.toString();
    });
    this.exited = new Promise((resolve) => {
      child.once("exit", (code, signal) => {
        guarded.delete(this.pid);
        tellGuard();
        resolve({ code, signal });
      });
    });
  }

  get id(): string {
    return this.#id;
  }

  get isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  get isStopped(): boolean {
    return isStopped(this.pid);
  }

  stderr(): string {
    return this.#stderr;
  }

  hasLogged(message: RegExp): boolean {
    return this.lines.some((line) => message.test(line.message));
  }

  kill(signal: NodeJS.Signals = "SIGKILL"): void {
    this.#child.kill(signal);
  }

  async stop(): Promise<Exit> {
    this.kill("SIGCONT");
    this.kill("SIGTERM");
    return this.exited;
  }

  async end(): Promise<Exit> {
    this.kill("SIGKILL");
    return this.exited;
  }

  #take(text: string): void {
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop() ?? "";
    for (const line of lines)
      this.lines.push(
        line.startsWith("{") ? (JSON.parse(line) as LogLine) : { level: "raw", message: line },
      );
  }
}

/** Kills the test's processes when the test is gone, also stopped ones, which notice nothing. */
let guard: ChildProcess | undefined;
const guarded = new Set<number>();

/** Ends the guard, after the last process. */
export function endGuard(): void {
  guard?.stdin?.end();
  guard = undefined;
}

function tellGuard(): void {
  if (guard === undefined && guarded.size === 0) return;
  guard ??= startGuard();
  guard.stdin?.write(`${[...guarded].join(" ")}\n`);
}

function startGuard(): ChildProcess {
  const script = 'while read -r line; do pids=$line; done; [ -z "$pids" ] || kill -9 $pids';
  const started = spawn("/bin/sh", ["-c", script], {
    stdio: ["pipe", "ignore", "ignore"],
    detached: true,
  });
  started.stdin?.on("error", () => {}); // it is gone with everything else
  (started.stdin as unknown as { unref?(): void }).unref?.();
  started.unref();
  return started;
}
