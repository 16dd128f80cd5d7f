/** Finding, fetching and starting a nats-server: the `./server` entry. */
export { type ClusterOptions, type RunningCluster, startCluster } from "./cluster.ts";
export { ServerNotFoundError, ServerStartError } from "./errors.ts";
export { type FindServerOptions, type FoundServer, findServer } from "./find.ts";
export type { ServerExit } from "./server-process.ts";
export {
  type ClusterMembership,
  type RunningServer,
  type ServerOptions,
  startServer,
} from "./start.ts";
export { OLDEST_SERVER_VERSION, PINNED_SERVER_VERSION } from "./version.ts";
