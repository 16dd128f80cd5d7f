/** Ctrl-C and its like: the first asks to come to an end, the second does not wait for it. */

/** Exit code of a command that was interrupted before it was done, as shells expect it. */
export const INTERRUPTED = 130;

/** A request to stop that may come from outside. */
export interface StopSignal {
  /** Aborts at the first request. */
  readonly signal: AbortSignal;
  /** Resolves at the first request. */
  readonly requested: Promise<void>;
  /** Asks to stop from inside. */
  request(): void;
  /** Leaves the signals to what they do otherwise. */
  dispose(): void;
}

/**
 * Listens for SIGINT and SIGTERM. The second one ends the process at once.
 * @param onFirst Called at the first request, to tell people what happens and what they can do.
 */
export function stopSignal(onFirst: () => void): StopSignal {
  const controller = new AbortController();
  const request = (): void => controller.abort();
  const onSignal = (): void => {
    if (controller.signal.aborted) process.exit(INTERRUPTED);
    onFirst();
    request();
  };
  for (const name of ["SIGINT", "SIGTERM"] as const) process.on(name, onSignal);
  const requested = new Promise<void>((resolve) => {
    controller.signal.addEventListener("abort", () => resolve(), { once: true });
  });
  return {
    signal: controller.signal,
    requested,
    request,
    dispose() {
      for (const name of ["SIGINT", "SIGTERM"] as const) process.off(name, onSignal);
    },
  };
}
