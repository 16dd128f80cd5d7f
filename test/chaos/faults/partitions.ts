/** What happens between the servers of a cluster. */
import { type Disturbance, disturb } from "../proxy.ts";
import type { Random } from "../random.ts";
import type { Weather } from "../weather.ts";
import type { World } from "../world.ts";
import type { FaultKind, Injected } from "./fault.ts";

const HELD: Weather = { isHeld: true };

/** The weather of what one server sends to another, whichever of them opened the connection. */
function between(
  { topology }: World,
  [from, to]: readonly [string, string],
  weather: Weather,
): readonly Disturbance[] {
  return [
    { way: topology.route(from, to), direction: "up", weather },
    { way: topology.route(to, from), direction: "down", weather },
  ];
}

function partition(
  kind: string,
  lastsMs: FaultKind["lastsMs"],
  pairs: (names: readonly string[], random: Random) => (readonly [string, string])[],
  weatherOf: (random: Random) => Weather = () => HELD,
): FaultKind {
  return {
    family: "partition",
    kind,
    topology: "r3",
    lastsMs,
    async inject(world, random): Promise<Injected> {
      const names = world.topology.servers.map(({ name }) => name);
      const chosen = pairs(names, random);
      const weather = weatherOf(random);
      const heal = await disturb(chosen.flatMap((pair) => between(world, pair, weather)));
      const madeBy = weather.isHeld ? { madeBy: world.topology.network } : {};
      return {
        target: chosen.map(([from, to]) => `${from}>${to}`).join(" "),
        detail: { ...weather, ...madeBy },
        heal,
      };
    },
  };
}

function bothWays(a: string, b: string): (readonly [string, string])[] {
  return [
    [a, b],
    [b, a],
  ];
}

function shuffled(names: readonly string[], random: Random): [string, string, string] {
  const first = random.pick(names);
  const rest = names.filter((name) => name !== first);
  const [second = "", third = ""] = random.chance(0.5) ? rest : rest.toReversed();
  return [first, second, third];
}

/** The faults of this family. */
export const partitions: readonly FaultKind[] = [
  // One server alone; its clients stay with it.
  partition("minority-alone", [2_000, 10_000], (names, random) => {
    const [alone, b, c] = shuffled(names, random);
    return [...bothWays(alone, b), ...bothWays(alone, c)];
  }),
  // No majority anywhere.
  partition("no-majority", [1_000, 6_000], (names, random) => {
    const [a, b, c] = shuffled(names, random);
    return [...bothWays(a, b), ...bothWays(a, c), ...bothWays(b, c)];
  }),
  // Two servers that only the third one can reach.
  partition("one-pair", [2_000, 10_000], (names, random) => {
    const [a, b] = shuffled(names, random);
    return bothWays(a, b);
  }),
  partition("one-way-servers", [2_000, 8_000], (names, random) => {
    const [a, b, c] = shuffled(names, random);
    return random.chance(0.5) ? [[a, b]] : [[a, b], [a, c]]; // biome-ignore format: one line
  }),
  partition(
    "slow-servers",
    [2_000, 8_000],
    (names, random) => {
      const [a, b, c] = shuffled(names, random);
      return [...bothWays(a, b), ...bothWays(a, c)];
    },
    (random) => ({ delayMs: random.pick([20, 100, 400]) }),
  ),
];
