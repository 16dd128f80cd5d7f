/**
 * What is stored when a run suspends, and in which order: the waiting commit, then the slot is free,
 * then its registrations, then the token may go (rule 5).
 */
import type { PassRun } from "./pass-run.ts";
import { registerWaits } from "./registration.ts";

/**
 * Suspends a run whose other entries are with the committer already.
 * @param startedAt Monotonic time when the pass began.
 * @returns False when the run is lost, or its registrations could not be stored: then the token is
 * left, and whoever gets it registers again.
 */
export async function suspend(run: PassRun, startedAt: number): Promise<boolean> {
  const { services, place, state, committer } = run;
  committer.add({ kind: "waiting" });
  const before = services.failpoint("before-waiting");
  if (before) await before;
  if ((await committer.commit()) === "lost") return false;
  run.release();
  const point = services.failpoint("before-registration");
  if (point) await point;
  const passMs = Math.round(services.clock.monotonic() - startedAt);
  const options = { passMs, signal: run.signal, endsAt: run.endsAt };
  if (!(await registerWaits(services, place, state, options))) return false;
  const last = services.failpoint("before-ack");
  if (last) await last;
  run.acknowledge();
  return true;
}
