/** Processes that stand still for a while, longer than their claims or their lead last, and go on. */
import type { Role } from "../fleet.ts";
import type { FaultKind } from "./fault.ts";

function stop(role: Role, lastsMs: FaultKind["lastsMs"], weight: number): FaultKind {
  return {
    family: "pause",
    kind: `stop-${role}`,
    weight,
    lastsMs,
    async inject(world, random) {
      const { life } = world.pick(random, role);
      if (!life?.isRunning()) return undefined;
      life.kill("SIGSTOP");
      return { target: life.name, heal: async () => life.kill("SIGCONT") };
    },
  };
}

const stopServer: FaultKind = {
  family: "pause",
  kind: "stop-server",
  weight: 2,
  lastsMs: [500, 7_000],
  async inject(world, random) {
    const server = random.pick(world.topology.servers);
    if (!server.isRunning) return undefined;
    server.signal("SIGSTOP");
    return { target: server.name, heal: async () => server.signal("SIGCONT") };
  },
};

/** The faults of this family. */
export const pauses: readonly FaultKind[] = [
  stop("worker", [500, 6_000], 5),
  stop("engine", [2_000, 9_000], 2),
  stop("client", [1_000, 4_000], 1),
  stopServer,
];
