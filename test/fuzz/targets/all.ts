/** All targets. Threads import this module by its name. */
import type { Target } from "../target.ts";
import { apiTargets } from "./api-targets.ts";
import { cliTargets } from "./cli-targets.ts";
import { codecTargets } from "./codec-targets.ts";
import { filterTargets } from "./filter-targets.ts";
import { historyTargets } from "./history-targets.ts";
import { messageTargets } from "./message-targets.ts";
import { serverTargets } from "./server-targets.ts";
import { textTargets } from "./text-targets.ts";

/** In the order in which they have their turns. */
export const targets: readonly Target[] = [
  ...codecTargets,
  ...historyTargets,
  ...messageTargets,
  ...textTargets,
  ...filterTargets,
  ...serverTargets,
  ...cliTargets,
  ...apiTargets,
];
