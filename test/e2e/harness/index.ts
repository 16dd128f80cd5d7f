/** The harness of the end-to-end tests. */
export type { Exit, LogLine, TestProcess } from "./child-process.ts";
export { type Effect, EffectFile } from "./effects.ts";
export { hasEngine } from "./entries.ts";
export { checkHistory, checkpoints, checkQuiet, claims } from "./histories.ts";
export { type Lease, LeaseObserver } from "./leases.ts";
export {
  type Access,
  forEachWorld,
  type OpenWorld,
  type WorkerProcessOptions,
  type World,
  type WorldOptions,
} from "./world.ts";
