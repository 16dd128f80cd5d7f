/** `contrail/worker`: executes runs. */
export type { HeldSlot, LeaseRecord } from "../shared/leases.ts";
export {
  type ReplayDivergence,
  type ReplayOptions,
  type ReplayVerdict,
  replayHistory,
} from "./replay.ts";
export { startWorker, type Worker, type WorkerOptions } from "./worker.ts";
