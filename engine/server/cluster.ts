/** Starts several servers on this machine as one cluster, for tests, benchmarks and trying out. */
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import { systemClock } from "../../shared/clock.ts";
import { ServerStartError } from "./errors.ts";
import { probeServer } from "./probe.ts";
import { type RunningServer, type ServerOptions, startServer } from "./start.ts";

/** How a cluster is started; each server keeps its store and its log in a folder of `storeDir`. */
export interface ClusterOptions
  extends Pick<ServerOptions, "binary" | "storeDir" | "host" | "configFile" | "syncAlways"> {
  /** How many servers. Default: 3. */
  readonly size?: number;
  /** The cluster's name; the servers are called `<name>-1` and so on. Default: `contrail`. */
  readonly name?: string;
  /** How long all of it may take to answer. Default: 30 seconds. */
  readonly startWithinMs?: number;
}

/** A cluster that was started and answered. */
export interface RunningCluster {
  /** The addresses of all servers, also of those that are down. They stay the same. */
  readonly urls: readonly string[];
  /** The servers as they are now; `restart` replaces one of them. */
  servers(): readonly RunningServer[];
  /** Starts a server again on its ports and its store; stops it first if need be. */
  restart(index: number): Promise<RunningServer>;
  /**
   * Waits until every server answers for JetStream, which it does once there is a leader.
   * @throws {ServerStartError} When one does not within this time. Default: 30 seconds.
   */
  ready(withinMs?: number): Promise<void>;
  /** Stops all servers. Harmless to repeat. */
  stop(): Promise<void>;
}

/** How often the ports are chosen anew when another program takes one first. */
const PORT_ATTEMPTS = 5;
const READY_WITHIN_MS = 30_000;
const ASK_EVERY_MS = 50;
const ASK_TIMEOUT_MS = 1000;

/**
 * Starts a cluster on free ports and waits until JetStream answers on every server, which takes a
 * few seconds: the servers first elect a leader. When this process dies, so do the servers.
 * @throws {ServerStartError} When a server ends or does not answer, with the end of its log.
 */
export async function startCluster(options: ClusterOptions): Promise<RunningCluster> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await startOnFreePorts(options);
    } catch (error) {
      const isTaken = error instanceof Error && error.message.includes("address already in use");
      if (!isTaken || attempt === PORT_ATTEMPTS) throw error;
    }
  }
}

async function startOnFreePorts(options: ClusterOptions): Promise<RunningCluster> {
  const { size = 3, name = "contrail", host = "127.0.0.1", startWithinMs, ...shared } = options;
  const routePorts = await freePorts(size, host);
  const started = await Promise.allSettled(
    routePorts.map((port, index) =>
      startServer({
        ...shared,
        host,
        storeDir: join(options.storeDir, `${name}-${index + 1}`),
        name: `${name}-${index + 1}`,
        cluster: { name, port, routePorts },
        ...(startWithinMs === undefined ? {} : { startWithinMs }),
      }),
    ),
  );
  const servers = started.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
  const cluster = running(servers);
  try {
    for (const one of started) if (one.status === "rejected") throw one.reason;
    await cluster.ready(startWithinMs);
    return cluster;
  } catch (error) {
    await cluster.stop();
    throw error;
  }
}

function running(started: readonly RunningServer[]): RunningCluster {
  const servers = [...started];
  return {
    urls: started.map((server) => server.url),
    servers: () => servers,
    async restart(index) {
      const server = servers[index];
      if (!server) throw new ServerStartError(`There is no server ${index} in this cluster.`);
      const again = await server.restart();
      servers[index] = again;
      return again;
    },
    async ready(withinMs = READY_WITHIN_MS) {
      const deadline = systemClock.monotonic() + withinMs;
      await Promise.all(servers.map((server) => waitForJetStream(server, deadline)));
    },
    async stop() {
      await Promise.all(servers.map((server) => server.stop()));
    },
  };
}

async function waitForJetStream(server: RunningServer, deadline: number): Promise<void> {
  const { host, port, name, logFile } = server;
  for (;;) {
    const stage = await probeServer({ host, port, timeoutMs: ASK_TIMEOUT_MS });
    if (stage === "ready") return;
    if (systemClock.monotonic() > deadline) {
      throw new ServerStartError(
        `JetStream of ${name} did not answer in time (the server is ${stage}). Its log: ${logFile}`,
        { logFile },
      );
    }
    await new Promise<void>((resolve) => void systemClock.after(ASK_EVERY_MS, resolve));
  }
}

/** Ports that nobody listens on at this moment. Another program may still take one first. */
async function freePorts(count: number, host: string): Promise<number[]> {
  const holders = await Promise.all(Array.from({ length: count }, () => listen(host)));
  const ports = holders.map((holder) => {
    const address = holder.address();
    return typeof address === "object" && address !== null ? address.port : 0;
  });
  await Promise.all(holders.map((holder) => new Promise((done) => holder.close(done))));
  return ports;
}

function listen(host: string): Promise<Server> {
  return new Promise((resolve, reject) => {
    const holder = createServer();
    holder.once("error", reject);
    holder.listen(0, host, () => resolve(holder));
  });
}
