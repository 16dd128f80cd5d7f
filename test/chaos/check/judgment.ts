/** The whole judgment of what a chaos run has left. */
import { type Judge, judgeOf } from "./judge.ts";
import { judgeRuns } from "./runs.ts";
import { judgeSlots } from "./slots.ts";
import { judgeWhole } from "./whole.ts";

export type { Judge };

/** Reads a directory and judges it by every rule. */
export function judgeAll(path: string): Judge {
  const judge = judgeOf(path);
  judgeRuns(judge);
  judgeSlots(judge);
  judgeWhole(judge);
  return judge;
}
