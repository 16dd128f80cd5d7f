/**
 * Everything an end-to-end test needs: real servers, a namespace of its own in an account of its
 * own, processes with workers and engines, a client, the file of side effects, the leases. When the
 * test is over everything ends, and what must hold in every test is checked: no pool held more than
 * its slots, and nothing leaks.
 *
 * Tests of one file share servers. Each has an account to itself, with its own streams, events
 * included, so they cannot see each other.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ExecutionContext, TestFn } from "ava";
import { setupNamespace } from "../../../engine/setup.ts";
import type { Entry } from "../../../shared/entries.ts";
import { type Client, connect, type RunView } from "../../../shared/index.ts";
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
}

/** How to start a worker process. */
export interface WorkerProcessOptions {
  /** A compiled module that exports tasks: `new URL("./tasks/x.js", import.meta.url)`. */
  readonly tasksFile: URL;
  readonly slots?: { readonly regular?: number; readonly durable?: number };
  readonly warmRuns?: number;
  readonly drainTimeout?: string;
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
  /** Lets processes that wait at `hold:<file>` of this world go on. */
  letGo(name: string): void;
  /** Path of the file that `letGo(name)` makes. */
  gate(name: string): string;
  /** All entries of a run in order. */
  entries(taskName: string, runId: string): Promise<Entry[]>;
}

/** Opens a world for a test. */
export type OpenWorld = (t: ExecutionContext, options?: WorldOptions) => Promise<World>;

/** How many tests of one file may share a server. */
const ACCOUNTS = 60;

/**
 * Declares the same tests for one server and for a cluster of three, which start when the first test
 * needs them and end with the file.
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
    const servers = new SharedServers(title === "R1" ? startTestServer : startTestCluster);
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
  #topology: Promise<TestTopology> | undefined;
  #accounts = 0;

  constructor(start: (config: string) => Promise<TestTopology>) {
    this.start = start;
  }

  topology(): Promise<TestTopology> {
    this.#topology ??= this.start(configFile());
    return this.#topology;
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
  const folder = mkdtempSync(join(tmpdir(), "contrail-e2e-"));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const topology = await (options.ownServers ? shared.start(configFile()) : shared.topology());
  if (options.ownServers) t.teardown(() => topology.stop());
  const account = `e2e${shared.nextAccount()}`;
  const access = { servers: topology.urls, user: account, pass: "secret" };
  const link = await connectNats({ ...access, name: "test" });
  t.teardown(() => link.close());
  const setup = await setupNamespace(link, {
    replicas: topology.replicas,
    shards: options.shards ?? 2,
    claimTimeoutMs: options.claimTimeoutMs ?? 1_000,
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
    return join(this.folder, name);
  }

  letGo(name: string): void {
    writeFileSync(this.gate(name), "");
  }

  async entries(taskName: string, runId: string): Promise<Entry[]> {
    const view: RunView = await this.client.get(taskName, runId).view();
    return view.commits.flatMap(({ entries }) => entries);
  }

  async endProcesses(): Promise<void> {
    await Promise.all(this.#processes.map((child) => child.end()));
  }

  /** Tells what the processes logged, when the test has failed. */
  tell(t: ExecutionContext): void {
    for (const { pid, id, lines, stderr } of this.#processes) {
      const shown = lines.slice(-40).map((line) => `  ${JSON.stringify(line)}`);
      t.log([`process ${pid} ${id}`, ...shown, stderr()].join("\n"));
    }
  }

  async #start(options: Parameters<typeof startProcess>[0]): Promise<TestProcess> {
    const env = { ...options.env, [EFFECTS_VARIABLE]: this.effects.path };
    const started = await startProcess({ ...options, env });
    this.#processes.push(started);
    return started;
  }
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
