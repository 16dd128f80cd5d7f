/** Processes that die at once. */
import type { Role } from "../fleet.ts";
import type { FaultKind } from "./fault.ts";

/** SIGKILL for a process of a role, at any moment. */
function kill(role: Role, weight: number): FaultKind {
  return {
    family: "kill",
    kind: `kill-${role}`,
    weight,
    lastsMs: [0, 0],
    async inject(world, random) {
      const lane = world.pick(random, role);
      const { life, lives } = lane;
      if (!life?.isRunning()) return undefined;
      life.kill("SIGKILL");
      return { target: life.name, heal: () => world.untilReborn(lane, lives) };
    },
  };
}

/** The faults of this family. */
export const kills: readonly FaultKind[] = [
  kill("worker", 4),
  kill("engine", 2),
  kill("client", 1),
];
