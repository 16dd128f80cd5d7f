/** Gates: files that the code of a test's tasks waits for, so that the test decides when it goes on. */
import { existsSync } from "node:fs";
import { join } from "node:path";

/** Environment variable with a process's folder of gates; without it all gates are open. */
export const GATES_VARIABLE = "CONTRAIL_E2E_GATES";

/** Waits until a gate of this process is open. For the steps of the test's tasks. */
export async function passGate(name: string): Promise<void> {
  const folder = process.env[GATES_VARIABLE];
  if (folder === undefined) return;
  while (!existsSync(join(folder, name))) await new Promise((resolve) => setTimeout(resolve, 10));
}
