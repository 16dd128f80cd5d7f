/** `contrail`: the client. */
export {
  type Client,
  type ClientOptions,
  connect,
  type RunHandle,
  type StartOptions,
} from "./client.ts";
export * from "./errors.ts";
export type { ListOptions, RunSummary } from "./run-list.ts";
export type { RunStatus } from "./run-state.ts";
export type { RunView } from "./run-view.ts";
