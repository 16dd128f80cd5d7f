import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import type { NatsConnectionImpl } from "@nats-io/transport-node";
import test, { type ExecutionContext } from "ava";
import { connectNats, type NatsLink } from "../../../shared/jetstream/connection.ts";
import { until } from "../../helpers/until.ts";
import { bytes } from "./fixtures.ts";

/** A server that answers pings and nothing else. `peers` are its sides of the connections. */
async function startMute(t: ExecutionContext): Promise<{ servers: string; peers: Socket[] }> {
  const peers: Socket[] = [];
  const info = { server_id: "mute", version: "2.15.1", max_payload: 1_048_576, headers: true };
  const server = createServer({ allowHalfOpen: true }, (peer) => {
    peers.push(peer);
    peer.on("error", () => {}); // the other side hangs up
    peer.on("data", (data) => {
      if (data.includes("PING")) peer.write("PONG\r\n");
    });
    peer.write(`INFO ${JSON.stringify(info)}\r\n`);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.teardown(() => {
    for (const peer of peers) peer.destroy();
    server.close();
  });
  return { servers: `127.0.0.1:${(server.address() as AddressInfo).port}`, peers };
}

/** Long until a ping, so that a lost connection is seen by other means. */
async function openLink(t: ExecutionContext, servers: string): Promise<NatsLink> {
  const link = await connectNats({ servers, pingIntervalMs: 3_600_000 });
  t.teardown(() => link.close());
  return link;
}

/** The socket that the client has now. */
function socketOf(link: NatsLink): Socket {
  const transport = (link.nc as NatsConnectionImpl).protocol.transport as { socket?: Socket };
  return transport.socket as Socket;
}

test("a server that ends the connection and reads no more is left at once", async (t) => {
  const { servers, peers } = await startMute(t);
  const link = await openLink(t, servers);
  for (const round of [1, 2]) {
    t.is(peers.length, round);
    const peer = peers.at(-1) as Socket;
    peer.pause();
    // More than the buffers of the operating system hold.
    const writes = Array.from({ length: 100 }, () =>
      link.publisher.publish("a", new Uint8Array(1e5)),
    );
    let isLost = false;
    link.onDisconnect(() => {
      isLost = true;
    });
    peer.end();
    await until(() => isLost, { what: "the connection is lost" });
    t.like((await Promise.all(writes)).at(-1), { kind: "unknown", reason: "disconnected" });
    await until(() => link.isConnected, { what: "the connection is back" });
  }
});

test("closing a connection in the moment in which its server ended it harms nobody", async (t) => {
  const { servers, peers } = await startMute(t);
  const link = await openLink(t, servers);
  const ended = once(socketOf(link), "end");
  peers[0]?.end();
  await ended;
  // Sent by a microtask before that in which the client leaves the socket.
  link.nc.publish("a", bytes("x"));
  await link.close();
  await new Promise(setImmediate);
  t.true(link.nc.isClosed(), "and no error was raised");
});
