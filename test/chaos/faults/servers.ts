/** Servers that die, are restarted one after the other, or all at once. */
import { pause } from "../pause.ts";
import { leaderOf, untilWritable } from "../writability.ts";
import type { FaultKind } from "./fault.ts";

const killServer: FaultKind = {
  family: "server",
  kind: "kill-server",
  weight: 2,
  lastsMs: [0, 2_000],
  async inject(world, random) {
    const server = random.pick(world.topology.servers);
    await server.end("SIGKILL");
    return { target: server.name, heal: () => server.start() };
  },
};

const killLeader: FaultKind = {
  family: "server",
  kind: "kill-server-leader",
  topology: "r3",
  weight: 3,
  lastsMs: [0, 0],
  async inject(world, random) {
    const shard = random.whole(0, world.names.shardCount - 1);
    const stream = world.names.logStream(shard);
    const leader = await leaderOf(world.link, stream);
    const server = world.topology.servers.find(({ name }) => name === leader);
    if (!server?.isRunning) return undefined;
    const killedAt = performance.now();
    await server.end("SIGKILL");
    const staysMs = random.whole(500, 6_000);
    return {
      target: server.name,
      detail: stream,
      async heal() {
        const writable = untilWritable(world, shard, killedAt);
        await pause(staysMs);
        await server.start();
        return { stream, recoveredMs: await writable };
      },
    };
  },
};

const stepDown: FaultKind = {
  family: "server",
  kind: "leader-steps-down",
  topology: "r3",
  lastsMs: [0, 0],
  async inject(world, random) {
    const { names, link } = world;
    const stream = random.pick([names.eventsStream, names.logStream(0), names.logStream(1)]);
    const leader = await leaderOf(link, stream);
    link.nc.publish(`$JS.API.STREAM.LEADER.STEPDOWN.${stream}`);
    return { target: stream, detail: { leader }, heal: async () => undefined };
  },
};

const rollingRestart: FaultKind = {
  family: "server",
  kind: "rolling-restart",
  lastsMs: [0, 0],
  async inject(world, random) {
    return {
      target: "all servers",
      async heal() {
        for (const server of world.topology.servers) {
          await server.end("SIGTERM");
          await server.start();
          await pause(random.whole(200, 3_000));
        }
      },
    };
  },
};

const fullRestart: FaultKind = {
  family: "server",
  kind: "full-restart",
  lastsMs: [0, 1_500],
  async inject(world, random) {
    const signal = random.pick(["SIGKILL", "SIGTERM"] as const);
    const { servers } = world.topology;
    await Promise.all(servers.map((server) => server.end(signal)));
    return {
      target: "all servers",
      detail: signal,
      async heal() {
        await Promise.all(servers.map((server) => server.start()));
      },
    };
  },
};

/** The faults of this family. */
export const serverFaults: readonly FaultKind[] = [
  killServer,
  killLeader,
  stepDown,
  rollingRestart,
  fullRestart,
];
