/** Waits of the suite itself: for a state that shows from outside. */
import type { World } from "../world.ts";

const LOOK_EVERY_MS = 50;
const PATIENCE_MS = 600_000;

/**
 * Asks again and again until it is so.
 * @throws {Error} When it is not so within ten minutes.
 */
export async function until(what: string, isSo: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  while (!(await isSo())) {
    if (performance.now() > deadline) throw new Error(`Waited in vain until ${what}.`);
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
  }
}

/** Waits until the engine knows of so many waits and has looked back for all of them. */
export function untilWaiting(world: World, count: number): Promise<void> {
  return until(`the engine knows ${count} waits`, async () => {
    const waits = (await world.engine.call("status"))?.term?.waits;
    return waits !== undefined && waits.pending >= count && waits.lookingBack === 0;
  });
}
