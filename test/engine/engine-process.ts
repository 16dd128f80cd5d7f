/** An engine in a process of its own, to be killed. Run as a program, it is that process. */
import { type ChildProcess, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { ExecutionContext } from "ava";
import { startEngine } from "../../engine/index.ts";

/** A running engine process. */
export interface EngineProcess {
  readonly child: ChildProcess;
  /** What it printed: one line for each status that differs from the one before. */
  readonly lines: readonly string[];
  readonly isLeading: () => boolean;
  readonly isCaughtUp: () => boolean;
  readonly isGone: () => boolean;
  kill(signal?: NodeJS.Signals): void;
}

/** Starts an engine process that ends with the test. */
export function startEngineProcess(
  t: ExecutionContext,
  options: {
    readonly servers: readonly string[];
    readonly replicas: number;
    readonly failpoints?: string;
  },
): EngineProcess {
  const { servers, replicas, failpoints = "" } = options;
  const child = spawn(process.execPath, [fileURLToPath(import.meta.url)], {
    stdio: ["pipe", "pipe", "inherit"],
    env: {
      ...process.env,
      CONTRAIL_FAILPOINTS: failpoints,
      ENGINE_SERVERS: servers.join(","),
      ENGINE_REPLICAS: String(replicas),
    },
  });
  const lines: string[] = [];
  child.stdout?.on("data", (chunk: Buffer) => lines.push(...chunk.toString().trim().split("\n")));
  const isGone = (): boolean => child.exitCode !== null || child.signalCode !== null;
  t.teardown(() => {
    if (!isGone()) child.kill("SIGKILL");
  });
  return {
    child,
    lines,
    isGone,
    isLeading: () => lines.at(-1)?.startsWith("leading") ?? false,
    isCaughtUp: () => lines.at(-1) === "leading caught-up",
    kill: (signal = "SIGKILL") => void child.kill(signal),
  };
}

async function main(): Promise<void> {
  const engine = await startEngine({
    servers: process.env["ENGINE_SERVERS"] ?? "",
    replicas: Number(process.env["ENGINE_REPLICAS"]),
  });
  let shown = "";
  const timer = setInterval(() => {
    const { isLeading, term } = engine.status();
    const status = isLeading ? `leading ${term?.isCaughtUp ? "caught-up" : "reading"}` : "standby";
    if (status !== shown) process.stdout.write(`${status}\n`);
    shown = status;
  }, 20);
  const close = (): void => {
    clearInterval(timer);
    void engine.close().then(() => process.exit(0));
  };
  process.once("SIGTERM", close);
  process.stdin.once("close", close).resume(); // the test's process is gone
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();
