/** `contrail/engine`: matches and mends. It never runs user code. */

export { toJson } from "../shared/json.ts";
export { type ExamineOptions, examine } from "./doctor/examine.ts";
export type { Check, Finding, Verdict } from "./doctor/findings.ts";
export {
  type Engine,
  type EngineOptions,
  type EngineStatus,
  startEngine,
} from "./engine.ts";
export { type PreparedNamespace, prepareNamespace } from "./prepare.ts";
export { type SetupOptions, setupNamespace } from "./setup.ts";
export type { TermStatus } from "./term.ts";
export { VERSION } from "./version.ts";
