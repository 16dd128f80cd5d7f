/** The processes of the demo: each role is a process of its own, ended by its id. */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { extname } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

/** A process that has said it is ready. */
export interface RoleProcess {
  readonly name: string;
  readonly pid: number;
  /** The name under which leases and histories know it. */
  readonly id: string;
  /** Kills it as a power cut would, and waits until it is gone. */
  kill(): Promise<void>;
}

/** How long a process may take to close by itself. */
const CLOSE_WITHIN_MS = 15_000;

/** All processes that were started and have not ended. */
export class Processes {
  readonly #env: NodeJS.ProcessEnv;
  readonly #say: (line: string) => void;
  readonly #running: Map<string, ChildProcess> = new Map();

  /** @param say Gets what the processes print, and what happens to them. */
  constructor(servers: string, say: (line: string) => void) {
    this.#env = { ...process.env, NATS_URL: servers };
    this.#say = say;
  }

  /** Starts `role.js`, a file of this example, and waits until it is ready. */
  async start(role: "engine" | "worker", name: string = role): Promise<RoleProcess> {
    // The file has another ending when Node runs the sources as they are.
    const file = fileURLToPath(new URL(`../${role}${extname(import.meta.url)}`, import.meta.url));
    const child = fork(file, [name], { env: this.#env, stdio: ["ignore", "pipe", "pipe", "ipc"] });
    this.#running.set(name, child);
    let isExpected = false;
    child.once("exit", (code, signal) => {
      if (this.#running.get(name) === child) this.#running.delete(name);
      if (!isExpected && !this.#isStopping)
        this.#say(`${name} ended: ${signal ?? `exit code ${code}`}`);
    });
    for (const stream of [child.stdout, child.stderr])
      if (stream) createInterface(stream).on("line", (line) => this.#say(`${name} | ${line}`));
    const ready = await Promise.race([
      once(child, "message").then(([message]) => message as { ready: string }),
      once(child, "exit").then(() => undefined),
    ]);
    if (!ready) throw new Error(`${name} ended before it was ready.`);
    return {
      name,
      pid: child.pid as number,
      id: ready.ready,
      kill: async () => {
        isExpected = true;
        await end(child, "SIGKILL");
      },
    };
  }

  #isStopping = false;

  /** Asks every process to close, and waits until all are gone. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    await Promise.all([...this.#running.values()].map((child) => end(child, "SIGTERM")));
  }
}

async function end(child: ChildProcess, signal: "SIGTERM" | "SIGKILL"): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, "exit");
  child.kill(signal);
  const timer = setTimeout(() => child.kill("SIGKILL"), CLOSE_WITHIN_MS);
  await gone;
  clearTimeout(timer);
}
