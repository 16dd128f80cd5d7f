/** The servers that are measured: those of the user, or one or three of the suite's own. */
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findServer, startCluster, startServer } from "../engine/server/index.ts";
import type { Settings } from "./settings.ts";

/** Servers to measure on. */
export interface Servers {
  readonly urls: readonly string[];
  /** The version; empty for the user's own. */
  readonly version: string;
  /** CPU that all of them used, in microseconds; NaN where it cannot be seen. */
  cpuUs(): number;
  /** Memory that they hold, in bytes; NaN where it cannot be seen. */
  rssBytes(): number;
  stop(): Promise<void>;
}

/** Linux counts CPU in hundredths of a second. */
const US_PER_TICK = 10_000;

/** Starts servers over empty stores, or takes those that were given. */
export async function openServers(
  settings: Settings,
  say: (line: string) => void,
): Promise<Servers> {
  if (settings.servers.length > 0) return { ...unseen, urls: settings.servers };
  const { binary, version } = await findServer({ report: () => {} });
  const storeDir = mkdtempSync(join(tmpdir(), "contrail-bench-"));
  const syncAlways = settings.sync === "always";
  const remove = (): void => rmSync(storeDir, { recursive: true, force: true });
  try {
    if (settings.replicas === 1) {
      const server = await startServer({ binary, storeDir, syncAlways });
      const stop = (): Promise<void> => server.kill().then(remove);
      return { urls: [server.url], version, ...usageOf([server.pid]), stop };
    }
    say("starting three servers");
    const cluster = await startCluster({ binary, storeDir, syncAlways, size: settings.replicas });
    const pids = cluster.servers().map(({ pid }) => pid);
    const stop = async (): Promise<void> => {
      await Promise.all(cluster.servers().map((server) => server.kill()));
      remove();
    };
    return { urls: cluster.urls, version, ...usageOf(pids), stop };
  } catch (error) {
    remove();
    throw error;
  }
}

const unseen = {
  version: "",
  cpuUs: () => Number.NaN,
  rssBytes: () => Number.NaN,
  stop: async () => {},
};

function usageOf(pids: readonly number[]): Pick<Servers, "cpuUs" | "rssBytes"> {
  const sum = (read: (pid: number) => number): number =>
    pids.reduce((total, pid) => total + read(pid), 0);
  return { cpuUs: () => sum(cpuOf), rssBytes: () => sum(rssOf) };
}

function cpuOf(pid: number): number {
  const fields = procFile(pid, "stat")?.split(") ").at(-1)?.split(" ");
  return (Number(fields?.[11]) + Number(fields?.[12])) * US_PER_TICK;
}

function rssOf(pid: number): number {
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(procFile(pid, "status") ?? "")?.[1]) * 1_024;
}

/** A file of Linux about a process; nothing elsewhere. */
function procFile(pid: number, name: string): string | undefined {
  const file = `/proc/${pid}/${name}`;
  return existsSync(file) ? readFileSync(file, "utf8") : undefined;
}
