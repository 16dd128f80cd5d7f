/** Wall clocks of our processes that are wrong by an hour, or jump. */
import type { FaultKind } from "./fault.ts";

const HOUR_MS = 3_600_000;

/** The faults of this family. */
export const clocks: readonly FaultKind[] = [
  {
    family: "clock",
    kind: "clock-off",
    lastsMs: [3_000, 12_000],
    async inject(world, random) {
      const lane = world.pick(random, random.pick(["worker", "worker", "engine", "client"]));
      const offsetMs = random.pick([-HOUR_MS, HOUR_MS]);
      const before = lane.clockOffsetMs;
      world.setClock(lane, offsetMs);
      return {
        target: lane.name,
        detail: { offsetMs },
        heal: async () => world.setClock(lane, before),
      };
    },
  },
];
