/** `contrail/worker`: executes runs. */
export type { HeldSlot, LeaseRecord } from "../shared/leases.ts";
export { startWorker, type Worker, type WorkerOptions } from "./worker.ts";
