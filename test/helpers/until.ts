/** Waiting in tests: for a condition, never for a time. */

/**
 * All times are taken so many times as long. They only bound how late a failure is seen, and a busy
 * machine must not look like one.
 */
const PATIENCE = 4;

/** How long to wait, and how often to look. */
export interface UntilOptions {
  /** On an idle machine the condition holds by then; the test fails after four times as long. Default 10,000. */
  readonly withinMs?: number;
  /** Default 10. */
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
  { withinMs = 10_000, everyMs = 10, what = "the condition" }: UntilOptions = {},
): Promise<Exclude<T, Falsy>> {
  const patienceMs = withinMs * PATIENCE;
  const deadline = performance.now() + patienceMs;
  let last: unknown;
  for (;;) {
    try {
      const value = await condition();
      if (value) return value as Exclude<T, Falsy>;
      last = value;
    } catch (error) {
      last = error;
    }
    if (performance.now() > deadline)
      throw new Error(`${what} did not hold within ${patienceMs} ms; last: ${show(last)}`);
    await new Promise((resolve) => setTimeout(resolve, everyMs));
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
