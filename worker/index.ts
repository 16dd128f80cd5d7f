/** `contrail/worker`: executes runs. */
export type { LeaseRecord } from "./lease-keeper.ts";
export { startWorker, type Worker, type WorkerOptions } from "./worker.ts";
