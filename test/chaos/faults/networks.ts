/** What happens between processes and servers: nothing passes, late, in one direction, or cut off. */
import type { Role } from "../fleet.ts";
import { disturb } from "../proxy.ts";
import type { Direction, Weather } from "../weather.ts";
import type { FaultKind } from "./fault.ts";

const DIRECTIONS: readonly Direction[] = ["up", "down"];

/** The weather between a process of a role and all servers. */
function weather(
  kind: string,
  role: Role,
  lastsMs: FaultKind["lastsMs"],
  choose: (pick: (list: readonly number[]) => number) => {
    readonly [D in Direction]?: Weather;
  },
): FaultKind {
  return {
    family: "network",
    kind: `${kind}-${role}`,
    weight: role === "worker" ? 3 : 1,
    lastsMs,
    async inject(world, random) {
      const { name } = world.pick(random, role);
      const ways = world.topology.ways(name);
      const chosen = choose((list) => random.pick(list));
      const heal = await disturb(
        DIRECTIONS.flatMap((direction) => {
          const weather = chosen[direction];
          return weather ? ways.map((way) => ({ way, direction, weather })) : [];
        }),
      );
      const isHeld = DIRECTIONS.some((direction) => chosen[direction]?.isHeld);
      const madeBy = isHeld ? { madeBy: world.topology.network } : {};
      return { target: name, detail: { ...chosen, ...madeBy }, heal };
    },
  };
}

const HELD: Weather = { isHeld: true };

function faultsOf(role: Role): FaultKind[] {
  return [
    weather("partition", role, [1_000, 9_000], () => ({ up: HELD, down: HELD })),
    weather("one-way", role, [1_000, 6_000], (pick) =>
      pick([0, 1]) === 0 ? { up: HELD } : { down: HELD },
    ),
    weather("delay", role, [2_000, 7_000], (pick) => ({
      up: { delayMs: pick([5, 50, 250]) },
      down: { delayMs: pick([5, 50, 250]) },
    })),
    {
      family: "network",
      kind: `cut-${role}`,
      weight: role === "worker" ? 3 : 1,
      lastsMs: [0, 3_000],
      async inject(world, random) {
        const { name } = world.pick(random, role);
        const ways = world.topology.ways(name);
        const isRefusing = random.chance(0.5);
        for (const way of ways) way.cut(isRefusing);
        return {
          target: name,
          detail: { isRefusing },
          async heal() {
            if (isRefusing) for (const way of ways) way.accept();
          },
        };
      },
    },
  ];
}

/** The faults of this family. */
export const networks: readonly FaultKind[] = [
  ...faultsOf("worker"),
  ...faultsOf("engine"),
  ...faultsOf("client"),
];
