/** A process that does nothing for a while, like one that computes, and what comes meanwhile. */
import { once } from "node:events";
import { Worker } from "node:worker_threads";
import type { ExecutionContext } from "ava";

/** What to publish, where, and for how long to stand still behind that. */
export interface Standstill {
  readonly port: number;
  readonly subject: string;
  readonly forMs: number;
}

/**
 * Blocks this thread until another one has published a message, and for a while longer: what the
 * server sends here in answer waits in the socket.
 * @throws {Error} When the message is not published within 30 s.
 */
export async function standStillWhilePublishing(
  t: Pick<ExecutionContext, "teardown">,
  { port, subject, forMs }: Standstill,
): Promise<void> {
  const turns = new Int32Array(new SharedArrayBuffer(8));
  const message = `PUB ${subject} 1\r\n1\r\nPING\r\n`;
  const thread = new Worker(THREAD, { eval: true, workerData: { turns, port, message } });
  t.teardown(() => thread.terminate());
  await once(thread, "message"); // it is connected
  Atomics.store(turns, 0, 1);
  Atomics.notify(turns, 0);
  if (Atomics.wait(turns, 1, 0, 30_000) === "timed-out") throw new Error("Nothing was published.");
  Atomics.wait(turns, 0, 1, forMs);
}

/** Says that it is connected, waits for its turn, publishes, and says so when the server has it. */
const THREAD = `
  const { connect } = require("node:net");
  const { parentPort, workerData: { turns, port, message } } = require("node:worker_threads");
  let pongs = 0;
  const socket = connect(port, "127.0.0.1", () => socket.write("CONNECT {}\\r\\nPING\\r\\n"));
  socket.on("data", (data) => {
    pongs += String(data).split("PONG").length - 1;
    if (pongs === 1) {
      parentPort.postMessage("connected");
      Atomics.wait(turns, 0, 0);
      socket.write(message);
    } else if (pongs === 2) {
      Atomics.store(turns, 1, 1);
      Atomics.notify(turns, 1);
    }
  });
`;
