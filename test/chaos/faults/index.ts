/** All faults. */
import type { FaultKind } from "./fault.ts";
import { kills } from "./kills.ts";

/** All kinds of faults. */
export const faultKinds: readonly FaultKind[] = [...kills];
