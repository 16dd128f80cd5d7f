/** A nats-server of a chaos run: a process with a configuration file, a store and a log of its own. */
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, openSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { findServerBinary } from "../helpers/nats.ts";
import { until } from "../helpers/until.ts";
import type { Fleet } from "./fleet.ts";
import { pause } from "./pause.ts";

/** What a server is configured with. */
export interface ServerSettings {
  readonly name: string;
  readonly port: number;
  readonly storeDir: string;
  /** The port for other servers, and where to find them; absent for a server alone. */
  readonly cluster?: { readonly port: number; readonly routes: readonly number[] };
}

/** Who the processes of a chaos run connect as. */
export const CHAOS_USER = { user: "chaos", pass: "secret" } as const;
/** What the account may store unless it is to reach its limit. */
const PLENTY = "4G";
/** How long a server may take to shut down. */
const SHUTDOWN_MS = 20_000;

/** One server, over its lives. */
export class NatsServer {
  readonly settings: ServerSettings;
  readonly #fleet: Fleet;
  readonly #folder: string;
  readonly #config: string;
  #child: ChildProcess | undefined;
  #life = -1;
  #isExpected = false;
  #isLimited = false;

  constructor(fleet: Fleet, folder: string, settings: ServerSettings) {
    this.settings = settings;
    this.#fleet = fleet;
    this.#folder = folder;
    this.#config = join(folder, "servers", `${settings.name}.conf`);
    this.#configure(PLENTY);
  }

  get name(): string {
    return this.settings.name;
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  get isRunning(): boolean {
    return this.#child !== undefined;
  }

  /** Starts it; resolves when it accepts connections. */
  async start(): Promise<void> {
    if (this.#child) return;
    const { name } = this.settings;
    const log = join("logs", `${name}.log`);
    const path = join(this.#folder, log);
    const fd = openSync(path, "a");
    const from = statSync(path).size;
    this.#isExpected = false;
    const child = spawn(findServerBinary(), ["--config", this.#config], {
      stdio: ["ignore", fd, fd],
      detached: true, // Ctrl-C reaches the runner alone
    });
    closeSync(fd);
    this.#child = child;
    const common = { process: name, role: "server", life: ++this.#life, pid: child.pid, log };
    this.#fleet.guard(child.pid as number);
    this.#fleet.tell({ edge: "start", ...common });
    child.once("exit", (code, signal) => {
      this.#fleet.unguard(child.pid as number);
      if (this.#child === child) this.#child = undefined;
      this.#fleet.tell({ edge: "exit", ...common, code, signal, expected: this.#isExpected });
    });
    const written = (): string => readFileSync(path).subarray(from).toString();
    await until(() => this.#child !== child || written().includes("Server is ready"), {
      ...{ withinMs: 20_000, everyMs: 25, what: `${name} is ready` },
    });
    if (this.#child !== child) throw new Error(`${name} ended at once; see ${log}.`);
    this.#fleet.tell({ edge: "ready", ...common });
  }

  /** Sends a signal. */
  signal(signal: NodeJS.Signals): void {
    this.#child?.kill(signal);
  }

  /**
   * SIGKILL, or another end; resolves when it is gone. A server that has met a full disk may hang while
   * it shuts down (seen with 2.15.1): then whoever operates it kills it.
   */
  async end(signal: "SIGKILL" | "SIGTERM" = "SIGKILL"): Promise<void> {
    const child = this.#child;
    if (!child) return;
    this.#isExpected = true;
    const gone = new Promise((resolve) => child.once("exit", resolve));
    child.kill(signal);
    child.kill("SIGCONT"); // a stopped process takes only SIGKILL
    const over = new AbortController();
    void gone.then(() => over.abort());
    await pause(SHUTDOWN_MS, over.signal);
    child.kill("SIGKILL"); // says nothing to one that is gone
    await gone;
  }

  /** Gives the account another limit for what it may store, in bytes; none: plenty. */
  limitStorage(bytes?: number): void {
    // A server that reads its configuration again knows no users for a moment.
    if (bytes === undefined && !this.#isLimited) return;
    this.#isLimited = bytes !== undefined;
    this.#configure(bytes === undefined ? PLENTY : String(bytes));
    this.signal("SIGHUP");
  }

  #configure(maxFile: string): void {
    const { name, port, storeDir, cluster } = this.settings;
    const { user, pass } = CHAOS_USER;
    const lines = [
      `server_name: ${name}`,
      `listen: "127.0.0.1:${port}"`,
      `jetstream { store_dir: "${storeDir}", sync_interval: "2m", max_file: 8G }`,
      'write_deadline: "3s"',
      "max_pending: 2MB",
      "accounts {",
      `  chaos: { jetstream: { max_file: ${maxFile} }, users: [ { user: ${user}, password: ${pass} } ] }`,
      "}",
    ];
    if (cluster) {
      const routes = cluster.routes.map((route) => `"nats://127.0.0.1:${route}"`).join(", ");
      lines.push(
        ...["cluster {", "  name: chaos", `  listen: "127.0.0.1:${cluster.port}"`],
        // Nobody may find a way around the proxies: what others learn of this server leads nowhere.
        ...["  no_advertise: true", '  advertise: "127.0.0.1:9"', "  compression: off"],
        ...[`  routes: [ ${routes} ]`, "}"],
      );
    }
    writeFileSync(this.#config, `${lines.join("\n")}\n`);
  }
}
