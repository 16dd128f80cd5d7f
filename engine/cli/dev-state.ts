/**
 * What `contrail dev` leaves in its folder while it runs, so that the other commands find its server
 * without being told.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

/** A `contrail dev` that runs. */
export interface DevState {
  readonly server: string;
  readonly pid: number;
}

/** Where `contrail dev` keeps everything, below the folder it was started in. */
export const DEV_FOLDER = ".contrail";

/** The `contrail dev` that runs in a folder; nothing when none does, or it was killed. */
export function readDevState(folder: string): DevState | undefined {
  let state: Partial<DevState>;
  try {
    state = JSON.parse(readFileSync(stateFile(folder), "utf8")) as Partial<DevState>;
  } catch {
    return undefined; // none runs here, or somebody else's file
  }
  const { server, pid } = state ?? {};
  if (typeof server !== "string" || typeof pid !== "number" || !isAlive(pid)) return undefined;
  return { server, pid };
}

/** Notes that one runs. */
export function writeDevState(folder: string, state: DevState): void {
  const file = stateFile(folder);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, `${JSON.stringify(state)}\n`);
}

/** Notes that it ends. */
export function removeDevState(folder: string): void {
  rmSync(stateFile(folder), { force: true });
}

function stateFile(folder: string): string {
  return join(folder, DEV_FOLDER, "dev.json");
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM"; // it runs, as another user
  }
}
