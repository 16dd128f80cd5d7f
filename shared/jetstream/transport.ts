/** The socket below a connection: when and how a server is left. */
import { Socket } from "node:net";
import { type NatsConnection, NatsConnectionImpl } from "@nats-io/transport-node";

/**
 * Leaves a server at once. The client wants to send what is buffered before it does, which never
 * ends when the server reads nothing: it was seen to wait for as long as the server was paused.
 */
export function hangUp(nc: NatsConnection, why: string): void {
  if (nc instanceof NatsConnectionImpl) void nc.protocol.transport.close(new Error(why)); // never rejects
}

/**
 * Leaves the server as soon as it has ended the connection; to be called for each new connection to
 * a server. The client would go on writing until its own end is sent. Such a write fails with an
 * error event a moment later, and when the client is closed in that moment it has taken its listeners
 * off the socket: the event ends the process. After this, nothing is written any more.
 */
export function hangUpAtEnd(nc: NatsConnection): void {
  // A transport that closes meanwhile removes the listener, so this never meets a later server.
  socketOf(nc)?.on("end", () => hangUp(nc, "The server ended the connection."));
}

/**
 * Sends what is written in answer to one piece that was read in one piece too; to be called for each
 * new connection to a server. The client writes to the socket whenever its queue of microtasks gives
 * it a chance, which is several times for one piece: each costs a call of the system, and wakes the
 * server. What is written at another time goes at once.
 */
export function gatherWrites(nc: NatsConnection): void {
  const socket = socketOf(nc);
  socket?.on("data", () => {
    if (socket.writableCorked > 0) return;
    socket.cork();
    setImmediate(() => socket.uncork());
  });
}

function socketOf(nc: NatsConnection): Socket | undefined {
  if (!(nc instanceof NatsConnectionImpl)) return undefined;
  const { transport } = nc.protocol;
  const socket = "socket" in transport ? transport.socket : undefined;
  return socket instanceof Socket ? socket : undefined;
}
