/** Plays a test again and again, and kills the worker at another place each time. */
import { isDeepStrictEqual } from "node:util";
import { TestKitError } from "./errors.ts";
import { type KitOptions, MemoryKit, type TestKit } from "./kit.ts";

/** What came of it. */
export interface CrashReport<Outcome> {
  /** The same, wherever the worker died. */
  readonly outcome: Outcome;
  /** Where it died, in the order in which they are reached. */
  readonly places: readonly string[];
}

/** Many times what a test needs; beyond it a test does not come to an end. */
const MOST_PLACES = 10_000;

/**
 * Plays a test once without a crash, then once for every place at which the death of the worker leaves
 * something else behind: with a run claimed or about to be, after each entry and other write, after each
 * step whose result is not stored yet. Asserts that it comes to the same outcome, and that no step is
 * executed again whose result is stored.
 * @param options Of each kit; a function makes them anew each time.
 * @param play Returns the outcome to compare. Leave out of it what may differ after a crash: times,
 * workers, how often something was tried.
 * @throws {TestKitError} When the outcome is another one, or a finished step is executed again. Says
 * where the worker died.
 * @example
 * await crashEverywhere({ tasks: [fulfil] }, (kit) => kit.run(fulfil, { id: "42" }));
 */
export async function crashEverywhere<Outcome>(
  options: KitOptions | (() => KitOptions),
  play: (kit: TestKit) => Promise<Outcome>,
): Promise<CrashReport<Outcome>> {
  const first = await playOnce(options, play, undefined);
  if ("thrown" in first) throw first.thrown;
  const places: string[] = [];
  for (let at = 0; at < MOST_PLACES; at++) {
    const played = await playOnce(options, play, at);
    if (played.place === undefined) return { outcome: first.outcome, places };
    places.push(played.place);
    const where = `after the worker died at its place ${at + 1}, "${played.place}"`;
    if ("thrown" in played)
      throw new TestKitError(`The test failed ${where}: ${String(played.thrown)}`, {
        cause: played.thrown,
      });
    const [again] = played.repeated;
    if (again)
      throw new TestKitError(
        `Step "${again.step}" of run "${again.runId}" was executed again ${where}, although its result was stored.`,
      );
    if (!isDeepStrictEqual(played.outcome, first.outcome))
      throw new TestKitError(
        `The test came to ${shown(played.outcome)} ${where}, and to ${shown(first.outcome)} without a crash.`,
      );
  }
  throw new TestKitError(`The worker can die at more than ${MOST_PLACES} places.`);
}

type Played<Outcome> = (
  | { readonly outcome: Outcome; readonly repeated: MemoryKit["repeated"] }
  | { readonly thrown: unknown }
) & { readonly place: string | undefined };

/** @param at The place where the worker dies, counted from 0. */
async function playOnce<Outcome>(
  options: KitOptions | (() => KitOptions),
  play: (kit: TestKit) => Promise<Outcome>,
  at: number | undefined,
): Promise<Played<Outcome>> {
  let reached = 0;
  let died: string | undefined;
  const diesAt = (place: string): boolean => {
    if (reached++ !== at) return false;
    died = place;
    return true;
  };
  const made = typeof options === "function" ? options() : options;
  const kit = await MemoryKit.open(made, diesAt);
  try {
    const outcome = await play(kit);
    return { outcome, repeated: kit.repeated, place: died };
  } catch (thrown) {
    return { thrown, place: died };
  } finally {
    kit.close();
  }
}

function shown(value: unknown): string {
  try {
    return JSON.stringify(value) ?? String(value);
  } catch {
    return String(value);
  }
}
