/** Subscribers that do not read what they asked for. */
import { connect } from "node:net";
import { CHAOS_USER } from "../nats-server.ts";
import { disturb } from "../proxy.ts";
import type { FaultKind } from "./fault.ts";

/** Asks for everything and reads nothing. The server has to bear it, and to get rid of it. */
const deafSubscriber: FaultKind = {
  family: "slow",
  kind: "deaf-subscriber",
  lastsMs: [3_000, 10_000],
  async inject(world, random) {
    const server = random.pick(world.topology.servers);
    const socket = connect({ host: "127.0.0.1", port: server.settings.port });
    socket.on("error", () => {});
    const { user, pass } = CHAOS_USER;
    const hello = { verbose: false, pedantic: false, user, pass, headers: true };
    socket.write(`CONNECT ${JSON.stringify(hello)}\r\nSUB > 1\r\nPING\r\n`);
    socket.pause();
    return { target: server.name, heal: async () => void socket.destroy() };
  },
};

/** What a worker is sent is not read for longer than the server waits. */
const slowWorker: FaultKind = {
  family: "slow",
  kind: "slow-worker",
  lastsMs: [4_000, 8_000],
  async inject(world, random) {
    const { name } = world.pick(random, random.pick(["worker", "engine"]));
    const ways = world.topology.ways(name);
    const weather = { isUnread: true };
    const heal = await disturb(ways.map((way) => ({ way, direction: "down", weather })));
    return { target: name, heal };
  },
};

/** The faults of this family. */
export const slowConsumers: readonly FaultKind[] = [deafSubscriber, slowWorker];
