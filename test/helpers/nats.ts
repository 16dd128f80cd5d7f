/**
 * Real servers for tests: on free ports of the loopback address, with stores of their own below the
 * temporary directory. They end with the test process, however that ends.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import type { ExecutionContext } from "ava";
import { deleteStream, ensureStream } from "../../shared/jetstream/admin.ts";
import { connectNats, type NatsOptions } from "../../shared/jetstream/connection.ts";
import { freePorts } from "./ports.ts";
import { isStopped } from "./process-state.ts";
import { until } from "./until.ts";

/** One server process. It keeps its port and its store over restarts. */
export interface TestServer {
  readonly url: string;
  readonly port: number;
  readonly name: string;
  readonly storeDir: string;
  readonly pid: number | undefined;
  /** What the server printed since it was started first. */
  readonly log: () => string;
  /** SIGKILL; resolves when the process is gone. */
  kill(): Promise<void>;
  /** SIGTERM; resolves when the process is gone. */
  shutdown(): Promise<void>;
  /** Starts it again, over the same store; resolves when it accepts connections. */
  start(): Promise<void>;
  /** Shuts it down and starts it again. */
  restart(): Promise<void>;
  /** SIGSTOP, in effect when this returns: it keeps its connections and answers nothing. */
  pause(): void;
  /** SIGCONT. */
  resume(): void;
  /** Ends it and removes its store. */
  stop(): Promise<void>;
}

/** One server, or three that know each other. */
export interface TestTopology {
  readonly servers: readonly TestServer[];
  /** Addresses of all servers. */
  readonly urls: string[];
  /** How often streams are to be replicated: 1 or 3. */
  readonly replicas: 1 | 3;
  /** Ends all servers and removes their stores. */
  stop(): Promise<void>;
}

/** Where the server's program is: CONTRAIL_NATS_SERVER, or `nats-server` on the PATH. */
export function findServerBinary(): string {
  const given = process.env.CONTRAIL_NATS_SERVER;
  if (given) return given;
  for (const folder of (process.env.PATH ?? "").split(delimiter)) {
    const file = join(folder, "nats-server");
    if (folder !== "" && existsSync(file)) return file;
  }
  throw new Error("No nats-server: set CONTRAIL_NATS_SERVER to its path, or put it on the PATH.");
}

/**
 * Starts one server with JetStream.
 * @param config A configuration file with what else it needs.
 */
export async function startTestServer(config = ""): Promise<TestServer & TestTopology> {
  const [port] = await freePorts(1);
  const server = new Server(`test-${port}`, port as number, [], config);
  await server.start();
  return Object.assign(server, { servers: [server], urls: [server.url], replicas: 1 as const });
}

/**
 * Starts three servers as one cluster; resolves when it can create replicated streams.
 * @param config A configuration file with what else they need.
 * @param user Who may create streams, where the configuration has users.
 */
export async function startTestCluster(
  config = "",
  user: { readonly user?: string; readonly pass?: string } = {},
): Promise<TestTopology> {
  const ports = await freePorts(6);
  const routes = ports.slice(3);
  const servers = [0, 1, 2].map((i) => {
    const cluster = [
      ...["--cluster_name", "test", "--cluster", `nats://127.0.0.1:${routes[i]}`],
      ...["--routes", routes.map((port) => `nats://127.0.0.1:${port}`).join(",")],
    ];
    return new Server(`test-${ports[i]}`, ports[i] as number, cluster, config);
  });
  const urls = servers.map((server) => server.url);
  const stop = async (): Promise<void> => {
    await Promise.all(servers.map((server) => server.stop()));
  };
  try {
    await Promise.all(servers.map((server) => server.start()));
    await untilReplicating({ servers: urls, ...user });
  } catch (error) {
    await stop();
    throw error;
  }
  return { servers, urls, replicas: 3, stop };
}

/**
 * Waits until a cluster can create replicated streams: it elects its leader and gets to know its
 * members for some seconds. To be called by who may create streams, while there is none of importance.
 */
export async function untilReplicating(access: NatsOptions): Promise<void> {
  const link = await connectNats(access);
  const probe = { name: "PROBE", subjects: ["probe"], replicas: 3 };
  try {
    await until(() => ensureStream(link.requests, probe), {
      withinMs: 30_000,
      everyMs: 100,
      what: "a replicated stream on the test cluster",
    });
    await deleteStream(link.requests, probe.name);
  } finally {
    await link.close();
  }
}

const started = new Map<string, Promise<TestTopology>>();

/** Makes a test wait until the ones before it that share its topology are over, teardowns included. */
export type InTurn = <C>(
  run: (t: ExecutionContext<C>) => Promise<void>,
) => (t: ExecutionContext<C>) => Promise<void>;

/** A turn for tests that would disturb each other; those of the other topology go on meanwhile. */
function turns(): InTurn {
  let last: Promise<void> = Promise.resolve();
  return (run) => async (t) => {
    const before = last;
    last = new Promise((resolve) => t.teardown(resolve)); // the first teardown comes last
    await before;
    await run(t);
  };
}

/**
 * Declares the same tests for one server and for a cluster of three. `topology` starts it when first
 * asked and gives all tests of the file the same one; end it with `stopTopologies`. With `inTurn`,
 * tests of one topology come one after the other, at the same time as those of the other one.
 */
export function forEachTopology(
  declare: (title: "R1" | "R3", topology: () => Promise<TestTopology>, inTurn: InTurn) => void,
): void {
  const once = (title: string, start: () => Promise<TestTopology>) => () => {
    const topology = started.get(title) ?? start();
    started.set(title, topology);
    return topology;
  };
  declare(
    "R1",
    once("R1", () => startTestServer()),
    turns(),
  );
  declare(
    "R3",
    once("R3", () => startTestCluster()),
    turns(),
  );
}

/** Ends what `forEachTopology` started. For `test.after.always`. */
export async function stopTopologies(): Promise<void> {
  await Promise.allSettled([...started.values()].map(async (topology) => (await topology).stop()));
}

class Server implements TestServer {
  readonly name: string;
  readonly port: number;
  readonly url: string;
  readonly storeDir: string;
  readonly #arguments: string[];
  #process: ChildProcess | undefined;
  #log = "";

  constructor(name: string, port: number, cluster: string[], config: string) {
    this.name = name;
    this.port = port;
    this.url = `nats://127.0.0.1:${port}`;
    this.storeDir = mkdtempSync(join(tmpdir(), "contrail-test-"));
    removeAtExit.add(this.storeDir);
    const file = config === "" ? [] : ["--config", config];
    this.#arguments = [
      ...["--jetstream", "--store_dir", this.storeDir, "--name", name],
      ...["--addr", "127.0.0.1", "--port", String(port), ...cluster, ...file],
    ];
  }

  get pid(): number | undefined {
    return this.#process?.pid;
  }

  log(): string {
    return this.#log;
  }

  async start(): Promise<void> {
    if (this.#process !== undefined) throw new Error(`${this.name} runs already`);
    const child = spawn(findServerBinary(), this.#arguments, {
      stdio: ["ignore", "ignore", "pipe"],
    });
    const guard = guardOf(child.pid as number);
    this.#process = child;
    child.once("exit", () => {
      guard.kill("SIGKILL");
      if (this.#process === child) this.#process = undefined;
    });
    let output = "";
    child.stderr.on("data", (chunk: Buffer) => {
      output += chunk.toString();
      this.#log += chunk.toString();
    });
    await until(() => child.exitCode !== null || output.includes("Server is ready"), {
      withinMs: 15_000,
      what: `${this.name} is ready`,
    });
    if (child.exitCode !== null) throw new Error(`${this.name} did not start: ${output}`);
  }

  async kill(): Promise<void> {
    await this.#end("SIGKILL");
  }

  async shutdown(): Promise<void> {
    await this.#end("SIGTERM");
  }

  async restart(): Promise<void> {
    await this.shutdown();
    await this.start();
  }

  pause(): void {
    const child = this.#process;
    if (child === undefined) return;
    child.kill("SIGSTOP");
    // The signal is on its way when `kill` returns: the server may still answer for a moment.
    while (child.exitCode === null && !isStopped(child.pid as number)) {}
  }

  resume(): void {
    this.#process?.kill("SIGCONT");
  }

  async stop(): Promise<void> {
    await this.#end("SIGKILL");
    rmSync(this.storeDir, { recursive: true, force: true });
    removeAtExit.delete(this.storeDir);
  }

  async #end(signal: "SIGKILL" | "SIGTERM"): Promise<void> {
    const child = this.#process;
    if (child === undefined) return;
    const gone = new Promise((resolve) => child.once("exit", resolve));
    child.kill(signal);
    child.kill("SIGCONT"); // a paused process takes only SIGKILL
    await gone;
    this.#process = undefined;
  }
}

/** Kills a server when its standard input closes: when this process is gone, however it went. */
function guardOf(pid: number): ChildProcess {
  const guard = spawn("/bin/sh", ["-c", 'read -r line; kill -9 "$0"', String(pid)], {
    stdio: ["pipe", "ignore", "ignore"],
    detached: true,
  });
  guard.unref();
  return guard;
}

const removeAtExit = new Set<string>();
process.once("exit", () => {
  for (const folder of removeAtExit) rmSync(folder, { recursive: true, force: true });
});
