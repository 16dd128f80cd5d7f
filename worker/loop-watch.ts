/**
 * Notices when the event loop of this process is blocked, and by what: then nothing of a worker goes
 * on, and its claims are not kept. A thread looks whether the loop still turns; code that never lets
 * go of it cannot be noticed from inside.
 *
 * W1. One thread watches the process, however many workers are in it.
 * W2. Nothing is said and nothing ended while somebody debugs the process: a breakpoint blocks it too.
 */
import { url as debuggerUrl } from "node:inspector";
import { Worker as Thread } from "node:worker_threads";
import { type CancelTimer, systemClock } from "../shared/clock.ts";
import { BLOCKED_LOOP_MS } from "../shared/limits.ts";
import type { LogSink } from "../shared/logger.ts";
import { type BlockedLoop, CELL, type WatchData, type WatchOrders } from "./loop-report.ts";
import { placeIn } from "./source-places.ts";

/** Looks for each that a blocked loop is noticed with. */
const LOOKS = 4;
const BEAT_MS = BLOCKED_LOOP_MS / LOOKS;

/** The process's registry of what its workers are at, which the thread asks for in the blocked code. */
const AT_WORK: unique symbol = Symbol.for("contrail.runs-at-work");

/** A worker of this process. */
export interface WatchedWorker {
  readonly workerId: string;
  readonly log: LogSink;
  /** The runs that hold a slot, as `task/run`. */
  readonly atWork: () => readonly string[];
  /** Then its claims are lost for sure. */
  readonly claimTimeoutMs: number;
  /** Then the process is ended, but not before the claims are lost; never when absent. */
  readonly endAfterMs?: number | undefined;
}

let watch: LoopWatch | undefined;

/** Begins to watch for a worker. @returns What ends it. */
export function watchLoop(worker: WatchedWorker): () => void {
  watch ??= new LoopWatch();
  const mine = watch;
  mine.add(worker);
  return () => {
    if (mine.remove(worker) || watch !== mine) return;
    watch = undefined;
    mine.close();
  };
}

class LoopWatch {
  readonly #workers: Set<WatchedWorker> = new Set();
  readonly #cells: Int32Array = new Int32Array(new SharedArrayBuffer(4 * CELL.count));
  readonly #thread: Thread;
  #stopTimer: CancelTimer = () => {};

  constructor() {
    (globalThis as { [AT_WORK]?: () => string })[AT_WORK] = () => JSON.stringify(this.#atWork());
    const data: WatchData = {
      cells: this.#cells.buffer as SharedArrayBuffer,
      beatMs: BEAT_MS,
      looks: LOOKS,
      atWork: `globalThis[Symbol.for("${AT_WORK.description}")]?.()`,
    };
    const isSource = import.meta.url.endsWith(".ts");
    const file = new URL(`./loop-watchdog.${isSource ? "ts" : "js"}`, import.meta.url);
    // Without what the process was started with: loaders of user code are none of its business.
    this.#thread = new Thread(file, {
      workerData: data,
      execArgv: [],
      name: "contrail loop watch",
    });
    this.#thread.unref();
    this.#thread.on("message", (seen: BlockedLoop) => this.#tell(seen));
    this.#thread.on("error", (error) => {
      for (const { log } of this.#workers)
        log.warn("A blocked event loop will not be noticed: the thread that watches it ended.", {
          error,
        });
    });
    this.#beat();
  }

  add(worker: WatchedWorker): void {
    this.#workers.add(worker);
    this.#order();
  }

  /** @returns Whether there are others. */
  remove(worker: WatchedWorker): boolean {
    this.#workers.delete(worker);
    if (this.#workers.size > 0) this.#order();
    return this.#workers.size > 0;
  }

  close(): void {
    this.#stopTimer();
    void this.#thread.terminate();
  }

  #order(): void {
    const workers = [...this.#workers];
    const ends = workers.flatMap(({ endAfterMs, claimTimeoutMs }) =>
      endAfterMs === undefined ? [] : Math.max(endAfterMs, claimTimeoutMs),
    );
    const orders: WatchOrders = {
      workers: workers.map(({ workerId }) => workerId).join(", "),
      tellAfterMs: Math.min(...workers.map(({ claimTimeoutMs }) => claimTimeoutMs)),
      ...(ends.length > 0 ? { endAfterMs: Math.min(...ends) } : {}),
    };
    this.#thread.postMessage(orders);
  }

  #beat(): void {
    Atomics.store(this.#cells, CELL.isDebugged, debuggerUrl() === undefined ? 0 : 1);
    Atomics.add(this.#cells, CELL.beats, 1);
    this.#stopTimer = systemClock.after(BEAT_MS, () => this.#beat());
  }

  #atWork(): string[] {
    return [...this.#workers].flatMap(({ atWork }) => atWork());
  }

  #tell({ ms, stack, atWork }: BlockedLoop): void {
    const where = placeIn(`blocked\n${stack}`, []);
    const at = where === undefined ? "" : `, at ${where}`;
    for (const { log } of this.#workers)
      log.warn(
        `The event loop was blocked for ${ms} ms${at}: nothing else of this process went on meanwhile, and claims may be lost. Do such work in a thread or a process of its own.`,
        { ms, stack, runs: atWork },
      );
  }
}
