/** Which faults come when: decided before the chaos run begins, from its seed alone. */
import type { Family, FaultKind } from "./faults/fault.ts";
import { Random } from "./random.ts";
import type { TopologyName } from "./topology.ts";

/** A fault that is planned. */
export interface PlannedFault {
  readonly id: number;
  /** So long after the beginning. */
  readonly afterMs: number;
  readonly lastsMs: number;
  readonly fault: FaultKind;
}

/** What a schedule is made from. */
export interface ScheduleOptions {
  readonly seed: string;
  readonly topology: TopologyName;
  readonly totalMs: number;
  readonly families: readonly Family[];
  readonly kinds: readonly FaultKind[];
}

/** The workload comes into its stride before the first fault. */
const FIRST_MS = 2_000;
/** Between two faults. A cluster takes longer to recover. */
const PAUSES_MS = { r1: [700, 3_500], r3: [1_500, 5_000] } as const;

/** Gives all its cards in some order, then all of them again in another one. */
class Deck<T> {
  readonly #random: Random;
  readonly #cards: readonly T[];
  #left: T[] = [];

  constructor(random: Random, cards: readonly T[]) {
    this.#random = random;
    this.#cards = cards;
  }

  draw(): T {
    if (this.#left.length === 0) this.#left = [...this.#cards];
    const [card] = this.#left.splice(this.#random.whole(0, this.#left.length - 1), 1);
    return card as T;
  }
}

/** All faults of a chaos run, in order. Families take turns, and within a family its kinds do. */
export function scheduleOf(options: ScheduleOptions): PlannedFault[] {
  const { seed, topology, totalMs, families, kinds } = options;
  const random = new Random(seed, "schedule", topology);
  const possible = kinds.filter(
    ({ family, topology: only }) => families.includes(family) && (only ?? topology) === topology,
  );
  const usable = families.filter((family) => possible.some((kind) => kind.family === family));
  const planned: PlannedFault[] = [];
  if (usable.length === 0) return planned;
  const familyDeck = new Deck(random, usable);
  const decks = new Map(
    usable.map((family) => {
      const ofFamily = possible.filter((kind) => kind.family === family);
      const cards = ofFamily.flatMap((kind) =>
        Array.from({ length: Math.ceil(kind.weight ?? 1) }, () => kind),
      );
      return [family, new Deck(random, cards)] as const;
    }),
  );
  for (let afterMs = FIRST_MS; ; ) {
    const fault = (decks.get(familyDeck.draw()) as Deck<FaultKind>).draw();
    const lastsMs = random.whole(...fault.lastsMs);
    if (afterMs > totalMs) return planned;
    if (afterMs + lastsMs <= totalMs) planned.push({ id: planned.length, afterMs, lastsMs, fault });
    const [shortest, longest] = PAUSES_MS[topology];
    afterMs += random.whole(shortest, longest);
  }
}
