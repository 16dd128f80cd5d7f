/**
 * Everything an end-to-end test needs: real servers, a namespace of its own in an account of its
 * own, processes with workers and engines, a client, the file of side effects, the leases. When the
 * test is over everything ends, and what must hold in every test is checked: no pool held more than
 * its slots, and nothing leaks.
 *
 * Tests of one file share servers. Each has an account to itself, with its own streams, events
 * included, so they cannot see each other.
 */
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { ExecutionContext, TestFn } from "ava";
import { setupNamespace } from "../../../engine/setup.ts";
import {
  type Client,
  connect,
  type RunHandle,
  type RunStatus,
  type RunView,
} from "../../../shared/index.ts";
import { deleteStream } from "../../../shared/jetstream/admin.ts";
import { connectNats, type NatsLink } from "../../../shared/jetstream/connection.ts";
import type { NamespaceSetup } from "../../../shared/setup.ts";
import { startTestCluster, startTestServer, type TestTopology } from "../../helpers/nats.ts";
import { until } from "../../helpers/until.ts";
import { endGuard, startProcess, type TestProcess } from "./child-process.ts";
import { EFFECTS_VARIABLE, EffectFile } from "./effects.ts";
import { LeaseObserver } from "./leases.ts";

/** How to open a world. */
export interface WorldOptions {
  /** How long a run stays idle after its worker died. Default 1,000, the shortest. */
  readonly claimTimeoutMs?: number;
  /** Default 2. */
  readonly shards?: number;
  /** Servers for this test alone, which it may stop and pause. Default false: the file's. */
  readonly ownServers?: boolean;
  /** Configuration of own servers, with the users e2e0, e2e1 and so on. Default an account for each. */
  readonly config?: string;
}

/** How to start a worker process. */
export interface WorkerProcessOptions {
  /** A compiled module that exports tasks: `new URL("./tasks/x.js", import.meta.url)`. */
  readonly tasksFile: URL;
  /** Names of the exported tasks to register. Default all. */
  readonly only?: readonly string[];
  readonly slots?: { readonly regular?: number; readonly durable?: number };
  readonly warmRuns?: number;
  readonly drainTimeout?: string;
  readonly endWhenBlocked?: string;
  /** Rules for CONTRAIL_FAILPOINTS, such as `after-commit@3=kill`. */
  readonly failpoints?: string;
  readonly env?: { readonly [name: string]: string };
}

/** How to connect to one test's account. */
export interface Access {
  readonly servers: readonly string[];
  readonly user: string;
  readonly pass: string;
}

/** One test's world. */
export interface World {
  readonly topology: TestTopology;
  /** How anybody connects to this test's account. */
  readonly access: Access;
  readonly setup: NamespaceSetup;
  readonly client: Client;
  /** The test's own connection, for raw reads. */
  readonly link: NatsLink;
  readonly effects: EffectFile;
  readonly leases: LeaseObserver;
  /** A folder of the test, for files that failpoints wait for. */
  readonly folder: string;
  startWorker(options: WorkerProcessOptions): Promise<TestProcess>;
  startEngine(options?: { readonly failpoints?: string }): Promise<TestProcess>;
  /** Path of a gate: a file that processes wait for until `open` makes it. Folders are made. */
  gate(name: string): string;
  /** Opens a gate. */
  open(name: string): void;
  /** Whether a process waits, or waited, at a failpoint `hold:<gate>`. */
  isHeld(name: string): boolean;
  /** Resolves when a process waits at a failpoint `hold:<gate>`. */
  untilHeld(name: string): Promise<void>;
  /**
   * The output of a run. Its history is shown when it does not end within `withinMs`, 120,000 unless
   * given.
   */
  result<Output>(run: RunHandle<Output>, withinMs?: number): Promise<Output>;
  /** What the log says of a run that has ended; a replica may learn of the end a moment later. */
  endOf(run: RunHandle): Promise<RunView>;
  /** Resolves with what the log says of a run once it waits, or has any other status. */
  untilStatus(run: RunHandle, status: RunStatus): Promise<RunView>;
}

/** Opens a world for a test. */
export type OpenWorld = (t: ExecutionContext, options?: WorldOptions) => Promise<World>;

/** How many tests of one file may share a server. */
const ACCOUNTS = 60;
/** How many worlds of one file are open at once. Most of a test's time is waiting. */
const AT_ONCE = 3;

/**
 * Declares the same tests for one server and for a cluster of three, which start when the first test
 * needs them and end with the file. Tests need not be serial: a few worlds are open at once, and a
 * test waits in `open` for its turn.
 */
export function forEachWorld(
  test: TestFn,
  declare: (title: "R1" | "R3", open: OpenWorld) => void,
): void {
  const before = resources();
  const shared: SharedServers[] = [];
  for (const title of ["R1", "R3"] as const) {
    const only = process.env["CONTRAIL_E2E_ONLY"];
    if (only !== undefined && only !== title) continue;
    const startCluster = (config: string) => startTestCluster(config, userOf(0));
    const servers = new SharedServers(title === "R1" ? startTestServer : startCluster);
    shared.push(servers);
    declare(title, (t, options = {}) => openWorld(t, servers, options));
  }
  test.after.always("nothing is left behind", async (t) => {
    for (const servers of shared) await servers.stop();
    endGuard();
    await until(() => Object.keys(leaked(before)).length === 0, { withinMs: 2_000 }).catch(
      () => {},
    );
    t.deepEqual(leaked(before), {}, "sockets and processes that the tests left behind");
  });
}

class SharedServers {
  readonly start: (config: string) => Promise<TestTopology>;
  #open = 0;
  readonly #queue: (() => void)[] = [];
  #topology: Promise<TestTopology> | undefined;
  #accounts = 0;

  constructor(start: (config: string) => Promise<TestTopology>) {
    this.start = start;
  }

  topology(): Promise<TestTopology> {
    this.#topology ??= this.start(configFile());
    return this.#topology;
  }

  /** Waits until fewer worlds are open. */
  async enter(): Promise<void> {
    if (this.#open >= AT_ONCE) await new Promise<void>((resolve) => this.#queue.push(resolve));
    else this.#open++;
  }

  leave(): void {
    const next = this.#queue.shift();
    if (next) next();
    else this.#open--;
  }

  nextAccount(): number {
    if (++this.#accounts >= ACCOUNTS) throw new Error(`More than ${ACCOUNTS} tests in one file.`);
    return this.#accounts;
  }

  async stop(): Promise<void> {
    await (await this.#topology)?.stop();
  }
}

async function openWorld(
  t: ExecutionContext,
  shared: SharedServers,
  options: WorldOptions,
): Promise<World> {
  await shared.enter();
  t.teardown(() => shared.leave());
  const folder = mkdtempSync(join(tmpdir(), "contrail-e2e-"));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const { config } = options;
  const file = config === undefined ? configFile() : join(folder, "nats.conf");
  if (config !== undefined) writeFileSync(file, config);
  const topology = await (options.ownServers ? shared.start(file) : shared.topology());
  if (options.ownServers) t.teardown(() => topology.stop());
  const access = { servers: topology.urls, ...userOf(shared.nextAccount()) };
  const link = await connectNats({ ...access, name: "test" });
  t.teardown(() => link.close());
  if (!options.ownServers) t.teardown(() => removeStreams(link).catch(() => {}));
  const setup = await setupNamespace(link, {
    replicas: topology.replicas,
    shards: options.shards ?? 2,
    claimTimeoutMs: options.claimTimeoutMs ?? 2_000,
  });
  const client = await connect(access);
  t.teardown(() => client.close());
  const world = new OpenedWorld({ topology, access, setup, client, link, folder });
  t.teardown(() => world.endProcesses());
  t.teardown(() => {
    world.leases.close();
    if (!t.passed) world.tell(t);
    const [excess] = world.leases.excesses;
    if (excess) throw new Error(`A pool held more than its slots: ${JSON.stringify(excess)}`);
  });
  return world;
}

/** Thrift, so it may fail: replicated streams keep servers busy when nobody uses them any more. */
async function removeStreams(link: NatsLink): Promise<void> {
  const reply = await link.nc.request("$JS.API.STREAM.NAMES");
  const { streams } = reply.json<{ streams: string[] | null }>();
  await Promise.all((streams ?? []).map((name) => deleteStream(link.requests, name)));
}

type Given = Pick<World, "topology" | "access" | "setup" | "client" | "link" | "folder">;

class OpenedWorld implements World {
  readonly topology: TestTopology;
  readonly access: Access;
  readonly setup: NamespaceSetup;
  readonly client: Client;
  readonly link: NatsLink;
  readonly folder: string;
  readonly effects: EffectFile;
  readonly leases: LeaseObserver;
  readonly #processes: TestProcess[] = [];

  constructor({ topology, access, setup, client, link, folder }: Given) {
    this.topology = topology;
    this.access = access;
    this.setup = setup;
    this.client = client;
    this.link = link;
    this.folder = folder;
    this.effects = new EffectFile(join(folder, "effects.jsonl"));
    this.leases = new LeaseObserver(link, setup.names);
  }

  async startWorker(options: WorkerProcessOptions): Promise<TestProcess> {
    const { tasksFile, failpoints, env, ...rest } = options;
    return this.#start({
      script: new URL("./worker-process.js", import.meta.url),
      options: { ...rest, ...this.access, tasksFile: tasksFile.href },
      env: { ...env, ...(failpoints ? { CONTRAIL_FAILPOINTS: failpoints } : {}) },
    });
  }

  async startEngine({ failpoints }: { readonly failpoints?: string } = {}): Promise<TestProcess> {
    return this.#start({
      script: new URL("./engine-process.js", import.meta.url),
      options: this.access,
      env: failpoints ? { CONTRAIL_FAILPOINTS: failpoints } : {},
    });
  }

  gate(name: string): string {
    const path = join(this.folder, name);
    mkdirSync(dirname(path), { recursive: true });
    return path;
  }

  open(name: string): void {
    writeFileSync(this.gate(name), "");
  }

  isHeld(name: string): boolean {
    return existsSync(`${this.gate(name)}.held`);
  }

  async untilHeld(name: string): Promise<void> {
    await until(() => this.isHeld(name), { withinMs: 30_000, what: `somebody waits at ${name}` });
  }

  async result<Output>(run: RunHandle<Output>, withinMs = 120_000): Promise<Output> {
    const signal = AbortSignal.timeout(withinMs);
    try {
      return await run.result({ signal });
    } catch (error) {
      if (!signal.aborted) throw error;
      const { commits, state } = await run.view();
      const shown = commits.map((commit) => JSON.stringify(commit));
      const what = `Run "${run.runId}" of task "${run.taskName}" is ${state.status}`;
      throw new Error(`${what} after ${withinMs} ms.\n${shown.join("\n")}`);
    }
  }

  async endOf(run: RunHandle): Promise<RunView> {
    const ended = async (): Promise<RunView | undefined> => {
      const view = await run.view();
      return view.state.outcome && view;
    };
    return until(ended, { what: `run "${run.runId}" has ended` });
  }

  async untilStatus(run: RunHandle, status: RunStatus): Promise<RunView> {
    const reached = async (): Promise<RunView | undefined> => {
      const view = await run.view();
      return view.state.status === status ? view : undefined;
    };
    return until(reached, { withinMs: 20_000, what: `run "${run.runId}" is ${status}` });
  }

  async endProcesses(): Promise<void> {
    await Promise.all(this.#processes.map((child) => child.end()));
  }

  /** Tells what the processes logged, when the test has failed. */
  tell(t: ExecutionContext): void {
    for (const child of this.#processes) {
      const shown = child.lines.slice(-40).map((line) => `  ${JSON.stringify(line)}`);
      t.log([`process ${child.pid} ${child.id}`, ...shown, child.stderr()].join("\n"));
    }
  }

  async #start(options: Parameters<typeof startProcess>[0]): Promise<TestProcess> {
    const env = { ...options.env, [EFFECTS_VARIABLE]: this.effects.path };
    const started = await startProcess({ ...options, env });
    this.#processes.push(started);
    return started;
  }
}

/** The user of one account. That of the first is for trying out whether a cluster is ready. */
function userOf(account: number): { readonly user: string; readonly pass: string } {
  return { user: `e2e${account}`, pass: "secret" };
}

let config: string | undefined;

/** A configuration with an account for each test. */
function configFile(): string {
  if (config !== undefined) return config;
  const accounts = Array.from(
    { length: ACCOUNTS },
    (_, i) => `  e2e${i}: { jetstream: enabled, users: [ { user: e2e${i}, password: secret } ] }`,
  );
  const folder = mkdtempSync(join(tmpdir(), "contrail-e2e-config-"));
  process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
  config = join(folder, "nats.conf");
  writeFileSync(config, `accounts {\n${accounts.join("\n")}\n}\n`);
  return config;
}

type Counts = { readonly [kind: string]: number };

/** What keeps a process busy, as Node counts it: sockets and child processes. */
function resources(): Counts {
  const counts: { [kind: string]: number } = {};
  for (const kind of process.getActiveResourcesInfo())
    if (kind === "TCPSocketWrap" || kind === "TCPServerWrap" || kind === "ProcessWrap")
      counts[kind] = (counts[kind] ?? 0) + 1;
  return counts;
}

function leaked(before: Counts): Counts {
  const more = Object.entries(resources()).map(
    ([kind, count]) => [kind, count - (before[kind] ?? 0)] as const,
  );
  return Object.fromEntries(more.filter(([, count]) => count > 0));
}
