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
  if (!(nc instanceof NatsConnectionImpl)) return;
  const { transport } = nc.protocol;
  const socket = "socket" in transport ? transport.socket : undefined;
  // A transport that closes meanwhile removes the listener, so this never meets a later server.
  if (socket instanceof Socket)
    socket.on("end", () => hangUp(nc, "The server ended the connection."));
}
