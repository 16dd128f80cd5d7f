/**
 * `npm start`: an order from its start to its end, with a server, an engine and two workers, each a
 * process of its own. `--once` ends after the first order; NATS_URL names a cluster to use instead of
 * a server of its own. What a user would write is in tasks.ts, worker.ts and engine.ts.
 */
import { connect } from "contrail";
import { type Cluster, openCluster } from "./demo/cluster.ts";
import { Processes } from "./demo/processes.ts";
import { Screen } from "./demo/screen.ts";
import { Story } from "./demo/story.ts";

const screen = new Screen();
const ending = new AbortController();
const isOnce = process.argv.includes("--once");
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => ending.abort());

try {
  process.exitCode = await run();
} catch (error) {
  screen.say();
  screen.say(error instanceof Error ? error.message : String(error), "bad");
  process.exitCode = 1;
}

async function run(): Promise<number> {
  screen.heading("Contrail: an order that waits for people, and holds nothing while it waits");
  screen.say();
  const cluster = await openCluster(screen);
  const processes = new Processes(cluster.servers, (line) => screen.say(line, "dim"));
  try {
    return await tell(cluster, processes);
  } finally {
    screen.flush();
    await processes.stop();
    await cluster.stop();
    if (!isOnce) screen.say("Everything that was started has ended.", "dim");
  }
}

async function tell(cluster: Cluster, processes: Processes): Promise<number> {
  const engine = await processes.start("engine");
  screen.item("engine", `process ${engine.pid}`);
  const workers = await Promise.all(
    ["worker-a", "worker-b"].map((name) => processes.start("worker", name)),
  );
  for (const worker of workers)
    screen.item(worker.name, `process ${worker.pid}, 2 slots for durable runs, 2 for regular ones`);
  const client = await connect({ servers: cluster.servers, name: "npm start" });
  try {
    const story = new Story({ client, cluster, processes, workers, screen, signal: ending.signal });
    await story.firstOrder({ patienceMs: isOnce ? 2_000 : 5_000 });
    if (!isOnce) await story.moreOrders();
    return 0;
  } catch (error) {
    if (ending.signal.aborted) return 0;
    throw error;
  } finally {
    await client.close();
  }
}
