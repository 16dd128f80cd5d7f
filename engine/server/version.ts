/** Which nats-server Contrail accepts, and whether a file is one. */
import { NOT_INSTALLED, runCommand } from "./run-command.ts";

/** The version that is fetched where the choice is ours. Contrail is tested with it. */
export const PINNED_SERVER_VERSION = "2.15.1";

/** The oldest version that is accepted. Older ones lose scheduled messages, that is, wake-ups. */
export const OLDEST_SERVER_VERSION = "2.14.5";

/** What a look at one file said. A reason reads on after the file's name. */
export type ServerCheck =
  | { readonly kind: "usable"; readonly version: string }
  | { readonly kind: "missing" | "unusable"; readonly reason: string };

/** How long a server may take to print its version. */
const VERSION_TIMEOUT_MS = 10_000;

/** Runs a file with `--version` and says whether it is a nats-server that is new enough. */
export async function checkServer(file: string): Promise<ServerCheck> {
  const run = await runCommand(file, ["--version"], { timeoutMs: VERSION_TIMEOUT_MS });
  if (run.failure === NOT_INSTALLED) return { kind: "missing", reason: "does not exist" };
  if (run.failure !== undefined) {
    return { kind: "unusable", reason: `cannot be run: ${run.failure}` };
  }
  const version = /nats-server:? v?(\d+\.\d+\.\d+)/.exec(run.stdout)?.[1];
  if (version === undefined) {
    return { kind: "unusable", reason: "does not answer --version as a nats-server does" };
  }
  if (compareVersions(version, OLDEST_SERVER_VERSION) < 0) {
    const reason = `is version ${version}: ${OLDEST_SERVER_VERSION} or newer is needed`;
    return { kind: "unusable", reason };
  }
  return { kind: "usable", version };
}

/** Orders two versions of three numbers: negative when `left` is older, zero when both are equal. */
export function compareVersions(left: string, right: string): number {
  const a = left.split(".").map(Number);
  const b = right.split(".").map(Number);
  for (const index of [0, 1, 2]) {
    const difference = (a[index] ?? 0) - (b[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
