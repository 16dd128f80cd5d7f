/** Why a token was published, for people who read the history. */
import type { Because } from "../shared/messages.ts";
import { nameOfRepair } from "../shared/repairs.ts";

/** One word for why a run goes on. */
export function nameOf(because: Because): string {
  if (because.cancel !== undefined) return "cancel";
  if (because.timer !== undefined) return "timer";
  if (because.events || because.children) return "match";
  if (because.repair) return nameOfRepair(because.repair);
  return because.poke === undefined ? "start" : "poke";
}
