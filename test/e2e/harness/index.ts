/** The harness of the end-to-end tests. */
export type { TestProcess } from "./child-process.ts";
export { command } from "./commands.ts";
export { hasEngine } from "./entries.ts";
export { checkHistory, checkpoints, checkQuiet, claims } from "./histories.ts";
export { forEachWorld, type World } from "./world.ts";
