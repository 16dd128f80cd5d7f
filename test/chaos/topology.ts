/** The servers of a chaos run, and the proxies through which everybody reaches them. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { runCommand } from "../../engine/server/run-command.ts";
import { freePorts } from "../helpers/ports.ts";
import type { Fleet } from "./fleet.ts";
import { NatsServer } from "./nats-server.ts";
import type { Network } from "./network.ts";
import { PacketFilter } from "./packet-filter.ts";
import { TcpProxy } from "./proxy.ts";
import type { Direction } from "./weather.ts";

/** One server, or a cluster of three. */
export type TopologyName = "r1" | "r3";

/** How to open a topology. */
export interface TopologyOptions {
  readonly folder: string;
  readonly hasSmallDisks: boolean;
  readonly network: Network;
}

/** The servers and all ways to them. */
export class Topology {
  readonly name: TopologyName;
  readonly servers: readonly NatsServer[];
  /** Small disks on which servers store, by the server's name; none unless they were asked for. */
  readonly disks: Map<string, string> = new Map();
  /** Loses packets; absent where partitions are made by the proxies alone. */
  readonly #filter: PacketFilter | undefined;
  readonly #fleet: Fleet;
  /** From a process to each server, in the order of the servers. */
  readonly #ways: Map<string, TcpProxy[]> = new Map();
  /** From a server to another one: `<from> <to>`. */
  readonly #routes: Map<string, TcpProxy>;

  private constructor(
    name: TopologyName,
    servers: readonly NatsServer[],
    routes: Map<string, TcpProxy>,
    { fleet, filter }: { readonly fleet: Fleet; readonly filter: PacketFilter | undefined },
  ) {
    this.name = name;
    this.#filter = filter;
    this.#fleet = fleet;
    this.servers = servers;
    this.#routes = routes;
  }

  /**
   * Opens all ways and mounts the disks; no server runs yet.
   * @param hasSmallDisks Whether each is to store on a disk of its own, which is possible where this
   * process may mount one.
   * @param network Who makes partitions.
   */
  static async open(
    name: TopologyName,
    fleet: Fleet,
    { folder, hasSmallDisks, network }: TopologyOptions,
  ): Promise<Topology> {
    mkdirSync(join(folder, "servers"), { recursive: true });
    const names = name === "r1" ? ["server-1"] : ["server-1", "server-2", "server-3"];
    const ports = await freePorts(names.length * 2);
    const filter = network === "namespace" ? await PacketFilter.open() : undefined;
    const routes = new Map<string, TcpProxy>();
    for (const from of names)
      for (const [i, to] of names.entries())
        if (from !== to)
          routes.set(
            `${from} ${to}`,
            await TcpProxy.open(ports[names.length + i] as number, { isForClients: false, filter }),
          );
    const disks = hasSmallDisks ? await mountDisks(folder, names) : new Map<string, string>();
    const servers = names.map((server, i) => {
      const common = { name: server, port: ports[i] as number };
      const storeDir = join(disks.get(server) ?? join(folder, "stores", server), "js");
      if (name === "r1") return new NatsServer(fleet, folder, { ...common, storeDir });
      const others = names.filter((other) => other !== server);
      const cluster = {
        port: ports[names.length + i] as number,
        routes: others.map((other) => (routes.get(`${server} ${other}`) as TcpProxy).port),
      };
      return new NatsServer(fleet, folder, { ...common, storeDir, cluster });
    });
    const topology = new Topology(name, servers, routes, { fleet, filter });
    for (const [server, disk] of disks) {
      topology.disks.set(server, disk);
      fleet.guard(disk);
    }
    return topology;
  }

  /** Starts the servers. */
  async start(): Promise<void> {
    await Promise.all(this.servers.map((server) => server.start()));
  }

  /** Addresses of the servers themselves, for the runner, whom no partition keeps away. */
  get urls(): string[] {
    return this.servers.map(({ settings }) => `nats://127.0.0.1:${settings.port}`);
  }

  /** Addresses for one process: proxies of its own. */
  async urlsFor(process: string): Promise<string[]> {
    let ways = this.#ways.get(process);
    if (!ways) {
      ways = await Promise.all(
        this.servers.map(({ settings }) =>
          TcpProxy.open(settings.port, { isForClients: true, filter: this.#filter }),
        ),
      );
      this.#ways.set(process, ways);
    }
    return ways.map(({ port }) => `nats://127.0.0.1:${port}`);
  }

  /** The proxies between a process and the servers. */
  ways(process: string): readonly TcpProxy[] {
    return this.#ways.get(process) ?? [];
  }

  /** The proxy through which a server reaches another one. */
  route(from: string, to: string): TcpProxy {
    return this.#routes.get(`${from} ${to}`) as TcpProxy;
  }

  /** The server of that name. */
  server(name: string): NatsServer {
    return this.servers.find((server) => server.name === name) as NatsServer;
  }

  /** Who makes partitions. */
  get network(): Network {
    return this.#filter ? "namespace" : "proxies";
  }

  /** How many packets were lost; nothing where none can be. */
  async dropped(): Promise<{ readonly [D in Direction]: number } | undefined> {
    return this.#filter?.dropped();
  }

  /** Lets everything pass. */
  async clear(): Promise<void> {
    await Promise.all(this.#proxies.map((proxy) => proxy.clear()));
  }

  /** Ends the servers and the proxies. */
  async close(): Promise<void> {
    await Promise.all(this.servers.map((server) => server.end("SIGKILL")));
    await Promise.all(this.#proxies.map((proxy) => proxy.close()));
    for (const disk of this.disks.values()) {
      const { failure } = await runCommand("umount", [disk], { timeoutMs: 5_000 });
      if (failure === undefined) this.#fleet.unguard(disk);
    }
  }

  get #proxies(): TcpProxy[] {
    return [...[...this.#ways.values()].flat(), ...this.#routes.values()];
  }
}

const DISK_BYTES = "48m";

/** Disks in memory, one a server; none where this process may not mount any. */
async function mountDisks(folder: string, names: readonly string[]): Promise<Map<string, string>> {
  const disks = new Map<string, string>();
  for (const name of names) {
    const disk = join(folder, "stores", name);
    mkdirSync(disk, { recursive: true });
    const options = ["-t", "tmpfs", "-o", `size=${DISK_BYTES}`, "tmpfs", disk];
    const { failure } = await runCommand("mount", options, { timeoutMs: 5_000 });
    if (failure === undefined) disks.set(name, disk);
  }
  return disks;
}
