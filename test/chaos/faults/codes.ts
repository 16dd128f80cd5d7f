/** Code that is changed under its runs: one worker asks for steps of other names for a while. */
import type { FaultKind } from "./fault.ts";

/** The faults of this family. */
export const codes: readonly FaultKind[] = [
  {
    family: "code",
    kind: "changed",
    lastsMs: [4_000, 7_000],
    async inject(world, random) {
      const lane = world.pick(random, "worker");
      const { life, lives } = lane;
      if (!life?.isRunning()) return undefined;
      lane.isChanged = true;
      life.kill("SIGKILL");
      await world.untilReborn(lane, lives);
      const changed = lane.life;
      return {
        target: changed?.name ?? lane.name,
        async heal() {
          const before = lane.lives;
          if (!changed?.isRunning()) return;
          changed.kill("SIGKILL");
          await world.untilReborn(lane, before);
        },
      };
    },
  },
];
