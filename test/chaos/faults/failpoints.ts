/** Processes that die, or stop, at a named place between two writes. */
import type { FaultKind } from "./fault.ts";

const PLACES = {
  worker: [
    ...["before-claim", "after-claim", "before-step", "after-step", "before-commit"],
    ...["after-commit", "before-waiting", "before-timer", "before-wait", "before-registration"],
    "before-ack",
  ],
  engine: ["engine-before-look-back", "engine-before-ready", "engine-after-ready"],
} as const;

/** Environment variable with the places to choose from, for who wants to see some of them in particular. */
export const PLACES_VARIABLE = "CONTRAIL_CHAOS_PLACES";

function placesOf(role: keyof typeof PLACES): readonly string[] {
  const wanted = process.env[PLACES_VARIABLE]?.split(",") ?? [];
  const chosen = PLACES[role].filter((place) => wanted.includes(place));
  return chosen.length > 0 ? chosen : PLACES[role];
}

/** The process is killed and started again with the order to end at the place, or to stop there. */
function atPlace(role: "worker" | "engine", action: "kill" | "stop", weight: number): FaultKind {
  return {
    family: "failpoint",
    kind: `${action}-${role}-at-place`,
    weight,
    lastsMs: [4_000, 8_000],
    async inject(world, random) {
      const lane = world.pick(random, role);
      const { life, lives } = lane;
      if (!life?.isRunning()) return undefined;
      const place = random.pick(placesOf(role));
      const rule = `${place}@${random.whole(1, 8)}=${action}`;
      lane.failpoints = rule;
      life.kill("SIGKILL");
      await world.untilReborn(lane, lives);
      const armed = lane.life;
      return {
        target: armed?.name ?? lane.name,
        detail: rule,
        async heal() {
          const isReached = action === "stop" ? armed?.isStopped() : !armed?.isRunning();
          armed?.kill("SIGCONT");
          // It may reach the place later, and nobody would let it go on: so it ends first.
          if (!isReached && armed?.isRunning()) {
            const before = lane.lives;
            armed.kill("SIGKILL");
            await world.untilReborn(lane, before);
          }
          return { isReached };
        },
      };
    },
  };
}

/** The faults of this family. */
export const failpoints: readonly FaultKind[] = [
  atPlace("worker", "kill", 4),
  atPlace("worker", "stop", 3),
  atPlace("engine", "kill", 2),
  atPlace("engine", "stop", 1),
];
