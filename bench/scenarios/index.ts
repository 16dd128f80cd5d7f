/** All scenarios, in the order in which they are run. */
import type { Scenario } from "../scenario.ts";
import { ceiling } from "./ceiling.ts";
import { eventMany, eventOne } from "./event.ts";
import { fanout } from "./fanout.ts";
import { mixed } from "./mixed.ts";
import { noop } from "./noop.ts";
import { resume } from "./resume.ts";
import { sleep } from "./sleep.ts";
import { sleepers } from "./sleepers.ts";
import { slots } from "./slots.ts";
import { steps } from "./steps.ts";

/** All scenarios. */
export const SCENARIOS: readonly Scenario[] = [
  ceiling,
  noop(1),
  noop(256),
  steps(1),
  steps(64),
  sleep("sleep-1s", 1_000, 1_000),
  sleep("sleep-20s", 5_000, 20_000),
  eventOne,
  eventMany,
  ...[10, 100, 1_000, 5_000].map(resume),
  fanout("fanout-1000", 1_000, "list"),
  fanout("fanout-10000", 10_000, "list"),
  fanout("fanout-single-1000", 1_000, "single"),
  fanout("fanout-single-10000", 10_000, "single"),
  sleepers,
  slots,
  mixed,
];

/**
 * The scenarios that are meant by names or the beginnings of names, such as `noop` for `noop-1` and
 * `noop-256`, in the order of the suite; all without names.
 * @throws {Error} When a name means none.
 */
export function scenariosOf(
  names: readonly string[],
  all: readonly Scenario[] = SCENARIOS,
): Scenario[] {
  const isMeant = (name: string, given: string): boolean =>
    name === given || name.startsWith(`${given}-`);
  for (const given of names)
    if (!all.some(({ name }) => isMeant(name, given)))
      throw new Error(
        `There is no scenario "${given}". There are: ${all.map(({ name }) => name).join(", ")}.`,
      );
  if (names.length === 0) return [...all];
  return all.filter(({ name }) => names.some((given) => isMeant(name, given)));
}
