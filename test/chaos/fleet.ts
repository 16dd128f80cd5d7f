/** The processes of a chaos run: starts them, keeps their logs, and ends them with the runner. */
import { type ChildProcess, fork, spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { join } from "node:path";
import { isStopped } from "../helpers/process-state.ts";
import { CHANGED_VARIABLE } from "./changed.ts";
import { FOLDER_VARIABLE, Journal, PROCESS_VARIABLE, trueNow } from "./journal.ts";
import { OPTIONS_VARIABLE } from "./processes/side.ts";

/** What a process is. */
export type Role = "worker" | "engine" | "client";

/** How to start one life of a process. */
export interface LifeSettings {
  readonly role: Role;
  /** Name of the process over all its lives, such as `worker-1`. */
  readonly lane: string;
  /** Counts its lives, from 0. */
  readonly life: number;
  readonly options: object;
  /** Of a worker, for who reads processes.jsonl. */
  readonly slots?: object | undefined;
  readonly clockOffsetMs?: number;
  /** Rules for CONTRAIL_FAILPOINTS. */
  readonly failpoints?: string;
  /** Whether it executes changed code. */
  readonly isChanged?: boolean;
}

/** One life of a process. */
export interface Life {
  /** `<lane>.<life>`: the name in all files. */
  readonly name: string;
  readonly lane: string;
  readonly role: Role;
  readonly pid: number;
  /** What it calls itself, once it is ready: a worker's id. */
  readonly id: () => string | undefined;
  /** Resolves when it is ready, or gone. */
  readonly ready: Promise<void>;
  readonly exited: Promise<void>;
  readonly isRunning: () => boolean;
  readonly isStopped: () => boolean;
  /** Sends a signal; an end by it counts as expected. */
  kill(signal: NodeJS.Signals): void;
  /** Tells it something. */
  send(message: object): void;
}

/** All processes. */
export class Fleet {
  readonly #folder: string;
  readonly #journal: Journal;
  readonly #guarded: Set<number | string> = new Set();
  #guard: ChildProcess | undefined;

  constructor(folder: string) {
    this.#folder = folder;
    this.#journal = new Journal(folder, "processes.jsonl");
  }

  /** Writes a line of processes.jsonl. */
  tell(line: object): void {
    this.#journal.write({ at: trueNow(), ...line });
  }

  /**
   * Sees to it that this process is killed, or the disk that is mounted in this folder taken out, when
   * the runner is gone, however that went.
   */
  guard(pidOrFolder: number | string): void {
    this.#guarded.add(pidOrFolder);
    this.#tellGuard();
  }

  unguard(pidOrFolder: number | string): void {
    this.#guarded.delete(pidOrFolder);
    this.#tellGuard();
  }

  /** Ends the guard, after the last process. */
  close(): void {
    this.#guard?.stdin?.end("\n");
    this.#guard = undefined;
  }

  /** Starts one life of a process. */
  start(settings: LifeSettings): Life {
    const { role, lane, life, options, clockOffsetMs = 0, failpoints = "" } = settings;
    const isChanged = settings.isChanged ?? false;
    const name = `${lane}.${life}`;
    const log = join("logs", `${name}.log`);
    const fd = openSync(join(this.#folder, log), "a");
    const child = fork(new URL(`./processes/${role}.js`, import.meta.url), {
      execArgv: [],
      env: {
        ...process.env,
        [FOLDER_VARIABLE]: this.#folder,
        [PROCESS_VARIABLE]: name,
        [OPTIONS_VARIABLE]: JSON.stringify(options),
        CONTRAIL_CHAOS_CLOCK_MS: String(clockOffsetMs),
        CONTRAIL_FAILPOINTS: failpoints,
        [CHANGED_VARIABLE]: isChanged ? "1" : "",
      },
      stdio: ["ignore", fd, fd, "ipc"],
    });
    closeSync(fd);
    const pid = child.pid as number;
    this.guard(pid);
    const common = { process: name, role, life, pid, log };
    this.tell({ edge: "start", ...common, clockOffsetMs, failpoints, isChanged });
    let id: string | undefined;
    let isExpected = false;
    const exited = new Promise<void>((resolve) => {
      child.once("exit", (code, signal) => {
        this.unguard(pid);
        this.tell({ edge: "exit", ...common, name: id, code, signal, expected: isExpected });
        resolve();
      });
    });
    const ready = new Promise<void>((resolve) => {
      child.once("message", (message: { readonly ready: string }) => {
        id = message.ready;
        this.tell({ edge: "ready", ...common, name: id, slots: settings.slots });
        resolve();
      });
      void exited.then(resolve);
    });
    child.on("error", () => {}); // a message to a process that is gone
    return {
      ...{ name, lane, role, pid, ready, exited, id: () => id },
      isRunning: () => child.exitCode === null && child.signalCode === null,
      isStopped: () => isStopped(pid),
      kill: (signal) => {
        if (signal !== "SIGSTOP" && signal !== "SIGCONT") isExpected = true;
        child.kill(signal);
      },
      send: (message) => {
        if (child.connected) child.send(message, () => {});
      },
    };
  }

  #tellGuard(): void {
    if (this.#guard === undefined && this.#guarded.size === 0) return;
    this.#guard ??= startGuard();
    // Folders come last: nobody writes into them any more when they are taken out.
    const all = [...this.#guarded].toSorted((a, b) =>
      typeof a === typeof b ? 0 : typeof a === "number" ? -1 : 1,
    );
    this.#guard.stdin?.write(`${all.map((one) => `${one}\n`).join("")}\n`);
  }
}

function startGuard(): ChildProcess {
  // A line for each thing, and an empty one behind the last: folders may have spaces in their names.
  const script = [
    "all=; while IFS= read -r line; do",
    '  case $line in "") known=$all; all= ;; *) all="$all$line\n" ;; esac',
    "done",
    'printf "%b" "$known" | while IFS= read -r one; do',
    '  case $one in /*) umount -l "$one" ;; *) kill -9 "$one" ;; esac',
    "done",
  ].join("\n");
  const started = spawn("/bin/sh", ["-c", script], {
    stdio: ["pipe", "ignore", "ignore"],
    detached: true,
  });
  started.stdin?.on("error", () => {}); // it is gone with everything else
  (started.stdin as unknown as { unref?(): void }).unref?.();
  started.unref();
  return started;
}
