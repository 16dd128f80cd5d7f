/**
 * `npm start`: an order from its start to its end, with a server, an engine and two workers, each a
 * process of its own. `npm start -- --once` ends after the first order. With NATS_URL set it uses that
 * cluster and starts no server. What a user writes is in tasks.ts, worker.ts and engine.ts.
 */
import { createInterface } from "node:readline";
import { connect } from "contrail";
import { type Cluster, openCluster } from "./demo/cluster.ts";
import { Processes } from "./demo/processes.ts";
import { Screen } from "./demo/screen.ts";
import { Story } from "./demo/story.ts";

const PATIENCE_MS = 4_000;
const PATIENCE_ONCE_MS = 2_000;

const screen = new Screen();
const args = process.argv.slice(2);
const isOnce = args.includes("--once");
const ending = new AbortController();
let isOpen = false;

for (const signal of ["SIGINT", "SIGTERM"] as const)
  process.on(signal, () => {
    if (!isOpen || ending.signal.aborted) process.exit(130);
    ending.abort();
  });

try {
  if (args.length > (isOnce ? 1 : 0))
    throw new Error('Usage: npm start, or "npm start -- --once".');
  await run();
} catch (error) {
  screen.say(`\n${error instanceof Error ? error.message : String(error)}`, "bad");
  process.exitCode = 1;
}

async function run(): Promise<void> {
  screen.heading("Contrail: an order that waits for days, and holds no worker meanwhile");
  screen.say();
  const cluster = await openCluster(screen);
  isOpen = true;
  const processes = new Processes(cluster.servers, (line) => {
    if (!ending.signal.aborted) screen.say(line, "bad");
  });
  try {
    await tell(cluster, processes);
  } catch (error) {
    if (!ending.signal.aborted) throw error;
  } finally {
    screen.flush();
    await processes.stop();
    await cluster.stop();
    if (!isOnce) screen.say("\nEverything that was started here has ended.", "dim");
  }
}

async function tell(cluster: Cluster, processes: Processes): Promise<void> {
  const engine = await processes.start("engine");
  screen.item("engine", `process ${engine.pid}`);
  const names = ["worker-a", "worker-b"];
  const workers = await Promise.all(names.map((name) => processes.start("worker", name)));
  for (const { name, pid } of workers) screen.item(name, `process ${pid}`);
  const client = await connect({ servers: cluster.servers, name: "npm start" });
  const keyboard = process.stdin.isTTY ? createInterface({ input: process.stdin }) : undefined;
  try {
    const story = new Story({ client, cluster, processes, workers, screen, signal: ending.signal });
    if (keyboard) keyboard.on("line", () => void story.enter().catch(() => ending.abort()));
    await story.firstOrder({ patienceMs: isOnce ? PATIENCE_ONCE_MS : PATIENCE_MS });
    if (!isOnce) await story.moreOrders();
  } finally {
    keyboard?.close();
    await client.close();
  }
}
