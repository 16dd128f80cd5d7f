/**
 * Names a pass: unique to it, and it tells which worker it is at. Every commit carries it, so that a
 * history says who wrote each commit, also of a first pass, which has no claim (rule 7).
 */

/** The name of the pass that a worker begins as its `count`th. */
export function passId(workerId: string, count: number): string {
  return `${workerId}.${count.toString(36)}`;
}

/** The worker that a pass is at, by its id; "" for no pass. */
export function workerOf(pass: string): string {
  return pass.slice(0, Math.max(0, pass.lastIndexOf(".")));
}
