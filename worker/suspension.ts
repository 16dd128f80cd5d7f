/**
 * What is stored when a run suspends, and in which order: the waiting commit, then the slot is free,
 * then its registrations, then the token may go (rule 5).
 */
import type { Entry } from "../shared/entries.ts";
import type { HeaderList } from "../shared/jetstream/headers.ts";
import type { PassRun } from "./pass-run.ts";
import { registerWaits } from "./registration.ts";

/**
 * Suspends a run whose other entries are with the committer already.
 * @param startedAt Monotonic time when the pass began.
 * @param registers Says which registrations follow.
 * @param problem Why it cannot wait: then it is paused instead.
 * @returns "lost" also when its registrations could not be stored: then the token is left, and
 * whoever gets it registers again.
 */
export async function suspend(
  run: PassRun,
  startedAt: number,
  registers: HeaderList,
  problem?: Extract<Entry, { kind: "paused" }>,
): Promise<"suspended" | "paused" | "lost"> {
  const { services, place, state, committer } = run;
  committer.add(problem ?? { kind: "waiting" });
  const before = services.failpoint("before-waiting");
  if (before) await before;
  if ((await committer.commit(problem ? [] : registers)) === "lost") return "lost";
  run.release();
  if (problem) {
    services.log.error(problem.reason, { ...run.address });
    run.acknowledge();
    return "paused";
  }
  const point = services.failpoint("before-registration");
  if (point) await point;
  const passMs = Math.round(services.clock.monotonic() - startedAt);
  const options = { passMs, signal: run.signal, limits: run.limits };
  if (!(await registerWaits(services, place, state, options))) return "lost";
  const last = services.failpoint("before-ack");
  if (last) await last;
  run.acknowledge();
  return "suspended";
}
