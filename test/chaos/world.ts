/**
 * The world of a chaos run: servers, engines, workers and clients as processes. A process that ends is
 * started again, as an operator's supervisor does, until the world is closed.
 */

import { prepareNamespace } from "../../engine/index.ts";
import { connectNats, type NatsLink } from "../../shared/jetstream/connection.ts";
import { Names } from "../../shared/subjects.ts";
import { until } from "../helpers/until.ts";
import { Fleet, type Life, type Role } from "./fleet.ts";
import { CHAOS_USER } from "./nats-server.ts";
import type { Network } from "./network.ts";
import { pause } from "./pause.ts";
import { Random } from "./random.ts";
import { SETTINGS } from "./settings.ts";
import { Topology, type TopologyName } from "./topology.ts";

/** How to open a world. */
export interface WorldOptions {
  readonly folder: string;
  readonly seed: string;
  readonly topology: TopologyName;
  /** Who makes partitions. */
  readonly network: Network;
  /** Whether servers are to store on small disks of their own. */
  readonly hasSmallDisks: boolean;
  /** Whether the clocks of some processes are wrong from the beginning. */
  readonly hasWrongClocks: boolean;
}

/** A place for a process: it has one life after the other. */
export interface Lane {
  readonly name: string;
  readonly role: Role;
  life: Life | undefined;
  lives: number;
  /** Whether it is to be started again when it ends. */
  isWanted: boolean;
  /** Of its next life, and by message of the present one. */
  clockOffsetMs: number;
  /** Of its next life only. */
  failpoints: string;
  /** Whether its next life executes changed code. */
  isChanged: boolean;
}

/** How long after its end a process is started again. */
const RESTART_PAUSE_MS = 400;
const HOUR_MS = 3_600_000;

/** Everything that a fault can be done to. */
export class World {
  readonly folder: string;
  readonly seed: string;
  readonly fleet: Fleet;
  readonly topology: Topology;
  readonly names: Names;
  /** The runner's own connection, past all proxies. */
  readonly link: NatsLink;
  readonly lanes: readonly Lane[];
  /** Runs into whose histories somebody wrote: they may stay as they are. */
  readonly excused: Set<string> = new Set();

  private constructor(options: WorldOptions, fleet: Fleet, topology: Topology, link: NatsLink) {
    this.folder = options.folder;
    this.seed = options.seed;
    this.fleet = fleet;
    this.topology = topology;
    this.link = link;
    this.names = new Names(SETTINGS.namespace, SETTINGS.shards);
    const lanes = (role: Role, count: number): Lane[] =>
      Array.from({ length: count }, (_, i) => ({
        ...{ name: `${role}-${i + 1}`, role, life: undefined, lives: 0 },
        ...{ isWanted: false, clockOffsetMs: 0, failpoints: "", isChanged: false },
      }));
    this.lanes = [
      ...lanes("engine", SETTINGS.engines),
      ...lanes("worker", SETTINGS.workers),
      ...lanes("client", SETTINGS.clients),
    ];
    if (!options.hasWrongClocks) return;
    const random = new Random(options.seed, "clocks");
    for (const lane of this.lanes)
      lane.clockOffsetMs = random.chance(0.5) ? 0 : random.pick([-HOUR_MS, HOUR_MS]);
  }

  /** Starts the servers and sets the namespace up; no other process yet. */
  static async open(options: WorldOptions): Promise<World> {
    const fleet = new Fleet(options.folder);
    const topology = await Topology.open(options.topology, fleet, options);
    try {
      await topology.start();
      const access = { ...CHAOS_USER, servers: topology.urls };
      const { shards, claimTimeoutMs } = SETTINGS;
      const replicas = topology.servers.length;
      const prepare = () => prepareNamespace({ ...access, shards, claimTimeoutMs, replicas });
      await until(prepare, { withinMs: 60_000, everyMs: 200, what: "the namespace is set up" });
      const link = await connectNats({ ...access, name: "chaos runner" });
      return new World(options, fleet, topology, link);
    } catch (error) {
      // Disks that stay mounted and servers that stay up would be nobody's.
      await topology.close();
      fleet.close();
      throw error;
    }
  }

  /** Starts all processes and waits until they are ready. */
  async start(): Promise<void> {
    for (const lane of this.lanes) {
      lane.isWanted = true;
      await this.#begin(lane);
      if (lane.role !== "client") await lane.life?.ready;
    }
  }

  /** The processes of a role that live now. */
  living(role: Role): { readonly lane: Lane; readonly life: Life }[] {
    return this.lanes.flatMap((lane) =>
      lane.role === role && lane.life?.isRunning() ? [{ lane, life: lane.life }] : [],
    );
  }

  /** A lane of a role. */
  pick(random: Random, role: Role): Lane {
    return random.pick(this.lanes.filter((lane) => lane.role === role));
  }

  /** Resolves when a lane has another life, which is ready. */
  async untilReborn(lane: Lane, lives: number): Promise<void> {
    await until(() => lane.lives > lives && lane.life?.id() !== undefined, {
      ...{ withinMs: 60_000, everyMs: 50, what: `${lane.name} is back` },
    });
  }

  /** Ends a lane's process, which is not started again until `revive`. */
  silence(lane: Lane): void {
    lane.isWanted = false;
    lane.life?.kill("SIGKILL");
  }

  /** Starts a silenced lane again; resolves when it is ready. */
  async revive(lane: Lane): Promise<void> {
    const { lives } = lane;
    await lane.life?.exited;
    lane.isWanted = true;
    await this.#begin(lane);
    await this.untilReborn(lane, lives);
  }

  /** Sets the clock of a lane, now and for its next lives. */
  setClock(lane: Lane, offsetMs: number): void {
    lane.clockOffsetMs = offsetMs;
    lane.life?.send({ clockMs: offsetMs });
  }

  /** Undoes whatever faults may have left: all servers up, all ways open, all processes at work. */
  async heal(): Promise<void> {
    await this.topology.clear();
    for (const server of this.topology.servers) {
      server.signal("SIGCONT");
      server.limitStorage();
      if (!server.isRunning) await server.start();
    }
    for (const lane of this.lanes) {
      lane.failpoints = "";
      lane.isChanged = false;
      this.setClock(lane, 0);
      lane.life?.kill("SIGCONT");
      if (lane.role !== "client") await until(() => lane.life?.id(), { withinMs: 60_000 });
    }
  }

  /** Ends all processes of a role as an operator does; after some time, with violence. */
  async end(role: Role, withinMs = 20_000): Promise<void> {
    await Promise.all(
      this.lanes
        .filter((lane) => lane.role === role)
        .map(async (lane) => {
          lane.isWanted = false;
          const { life } = lane;
          if (!life?.isRunning()) return;
          life.kill("SIGTERM");
          await Promise.race([life.exited, pause(withinMs)]);
          life.kill("SIGKILL");
          await life.exited;
        }),
    );
  }

  /** Ends everything. */
  async close(): Promise<void> {
    for (const role of ["client", "worker", "engine"] as const) await this.end(role, 0);
    await this.link.close();
    await this.topology.close();
    this.fleet.close();
  }

  async #begin(lane: Lane): Promise<void> {
    const servers = await this.topology.urlsFor(lane.name);
    const { name, role, clockOffsetMs, failpoints } = lane;
    const { slots, warmRuns, runsAtOnce, shards, claimTimeoutMs } = SETTINGS;
    const own = {
      worker: { slots, warmRuns, drainTimeout: "2s", name: "chaos" },
      engine: { shards, claimTimeoutMs, name: "chaos" },
      client: { seed: this.seed, runsAtOnce, firstRun: lane.lives * 1_000_000 },
    }[role];
    const options = { servers, ...CHAOS_USER, ...own };
    const { isChanged } = lane;
    const life = this.fleet.start({
      ...{ role, lane: name, life: lane.lives++, options, clockOffsetMs, failpoints, isChanged },
      slots: role === "worker" ? slots : undefined,
    });
    lane.life = life;
    lane.failpoints = "";
    lane.isChanged = false;
    void life.exited.then(async () => {
      await pause(RESTART_PAUSE_MS);
      if (lane.isWanted) await this.#begin(lane);
    });
  }
}
