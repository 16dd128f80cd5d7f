/** What happens between the servers of a cluster. */
import type { Weather } from "../proxy.ts";
import type { Random } from "../random.ts";
import type { World } from "../world.ts";
import type { FaultKind, Injected } from "./fault.ts";

const HELD: Weather = { isHeld: true };

/** Sets the weather of what one server sends to another, whichever of them opened the connection. */
function between(world: World, from: string, to: string, weather: Weather): void {
  world.topology.route(from, to).set("up", weather);
  world.topology.route(to, from).set("down", weather);
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
      for (const [from, to] of chosen) between(world, from, to, weather);
      return {
        target: chosen.map(([from, to]) => `${from}>${to}`).join(" "),
        detail: weather,
        async heal() {
          for (const [from, to] of chosen) between(world, from, to, {});
        },
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
