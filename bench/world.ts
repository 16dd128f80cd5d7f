/** The processes of one scenario: servers, engine, worker, client, and those of the ceiling. */
import type { RawClientCalls } from "./ceiling/raw-client.ts";
import type { RawKind } from "./ceiling/raw-streams.ts";
import type { RawWorkerCalls } from "./ceiling/raw-worker.ts";
import { Child } from "./processes/child.ts";
import type { ClientCalls } from "./processes/client.ts";
import type { EngineCalls } from "./processes/engine.ts";
import type { WorkerCalls, WorkerSettings } from "./processes/worker.ts";
import { openServers, type Servers } from "./servers.ts";
import type { Settings } from "./settings.ts";

/** What a scenario needs. */
export interface Needs extends Partial<Omit<WorkerSettings, "servers" | "namespace">> {
  readonly scenario: string;
  /** What the ceiling's worker does; none: the ceiling is a client alone. */
  readonly rawKinds?: readonly RawKind[];
  /** Whether the ceiling has a process in the engine's place. */
  readonly rawMatcher?: boolean;
  readonly rawTimesStarts?: boolean;
}

/** CPU that each part used, in microseconds. */
export interface CpuUse {
  readonly client: number;
  readonly worker: number;
  readonly engine: number;
  readonly server: number;
}

/** The parts of one side. */
interface Side {
  readonly client: Pick<Child<object>, "usage">;
  readonly worker?: Pick<Child<object>, "usage"> | undefined;
  readonly engine?: Pick<Child<object>, "usage"> | undefined;
}

const script = (name: string): URL => new URL(name, import.meta.url);

/** All processes of a scenario, fresh, over empty stores. */
export class World {
  readonly servers: Servers;
  readonly engine: Child<EngineCalls>;
  readonly worker: Child<WorkerCalls>;
  readonly client: Child<ClientCalls>;
  readonly rawClient: Child<RawClientCalls>;
  readonly rawWorker: Child<RawWorkerCalls>;
  readonly rawEngine: Child<RawWorkerCalls>;

  private constructor(servers: Servers, scenario: string, settings: Settings) {
    this.servers = servers;
    const child = <C extends object>(role: string, file: string): Child<C> => {
      const { profileTo } = settings;
      const path = profileTo === undefined ? undefined : `${profileTo}/${scenario}`;
      return new Child<C>({ role, script: script(file), profileTo: path });
    };
    this.engine = child("engine", "processes/engine.js");
    this.worker = child("worker", "processes/worker.js");
    this.client = child("client", "processes/client.js");
    this.rawClient = child("raw-client", "ceiling/raw-client.js");
    this.rawWorker = child("raw-worker", "ceiling/raw-worker.js");
    this.rawEngine = child("raw-engine", "ceiling/raw-worker.js");
  }

  /** Starts everything. @throws {Error} When something does not start; nothing is left behind. */
  static async open(needs: Needs, settings: Settings, say: (line: string) => void): Promise<World> {
    const servers = await openServers(settings, say);
    const world = new World(servers, needs.scenario, settings);
    try {
      await world.#start(needs, settings);
      return world;
    } catch (error) {
      await world.close();
      throw error;
    }
  }

  async #start(needs: Needs, { shards, replicas, servers: given }: Settings): Promise<void> {
    const { urls: servers } = this.servers;
    const namespace = given.length === 0 ? "contrail" : `bench-${process.pid}`;
    const removes = given.length === 0 ? undefined : namespace;
    const { tasks = ["noop"], slots, warmRuns, rawKinds = [] } = needs;
    await this.engine.call("start", { servers, namespace, shards, replicas });
    await this.rawClient.call("start", { servers, shards, replicas, removes });
    await this.worker.call("start", {
      ...{ servers, namespace, tasks },
      ...(slots === undefined ? {} : { slots }),
      ...(warmRuns === undefined ? {} : { warmRuns }),
    });
    await this.client.call("start", { servers, namespace });
    const { rawMatcher = false, rawTimesStarts = false } = needs;
    const raw = { servers, shards };
    await this.rawWorker.call("start", { ...raw, kinds: rawKinds, timesStarts: rawTimesStarts });
    if (rawMatcher) await this.rawEngine.call("start", { ...raw, kinds: [], matches: true });
  }

  /** Our side. */
  get ours(): Side {
    return { client: this.client, worker: this.worker, engine: this.engine };
  }

  /** The ceiling's side. */
  get ceiling(): Side {
    return { client: this.rawClient, worker: this.rawWorker, engine: this.rawEngine };
  }

  /** Acts, and says how much CPU one side and the servers used meanwhile. */
  async measureCpu<T>(
    side: Side,
    act: () => Promise<T>,
  ): Promise<{ readonly value: T; readonly cpu: CpuUse }> {
    const before = await this.#cpu(side);
    const value = await act();
    const after = await this.#cpu(side);
    const cpu = {
      client: after.client - before.client,
      worker: after.worker - before.worker,
      engine: after.engine - before.engine,
      server: after.server - before.server,
    };
    return { value, cpu };
  }

  async #cpu({ client, worker, engine }: Side): Promise<CpuUse> {
    const read = async (child: Side["worker"]): Promise<number> =>
      child ? (await child.usage()).cpuUs : Number.NaN;
    const server = this.servers.cpuUs();
    const [c, w, e] = await Promise.all([read(client), read(worker), read(engine)]);
    return { client: c, worker: w, engine: e, server };
  }

  /** Ends everything and removes the stores. Safe to repeat. */
  async close(): Promise<void> {
    await Promise.all(
      [this.client, this.worker, this.rawWorker, this.rawEngine].map((child) => child.close()),
    );
    await this.engine.close();
    await this.rawClient.close();
    await this.servers.stop();
  }
}
