/** Pauses a run whose history refers to a payload that is not there. */
import type { PayloadMissingError } from "../shared/errors.ts";
import type { PassRun } from "./pass-run.ts";

/** Records what is missing and gives the run up. Resumed, it looks again. */
export async function pauseWithout(
  run: PassRun,
  error: PayloadMissingError,
): Promise<"paused" | "lost"> {
  const { address, services, committer } = run;
  const { message: reason } = error;
  services.log.error(reason, { ...address });
  committer.add({ kind: "paused", reason, details: { code: "value-missing" } });
  if ((await committer.commit()) === "lost") return "lost";
  run.acknowledge();
  run.leave(); // steps that are at work
  return "paused";
}
