/** `contrail/engine`: matches and mends. It never runs user code. */
export {
  type Engine,
  type EngineOptions,
  type EngineStatus,
  startEngine,
} from "./engine.ts";
export { type SetupOptions, setupNamespace } from "./setup.ts";
export type { TermStatus } from "./term.ts";
