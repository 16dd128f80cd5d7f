/** How partitions are made: by lost packets in a network namespace of one's own, or by the proxies alone. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readlinkSync } from "node:fs";
import { delimiter } from "node:path";
import { type CommandResult, NOT_INSTALLED, runCommand } from "../../engine/server/run-command.ts";

/** By whom partitions are made. */
export type Network = "namespace" | "proxies";

/** How to get into a new network namespace, or why there is no way. */
export type Entrance =
  | { readonly command: readonly [string, ...string[]]; readonly why?: undefined }
  | { readonly command?: undefined; readonly why: string };

/** Environment variable with the network namespace outside the one that was entered. */
const OUTSIDE_VARIABLE = "CONTRAIL_CHAOS_OUTSIDE";
const OWN_NAMESPACE = "/proc/self/ns/net";
/** As root; and as anybody, where the machine lets everybody have namespaces. */
const WAYS = [["--net"], ["--user", "--map-root-user", "--net"]] as const;
const COMMAND_MS = 10_000;

/** Whether this process was started by `goOnInside`, so that its network is nobody else's. */
export function isInNamespace(): boolean {
  const outside = process.env[OUTSIDE_VARIABLE];
  return outside !== undefined && outside !== readlinkSync(OWN_NAMESPACE);
}

/**
 * Tries out whether a process may have a network namespace of its own with a loopback interface, and
 * rules there.
 * @param rules What `nft` has to take.
 */
export async function findEntrance(
  rules: string,
  env: NodeJS.ProcessEnv = process.env,
): Promise<Entrance> {
  if (process.platform !== "linux") return { why: "network namespaces are a matter of Linux" };
  const needs = [LOOPBACK_UP, ["nft", rules]];
  const reasons = new Set<string>();
  for (const way of WAYS) {
    const failures = needs.map(async ([tool = "", ...args]) => {
      const { failure } = await runSystemCommand("unshare", [...way, tool, ...args], env);
      if (failure === NOT_INSTALLED) return "unshare is not installed";
      return failure === undefined ? [] : `unshare ${way.join(" ")} ${tool}: ${failure}`;
    });
    const [failure] = (await Promise.all(failures)).flat();
    if (failure === undefined) return { command: ["unshare", ...way] };
    reasons.add(failure);
  }
  return { why: [...reasons].join("; ") };
}

/**
 * Starts this process's program once more, inside a new network namespace, and waits for its end. It ends
 * with this process, however that goes.
 * @returns Its exit code.
 */
export async function goOnInside(
  [file, ...way]: readonly [string, ...string[]],
  args: readonly string[],
): Promise<number> {
  const child = spawn(file, [...way, process.execPath, ...process.execArgv, ...args], {
    env: { ...systemEnv(process.env), [OUTSIDE_VARIABLE]: readlinkSync(OWN_NAMESPACE) },
    stdio: ["inherit", "inherit", "inherit", "ipc"],
  });
  process.on("SIGINT", () => {}); // Ctrl-C reaches the whole group: the one inside decides
  process.on("SIGTERM", () => child.kill("SIGTERM"));
  const [code] = (await once(child, "exit")) as [number | null];
  return code ?? 1;
}

/** What a process does that was started inside: a new namespace has a loopback interface that is down. */
export async function openLoopback(): Promise<void> {
  const [tool, ...args] = LOOPBACK_UP;
  const { failure } = await runSystemCommand(tool, args);
  if (failure !== undefined) throw new Error(`${LOOPBACK_UP.join(" ")}: ${failure}`);
}

const LOOPBACK_UP = ["ip", "link", "set", "lo", "up"] as const;

/** Runs a tool of the system, also one that only an administrator has in the path. */
export function runSystemCommand(
  file: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv = process.env,
): Promise<CommandResult> {
  return runCommand(file, args, { timeoutMs: COMMAND_MS, env: systemEnv(env) });
}

/** npm puts the tools of packages before those of the system, and one of them is called `nft`, too. */
function systemEnv(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const folders = (env["PATH"] ?? "").split(delimiter).filter((each) => !/node_modules/.test(each));
  return { ...env, PATH: [...folders, "/usr/sbin", "/sbin"].join(delimiter) };
}
