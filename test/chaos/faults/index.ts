/** All faults. */
import { clocks } from "./clocks.ts";
import { codes } from "./codes.ts";
import { duplicates } from "./duplicates.ts";
import { engines } from "./engines.ts";
import { failpoints } from "./failpoints.ts";
import type { FaultKind } from "./fault.ts";
import { garbage } from "./garbage.ts";
import { kills } from "./kills.ts";
import { limits } from "./limits.ts";
import { networks } from "./networks.ts";
import { partitions } from "./partitions.ts";
import { pauses } from "./pauses.ts";
import { serverFaults } from "./servers.ts";
import { slowConsumers } from "./slow-consumers.ts";
import { storms } from "./storms.ts";
import { tampering } from "./tampering.ts";

/** All kinds of faults. */
export const faultKinds: readonly FaultKind[] = [
  ...[kills, failpoints, pauses, serverFaults, networks, partitions, duplicates].flat(),
  ...[storms, slowConsumers, clocks, limits, tampering, codes, engines, garbage].flat(),
];
