/** Processes that die at once. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Life, Role } from "../fleet.ts";
import type { World } from "../world.ts";
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

const killLeadingEngine: FaultKind = {
  family: "kill",
  kind: "kill-leading-engine",
  weight: 2,
  lastsMs: [0, 0],
  async inject(world) {
    const leading = world.living("engine").find(({ life }) => isLeading(world, life));
    if (!leading) return undefined;
    const { lane, life } = leading;
    const { lives } = lane;
    life.kill("SIGKILL");
    return { target: life.name, heal: () => world.untilReborn(lane, lives) };
  },
};

/** By its own log. */
function isLeading({ folder }: World, { name }: Life): boolean {
  const text = readFileSync(join(folder, "logs", `${name}.log`), "utf8");
  return text.lastIndexOf("engine leads.") > text.lastIndexOf("engine does not lead");
}

/** The faults of this family. */
export const kills: readonly FaultKind[] = [
  kill("worker", 4),
  kill("engine", 1),
  kill("client", 1),
  killLeadingEngine,
];
