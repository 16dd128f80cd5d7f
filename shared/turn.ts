/**
 * The seam for turns of the event loop. Code that must run after all queued microtasks waits for the
 * next turn; a simulation steps its clock only when nobody does.
 */

let waiting: (() => void)[] = [];

/**
 * Returns when all the microtasks queued so far, and those that they queue, have run. All who wait go
 * on in one go, so that what they send goes to the server in one piece; what arrives comes in between.
 */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    if (waiting.push(resolve) === 1) setImmediate(beginTurn);
  });
}

/** How many wait for the next turn now, in this process. */
export function waitingForTurn(): number {
  return waiting.length;
}

function beginTurn(): void {
  const turn = waiting;
  waiting = [];
  for (const resolve of turn) resolve();
}
