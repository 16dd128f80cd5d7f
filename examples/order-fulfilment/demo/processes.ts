/** The processes of the demo: each role is a process of its own, and is ended by its id. */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { extname } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

/** A process that has said that it is ready. */
export interface RoleProcess {
  readonly name: string;
  readonly pid: number;
  /** The name under which leases and histories know it. */
  readonly id: string;
  readonly isAlive: boolean;
  /** Kills it as a power cut would, and waits until it is gone. */
  kill(): Promise<void>;
}

/** How long a process may take to close by itself. */
const CLOSE_WITHIN_MS = 15_000;

/** All processes that were started. */
export class Processes {
  readonly #env: NodeJS.ProcessEnv;
  readonly #say: (line: string) => void;
  readonly #running: Set<ChildProcess> = new Set();

  /** @param say Gets the warnings of the processes, and what happens to them. */
  constructor(servers: string, say: (line: string) => void) {
    this.#env = { ...process.env, NATS_URL: servers };
    this.#say = say;
  }

  /** Starts a role, which is a file of this example, and waits until it is ready. */
  async start(role: "engine" | "worker", name: string = role): Promise<RoleProcess> {
    // The file has another ending when Node runs the sources as they are.
    const file = fileURLToPath(new URL(`../${role}${extname(import.meta.url)}`, import.meta.url));
    const stdio = ["ignore", "ignore", "pipe", "ipc"] as const;
    const child = fork(file, [name], { env: this.#env, stdio: [...stdio] });
    this.#running.add(child);
    let isReady = false;
    let isKilled = false;
    child.once("exit", (code, signal) => {
      this.#running.delete(child);
      if (code !== 0 && isReady && !isKilled)
        this.#say(`${name} ended: ${signal ?? `exit code ${code}`}`);
    });
    const early: string[] = [];
    if (child.stderr)
      createInterface(child.stderr).on("line", (line) => {
        if (isReady) this.#say(`${name} | ${line}`);
        else early.push(line);
      });
    const ready = await Promise.race([
      once(child, "message").then(([message]) => message as { readonly ready: string }),
      once(child, "close").then(() => undefined),
    ]);
    if (!ready) throw new Error(`${name} could not start: ${reasonIn(early)}`);
    isReady = true;
    for (const line of early) this.#say(`${name} | ${line}`);
    return {
      name,
      pid: child.pid as number,
      id: ready.ready,
      get isAlive() {
        return child.exitCode === null && child.signalCode === null;
      },
      async kill() {
        isKilled = true;
        await end(child, "SIGKILL");
      },
    };
  }

  /** Asks every process to close, and waits until all are gone. */
  async stop(): Promise<void> {
    await Promise.all([...this.#running].map((child) => end(child, "SIGTERM")));
  }
}

/** What a process that failed says before its stack. */
function reasonIn(lines: readonly string[]): string {
  const line = lines.find((text) => /^(?:Uncaught )?\w*Error\b.*?: /.test(text));
  return line?.replace(/^.*?: /, "") ?? lines.join("\n");
}

async function end(child: ChildProcess, signal: "SIGTERM" | "SIGKILL"): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, "exit");
  child.kill(signal);
  const timer = setTimeout(() => child.kill("SIGKILL"), CLOSE_WITHIN_MS);
  await gone;
  clearTimeout(timer);
}
