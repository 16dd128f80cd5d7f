/** Waiting in tests: for a condition, never for a time. */

/**
 * All times are taken so many times as long. They only bound how late a failure is seen, and a busy
 * machine must not look like one.
 */
const PATIENCE = 4;
/** The longer a wait has taken, the rarer its looks: a tenth of its time so far, up to so long. */
const LONGEST_PAUSE_MS = 100;

/** How long to wait, and how often to look. */
export interface UntilOptions {
  /** On an idle machine the condition holds by then; the test fails after four times as long. Default 10,000. */
  readonly withinMs?: number;
  /** Given: always after so long. By default 10 at first and up to 100 in a long wait. */
  readonly everyMs?: number;
  /** What is waited for, for the message. */
  readonly what?: string;
}

type Falsy = undefined | null | false | 0 | "";

/**
 * Polls until `condition` returns something truthy, and returns that. A condition that throws counts
 * as not holding yet.
 * @throws {Error} When it does not hold in time, with what it last returned or threw.
 */
export async function until<T>(
  condition: () => T | Promise<T>,
  { withinMs = 10_000, everyMs, what = "the condition" }: UntilOptions = {},
): Promise<Exclude<T, Falsy>> {
  const patienceMs = withinMs * PATIENCE;
  const startedAt = performance.now();
  let last: unknown;
  for (;;) {
    try {
      const value = await condition();
      if (value) return value as Exclude<T, Falsy>;
      last = value;
    } catch (error) {
      last = error;
    }
    const elapsedMs = performance.now() - startedAt;
    if (elapsedMs > patienceMs)
      throw new Error(`${what} did not hold within ${patienceMs} ms; last: ${show(last)}`);
    const pauseMs = everyMs ?? Math.min(LONGEST_PAUSE_MS, Math.max(10, elapsedMs / 10));
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
}

function show(value: unknown): string {
  if (value instanceof Error) return value.stack ?? value.message;
  try {
    return JSON.stringify(value) ?? String(value);
  } catch {
    return String(value);
  }
}
