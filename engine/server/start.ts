/**
 * Starts a nats-server as a child of this process, from the package's `nats.conf`, and waits until
 * it answers.
 */
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, open, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { systemClock } from "../../shared/clock.ts";
import { ServerStartError } from "./errors.ts";
import { readLogTail } from "./log-tail.ts";
import { probeServer, type ServerStage } from "./probe.ts";
import { type ServerExit, type ServerProcess, spawnServer } from "./server-process.ts";

/** The part a server plays in a cluster. */
export interface ClusterMembership {
  /** The name of the cluster, the same for all its servers. */
  readonly name: string;
  /** Where this server listens for the other servers. */
  readonly port: number;
  /** The cluster ports of all servers, this one's included: their count is the cluster's size. */
  readonly routePorts: readonly number[];
}

/** How a server is started. */
export interface ServerOptions {
  /** The executable, as `findServer` returns it. */
  readonly binary: string;
  /** Where streams are kept. Made when missing; one server at a time. */
  readonly storeDir: string;
  /** The port for clients; 0 takes a free one. Default: 0. */
  readonly port?: number;
  /** The address it listens on. Default: `127.0.0.1`, which other machines cannot reach. */
  readonly host?: string;
  /** The server's name; in a cluster each needs its own. Default: `contrail`. */
  readonly name?: string;
  /** Default: the package's own `nats.conf`. */
  readonly configFile?: string;
  /** Writes to the disk before each acknowledgement, in place of the configuration's interval. */
  readonly syncAlways?: boolean;
  /** Where the server's log is appended. Default: `nats-server.log` in `storeDir`. */
  readonly logFile?: string;
  readonly cluster?: ClusterMembership;
  /** How long it may take to answer, recovery of its streams included. Default: 30 seconds. */
  readonly startWithinMs?: number;
}

/** A server that was started and answered. */
export interface RunningServer {
  /** For clients, such as `nats://127.0.0.1:4222`. */
  readonly url: string;
  readonly host: string;
  readonly port: number;
  readonly pid: number;
  readonly name: string;
  readonly storeDir: string;
  readonly logFile: string;
  /** Resolves once the process has ended, for whatever reason. Never rejects. */
  readonly exited: Promise<ServerExit>;
  /** Asks it to end and waits until it has; after 10 seconds it is killed. Harmless to repeat. */
  stop(): Promise<void>;
  /** Ends it at once, as kill -9 does, and waits until it has ended. */
  kill(): Promise<void>;
  /** Stops it if need be and starts it again on the same port, with the same store. */
  restart(): Promise<RunningServer>;
}

/** How often a starting server is asked, and how long one question may take, in milliseconds. */
const ASK_EVERY_MS = 10;
const ASK_TIMEOUT_MS = 1000;
const START_WITHIN_MS = 30_000;
const STOP_WITHIN_MS = 10_000;

/**
 * Starts a server and waits until JetStream answers (in a cluster: until it accepts clients, as
 * JetStream needs a majority). The caller stops it; when this process dies, so does the server.
 * @throws {ServerStartError} When it ends or does not answer in time, with the end of its log.
 */
export async function startServer(options: ServerOptions): Promise<RunningServer> {
  const { binary, storeDir, host = "127.0.0.1", port = 0, name = "contrail" } = options;
  const logFile = options.logFile ?? join(storeDir, "nats-server.log");
  await mkdir(storeDir, { recursive: true });
  await mkdir(dirname(logFile), { recursive: true });
  const portsFolder = await mkdtemp(join(storeDir, "ports-"));
  const config = await configFor(options);
  const args = ["-c", config, "-a", host, "-p", String(port === 0 ? -1 : port), "-n", name];
  args.push("-sd", storeDir, "--ports_file_dir", portsFolder, ...clusterArguments(options, host));

  const log = await open(logFile, "a");
  const logStart = (await log.stat()).size;
  const life = spawnServer(binary, { args, logFd: log.fd });
  await log.close();
  try {
    const stage: ServerStage = options.cluster ? "listening" : "ready";
    const startWithinMs = options.startWithinMs ?? START_WITHIN_MS;
    const found = await waitUntilAnswers({ host, portsFolder, stage, startWithinMs, life });
    if (typeof found === "string") {
      life.end("SIGKILL");
      await life.exited;
      const tail = await readLogTail(logFile, logStart);
      throw new ServerStartError(
        `nats-server (${binary}) ${found}. ${logFile} ends with:\n${tail}`,
        {
          binary,
          logFile,
        },
      );
    }
    return running({ options: { ...options, port: found.port }, host, name, logFile, life });
  } finally {
    await rm(portsFolder, { recursive: true, force: true });
  }
}

/** The port it listens on, or why it does not answer. */
async function waitUntilAnswers(start: {
  readonly host: string;
  readonly portsFolder: string;
  readonly stage: ServerStage;
  readonly startWithinMs: number;
  readonly life: ServerProcess;
}): Promise<{ readonly port: number } | string> {
  const { host, life, startWithinMs } = start;
  const deadline = systemClock.monotonic() + startWithinMs;
  let stage: ServerStage = "down";
  for (;;) {
    const ending = life.ending();
    if (ending !== undefined) return ending;
    // Asked for only there: on a port of our choice another server might answer in its place.
    const port = await readPort(start.portsFolder);
    if (port !== 0) stage = await probeServer({ host, port, timeoutMs: ASK_TIMEOUT_MS });
    if (stage === start.stage || stage === "ready") return { port };
    if (systemClock.monotonic() > deadline) {
      return `did not answer within ${startWithinMs / 1000} s (it is ${stage})`;
    }
    await new Promise<void>((resolve) => void systemClock.after(ASK_EVERY_MS, resolve));
  }
}

/** The port from the file that the server writes once it listens; 0 before that. */
async function readPort(folder: string): Promise<number> {
  const name = (await readdir(folder)).find((file) => file.endsWith(".ports"));
  const text = name === undefined ? "" : await readFile(join(folder, name), "utf8");
  return Number(/"nats":\["[a-z]+:\/\/[^"]*:(\d+)"/.exec(text)?.[1] ?? 0);
}

function clusterArguments({ cluster }: ServerOptions, host: string): string[] {
  if (!cluster) return [];
  const routes = cluster.routePorts.map((port) => `nats://${host}:${port}`).join(",");
  const listen = `nats://${host}:${cluster.port}`;
  return ["--cluster_name", cluster.name, "--cluster", listen, "--routes", routes];
}

/** The configuration file, or with `syncAlways` a copy of it in the store that says so. */
async function configFor(options: ServerOptions): Promise<string> {
  const file = options.configFile ?? packageFile("nats.conf");
  if (options.syncAlways !== true) return file;
  const text = await readFile(file, "utf8");
  const synced = text.replace(/^(\s*sync_interval\s*[:=]?).*$/m, '$1 "always"');
  if (synced === text) {
    throw new ServerStartError(`${file} has no sync_interval that syncAlways could replace`);
  }
  const copy = join(options.storeDir, "sync-always.conf");
  await writeFile(copy, synced);
  return copy;
}

/** A file at the root of this package, seen from the sources and from `dist` alike. */
function packageFile(name: string): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, name)) && dirname(folder) !== folder) folder = dirname(folder);
  return join(folder, name);
}

function running(server: {
  readonly options: ServerOptions & { readonly port: number };
  readonly host: string;
  readonly name: string;
  readonly logFile: string;
  readonly life: ServerProcess;
}): RunningServer {
  const { options, host, name, logFile, life } = server;
  const stop = async (): Promise<void> => {
    life.end("SIGTERM");
    const cancel = systemClock.after(STOP_WITHIN_MS, () => life.end("SIGKILL"));
    await life.exited;
    cancel();
  };
  return {
    url: `nats://${host}:${options.port}`,
    host,
    port: options.port,
    pid: life.pid,
    name,
    storeDir: options.storeDir,
    logFile,
    exited: life.exited,
    stop,
    async kill() {
      life.end("SIGKILL");
      await life.exited;
    },
    async restart() {
      await stop();
      return startServer(options);
    },
  };
}
