/** A worker of the chaos run. */
import "./clock-shift.ts";
import { startWorker, type WorkerOptions } from "../../../worker/index.ts";
import { chaosHurry, chaosJob, chaosLimited, chaosPlan } from "../tasks.ts";
import { log, ownOptions, serve } from "./side.ts";

const tasks = [chaosJob, chaosLimited, chaosPlan, chaosHurry];
const worker = await startWorker({ ...ownOptions<Omit<WorkerOptions, "tasks">>(), tasks, log });
serve(worker.id, () => worker.close());
