/**
 * Two ends of TCP connections in a network namespace, and a filter between them. packet-filter.test.ts
 * starts it with the name of a trial; it goes on inside, and prints what it saw, as JSON.
 */
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { until } from "../../helpers/until.ts";
import { findEntrance, goOnInside, isInNamespace, openLoopback } from "../network.ts";
import { EMPTY_RULES, PacketFilter } from "../packet-filter.ts";
import { TcpProxy } from "../proxy.ts";
import type { Direction } from "../weather.ts";

if (!isInNamespace()) {
  const { command, why } = await findEntrance(EMPTY_RULES);
  if (!command) throw new Error(why);
  process.exit(await goOnInside(command, process.argv.slice(1)));
}
await openLoopback();
const filter = await PacketFilter.open();

/** What has come in at an end, and the end. */
interface End {
  readonly socket: Socket;
  heard: string;
}

const accepted: End[] = [];
const server = createServer((socket) => void accepted.push(endOf(socket)));
server.listen(0, "127.0.0.1");
await once(server, "listening");
const { port } = server.address() as { readonly port: number };

function endOf(socket: Socket): End {
  const end: End = { socket, heard: "" };
  socket.on("error", () => {});
  socket.on("data", (bytes: Buffer) => {
    end.heard += bytes.toString();
  });
  return end;
}

/** Two ends that have heard of each other. */
async function pair(to: number): Promise<{ readonly near: End; readonly far: End }> {
  const count = accepted.length;
  const near = endOf(connect({ host: "127.0.0.1", port: to }));
  await once(near.socket, "connect");
  const far = await until(() => accepted[count]);
  near.socket.write("hello");
  await until(() => far.heard === "hello");
  far.socket.write("welcome");
  await until(() => near.heard === "welcome");
  return { near, far };
}

/** Resolves when more packets of a direction were dropped than before. */
async function untilDropped(direction: Direction): Promise<void> {
  const before = (await filter.dropped())[direction];
  await until(async () => (await filter.dropped())[direction] > before);
}

const trials: { readonly [name: string]: () => Promise<unknown> } = {
  async unanswered() {
    await filter.hold("up", port, true);
    const { socket } = endOf(connect({ host: "127.0.0.1", port }));
    const isConnected = once(socket, "connect");
    await untilDropped("up");
    const held = { isConnecting: socket.connecting, accepted: accepted.length };
    await filter.hold("up", port, false);
    await isConnected;
    await until(() => accepted.length === 1);
    return { held, healed: { isConnecting: socket.connecting, accepted: accepted.length } };
  },

  async goesOn() {
    const { near, far } = await pair(port);
    await Promise.all([filter.hold("up", port, true), filter.hold("down", port, true)]);
    near.socket.write(" up");
    far.socket.write(" down");
    await untilDropped("up");
    await untilDropped("down");
    const held = { near: near.heard, far: far.heard };
    await Promise.all([filter.hold("up", port, false), filter.hold("down", port, false)]);
    await until(() => near.heard === "welcome down" && far.heard === "hello up");
    return { held, healed: { near: near.heard, far: far.heard } };
  },

  oneWayUp: () => oneWay("up"),
  oneWayDown: () => oneWay("down"),

  async overlapping() {
    const weather = { isHeld: true };
    const proxy = await TcpProxy.open(port, { isForClients: false, filter });
    const { near, far } = await pair(proxy.port);
    await Promise.all([proxy.add("up", weather), proxy.add("up", weather)]);
    await proxy.remove("up", weather);
    near.socket.write(" a");
    await untilDropped("up");
    const one = far.heard;
    await proxy.remove("up", weather);
    await until(() => far.heard === "hello a");
    await Promise.all([proxy.add("up", weather), proxy.add("down", weather)]);
    near.socket.write(" b");
    await untilDropped("up");
    const two = far.heard;
    await proxy.clear();
    await until(() => far.heard === "hello a b");
    return { one, two, healed: far.heard };
  },
};

/** What is lost in one direction; the other end is heard all the while. */
async function oneWay(direction: Direction): Promise<unknown> {
  const { near, far } = await pair(port);
  const [from, to] = direction === "up" ? [near, far] : [far, near];
  const before = to.heard;
  await filter.hold(direction, port, true);
  to.socket.write(" other");
  await until(() => from.heard.endsWith(" other"));
  from.socket.write(" lost");
  await untilDropped(direction);
  const isLost = to.heard === before;
  await filter.hold(direction, port, false);
  await until(() => to.heard === `${before} lost`);
  return { isLost, other: from.heard };
}

writeFileSync(1, JSON.stringify(await trials[process.argv[2] ?? ""]?.()));
process.exit(0);
