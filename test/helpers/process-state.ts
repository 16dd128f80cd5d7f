/** What the system says of a process: from /proc where there is one, else from `ps`. */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";

/** Whether a process was stopped by a signal, which is in effect a moment after it was sent. */
export function isStopped(pid: number): boolean {
  return statusOf(pid).state === "T";
}

/** The process group, which a terminal sends its signals to. */
export function groupOf(pid: number): number {
  return statusOf(pid).group;
}

function statusOf(pid: number): { readonly state: string | undefined; readonly group: number } {
  const file = `/proc/${pid}/stat`;
  if (existsSync(file)) {
    // "12 (name) S 1 10": a name can hold blanks and parentheses
    const [state, , group] = readFileSync(file, "utf8").split(") ").at(-1)?.split(" ") ?? [];
    return { state, group: Number(group) };
  }
  const args = ["-o", "state=,pgid=", "-p", String(pid)];
  const printed = spawnSync("ps", args, { encoding: "utf8" }).stdout ?? "";
  const [state, group] = printed.trim().split(/\s+/);
  return { state: state?.[0], group: Number(group) };
}
