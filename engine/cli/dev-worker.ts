/**
 * The worker of `contrail dev`: a child process that is started again when a file changes which it
 * has imported, or when it ends by itself.
 *
 * V1. At most one child lives at a time.
 * V2. Changes during a restart cause one more restart, not one each.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { relative } from "node:path";
import { fileURLToPath } from "node:url";
import { type FSWatcher, watch } from "chokidar";
import type { Clock } from "../../shared/index.ts";
import { type ChildMessage, isChildMessage } from "./parent.ts";

/** How to run the worker. */
export interface DevWorkerOptions {
  /** Arguments of `contrail`, from `worker` on. */
  readonly args: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  /** Files that are watched from the beginning, also when they cannot be loaded. */
  readonly files: readonly string[];
  readonly clock: Clock;
  /** Tells people what happens. */
  readonly note: (text: string) => void;
}

/** Editors write a file in several steps. */
const SETTLE_MS = 100;
/** A worker that ends by itself is started again, but not in a tight loop. */
const RESTART_PAUSE_MS = 1_000;
/** A child that does not end when asked is killed after this. Its own drain is shorter. */
const KILL_AFTER_MS = 5_000;

type Life =
  | { readonly kind: "running"; readonly child: ChildProcess; isReady: boolean }
  /** It ended by itself: it waits for a change, or for a moment. */
  | { readonly kind: "ended"; readonly stopTimer: () => void }
  | { readonly kind: "restarting" }
  | { readonly kind: "closed" };

/** A worker that follows its files. */
export class DevWorker {
  readonly #options: DevWorkerOptions;
  readonly #watcher: FSWatcher;
  #life: Life = { kind: "restarting" };
  #mustRestart = false;
  #stopSettling: () => void = () => {};

  constructor(options: DevWorkerOptions) {
    this.#options = options;
    this.#watcher = watch([...options.files], { ignoreInitial: true });
    this.#watcher.on("all", (_event, file) => this.#noteChange(file));
    this.#start();
  }

  /** Lets the worker drain and waits until it has ended. Safe to repeat. */
  async close(): Promise<void> {
    const life = this.#life;
    this.#life = { kind: "closed" };
    this.#stopSettling();
    await this.#watcher.close();
    if (life.kind === "running") await this.#end(life.child);
    else if (life.kind === "ended") life.stopTimer();
  }

  /** Ends the worker at once. */
  kill(): void {
    if (this.#life.kind === "running") this.#life.child.kill("SIGKILL");
  }

  #start(): void {
    const { args, env } = this.#options;
    const main = fileURLToPath(new URL("./main.js", import.meta.url));
    // A process group of its own: Ctrl-C reaches the parent alone, which then ends everything in order.
    const child = spawn(process.execPath, [...process.execArgv, main, ...args], {
      env,
      stdio: ["ignore", "inherit", "inherit", "ipc"],
      detached: process.platform !== "win32",
    });
    const life: Life = { kind: "running", child, isReady: false };
    this.#life = life;
    child.on("message", (message) => {
      if (isChildMessage(message)) this.#hear(message, life);
    });
    child.once("exit", (code, signal) => {
      if (this.#life === life) this.#noteEnd(life, signal ?? `exit code ${code}`);
    });
  }

  #hear(message: ChildMessage, life: Extract<Life, { kind: "running" }>): void {
    if (message.kind === "files") this.#watcher.add([...message.files]);
    else life.isReady = true;
  }

  #noteChange(file: string): void {
    if (this.#life.kind === "closed") return;
    const { clock, note } = this.#options;
    this.#stopSettling();
    this.#stopSettling = clock.after(SETTLE_MS, () => {
      note(`${relative(process.cwd(), file)} has changed: the worker starts again.`);
      void this.#restart();
    });
  }

  #noteEnd({ isReady }: { readonly isReady: boolean }, how: string): void {
    const { clock, note } = this.#options;
    if (!isReady) {
      note(`The worker could not start (${how}). It starts again when a file changes.`);
      this.#life = { kind: "ended", stopTimer: () => {} };
      return;
    }
    note(`The worker has ended (${how}). It starts again in a moment.`);
    const stopTimer = clock.after(RESTART_PAUSE_MS, () => this.#start());
    this.#life = { kind: "ended", stopTimer };
  }

  async #restart(): Promise<void> {
    const life = this.#life;
    if (life.kind === "closed") return;
    if (life.kind === "restarting") {
      this.#mustRestart = true;
      return;
    }
    this.#life = { kind: "restarting" };
    if (life.kind === "ended") life.stopTimer();
    else await this.#end(life.child);
    if (this.#isClosed) return;
    this.#start();
    if (!this.#mustRestart) return;
    this.#mustRestart = false;
    await this.#restart();
  }

  /** Read through a method: an await lies between. */
  get #isClosed(): boolean {
    return this.#life.kind === "closed";
  }

  async #end(child: ChildProcess): Promise<void> {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGTERM");
    const stopTimer = this.#options.clock.after(KILL_AFTER_MS, () => child.kill("SIGKILL"));
    await ended;
    stopTimer();
  }
}
