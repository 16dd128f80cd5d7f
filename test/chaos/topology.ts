/** The servers of a chaos run, and the proxies through which everybody reaches them. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { freePorts } from "../helpers/nats.ts";
import type { Fleet } from "./fleet.ts";
import { NatsServer } from "./nats-server.ts";
import { TcpProxy } from "./proxy.ts";

/** One server, or a cluster of three. */
export type TopologyName = "r1" | "r3";

/** The servers and all ways to them. */
export class Topology {
  readonly name: TopologyName;
  readonly servers: readonly NatsServer[];
  /** From a process to each server, in the order of the servers. */
  readonly #ways: Map<string, TcpProxy[]> = new Map();
  /** From a server to another one: `<from> <to>`. */
  readonly #routes: Map<string, TcpProxy>;

  private constructor(
    name: TopologyName,
    servers: readonly NatsServer[],
    routes: Map<string, TcpProxy>,
  ) {
    this.name = name;
    this.servers = servers;
    this.#routes = routes;
  }

  /** Starts the servers. */
  static async open(name: TopologyName, fleet: Fleet, folder: string): Promise<Topology> {
    mkdirSync(join(folder, "servers"), { recursive: true });
    const names = name === "r1" ? ["server-1"] : ["server-1", "server-2", "server-3"];
    const ports = await freePorts(names.length * 2);
    const routes = new Map<string, TcpProxy>();
    for (const from of names)
      for (const [i, to] of names.entries())
        if (from !== to)
          routes.set(
            `${from} ${to}`,
            await TcpProxy.open(ports[names.length + i] as number, false),
          );
    const servers = names.map((server, i) => {
      const common = { name: server, port: ports[i] as number };
      const storeDir = join(folder, "stores", server);
      if (name === "r1") return new NatsServer(fleet, folder, { ...common, storeDir });
      const others = names.filter((other) => other !== server);
      const cluster = {
        port: ports[names.length + i] as number,
        routes: others.map((other) => (routes.get(`${server} ${other}`) as TcpProxy).port),
      };
      return new NatsServer(fleet, folder, { ...common, storeDir, cluster });
    });
    await Promise.all(servers.map((server) => server.start()));
    return new Topology(name, servers, routes);
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
        this.servers.map(({ settings }) => TcpProxy.open(settings.port, true)),
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

  /** Lets everything pass. */
  clear(): void {
    for (const ways of this.#ways.values()) for (const way of ways) way.clear();
    for (const route of this.#routes.values()) route.clear();
  }

  /** Ends the servers and the proxies. */
  async close(): Promise<void> {
    await Promise.all(this.servers.map((server) => server.end("SIGKILL")));
    const proxies = [...[...this.#ways.values()].flat(), ...this.#routes.values()];
    await Promise.all(proxies.map((proxy) => proxy.close()));
  }
}
