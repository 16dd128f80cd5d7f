/** `contrail/testing`: runs tasks in memory, for tests. Needs no server and no test framework. */
export { type History, historyText, parseHistory } from "../shared/history-file.ts";
export {
  type ReplayDivergence,
  type ReplayOptions,
  type ReplayVerdict,
  replayHistory,
} from "../worker/replay.ts";
export { type CrashReport, crashEverywhere } from "./crash-everywhere.ts";
export { TestKitError } from "./errors.ts";
export { type KitOptions, type TestKit, type TestRun, testKit } from "./kit.ts";
export type { Script, ScriptedChild, ScriptedStep, Scripts } from "./scripts.ts";
export type { ExecutedStep } from "./user-steps.ts";
