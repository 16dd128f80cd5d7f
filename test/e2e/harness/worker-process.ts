/** A worker in a process of its own, with the tasks that a module of the test exports. */
import { isTask } from "../../../shared/task.ts";
import { startWorker, type WorkerOptions } from "../../../worker/index.ts";
import { jsonLog, ownOptions, serve } from "./process-side.ts";

type Options = Omit<WorkerOptions, "tasks"> & { tasksFile: string; only?: string[] };

const { tasksFile, only, ...options } = ownOptions<Options>();
const exported = Object.values((await import(tasksFile)) as { [name: string]: unknown });
const tasks = exported
  .filter((value) => isTask(value))
  .filter(({ name }) => only?.includes(name) ?? true);
const worker = await startWorker({ ...options, tasks, log: jsonLog });
serve(worker.id, () => worker.close());
