/** A worker process: `node worker.js NAME`. Start as many as you like, on any machine. */
import { startWorker } from "contrail/worker";
import { closeWhenAsked } from "./lifetime.ts";
import { fulfil, packItem } from "./tasks.ts";

const worker = await startWorker({
  servers: process.env.NATS_URL ?? "nats://127.0.0.1:4222",
  name: process.argv[2] ?? "worker",
  tasks: [fulfil, packItem],
  slots: { regular: 2, durable: 2 },
  log: console,
});

closeWhenAsked(worker, worker.id);
