/**
 * The seam for turns of the event loop. Code that must run after all queued microtasks waits for the
 * next turn; a simulation steps its clock only when nobody does.
 */

let waiting = 0;

/** Returns when all the microtasks queued so far, and those that they queue, have run. */
export function nextTurn(): Promise<void> {
  waiting++;
  return new Promise((resolve) => {
    setImmediate(() => {
      waiting--;
      resolve();
    });
  });
}

/** How many wait for the next turn now, in this process. */
export function waitingForTurn(): number {
  return waiting;
}
