/** The worker process: executes the suite's tasks. */
import type { AnyTask } from "../../shared/task.ts";
import { startWorker, type Worker } from "../../worker/index.ts";
import * as tasks from "../tasks.ts";
import { serveCalls } from "./calls.ts";
import { SlotWatch, type WatchOptions } from "./slot-watch.ts";

const TASKS: Readonly<Record<string, AnyTask>> = {
  noop: tasks.noop,
  steps: tasks.steps,
  sleeper: tasks.sleeper,
  longSleeper: tasks.longSleeper,
  approval: tasks.approval,
  longHistory: tasks.longHistory,
  parent: tasks.parent,
  alternation: tasks.alternation,
  fulfil: tasks.fulfil,
};

/** How the worker is to be started. */
export interface WorkerSettings {
  readonly servers: readonly string[];
  readonly namespace: string;
  /** Names of exports of tasks.ts. */
  readonly tasks: readonly string[];
  readonly slots?: { readonly regular?: number; readonly durable?: number };
  readonly warmRuns?: number;
}

let worker: Worker | undefined;
const watch = new SlotWatch(() => worker?.busy.durable ?? 0);

/** What the worker process can be asked for. */
export class WorkerCalls {
  async start({ tasks: names, ...settings }: WorkerSettings): Promise<void> {
    const served = names.map((name) => {
      const found = TASKS[name];
      if (!found) throw new Error(`There is no task "${name}".`);
      return found;
    });
    const log = (level: string) => (message: string, fields?: unknown) =>
      console.error(`worker ${level}: ${message}`, fields ?? "");
    const quiet = { debug: () => {}, info: () => {} };
    worker = await startWorker({
      ...settings,
      tasks: served,
      log: { ...quiet, warn: log("warning"), error: log("error") },
    });
  }

  /** How late sleepers were, since the last call. */
  takeLateness(): Float64Array {
    return Float64Array.from(tasks.seen.lateMs.splice(0));
  }

  /** How long runs took from their start to their first step, since the last call. */
  takeStarts(): Float64Array {
    return Float64Array.from(tasks.seen.startMs.splice(0));
  }

  asleepCount(): number {
    return tasks.seen.asleep.size;
  }

  forgetAsleep(): void {
    tasks.seen.asleep.clear();
  }

  busy(): { readonly regular: number; readonly durable: number } {
    return worker?.busy ?? { regular: 0, durable: 0 };
  }

  watchSlots(options: WatchOptions): void {
    watch.begin(options);
  }

  endWatch(): number {
    tasks.seen.begun = 0;
    return watch.end();
  }
}

serveCalls(new WorkerCalls(), async () => worker?.close());
