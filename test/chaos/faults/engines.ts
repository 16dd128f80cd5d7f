/** A time without any engine. */
import type { FaultKind } from "./fault.ts";

/** The faults of this family. */
export const engines: readonly FaultKind[] = [
  {
    family: "engine",
    kind: "all-down",
    lastsMs: [6_500, 9_000],
    async inject(world) {
      const lanes = world.lanes.filter(({ role, isWanted }) => role === "engine" && isWanted);
      if (lanes.length === 0) return undefined;
      for (const lane of lanes) world.silence(lane);
      return {
        target: "all engines",
        async heal() {
          await Promise.all(lanes.map((lane) => world.revive(lane)));
        },
      };
    },
  },
];
