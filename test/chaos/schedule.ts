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

/** All faults of a chaos run, in order. Families take turns by chance, each as likely as the others. */
export function scheduleOf(options: ScheduleOptions): PlannedFault[] {
  const { seed, topology, totalMs, families, kinds } = options;
  const random = new Random(seed, "schedule", topology);
  const possible = kinds.filter(
    ({ family, topology: only }) => families.includes(family) && (only ?? topology) === topology,
  );
  const usable = families.filter((family) => possible.some((kind) => kind.family === family));
  const planned: PlannedFault[] = [];
  if (usable.length === 0) return planned;
  for (let afterMs = FIRST_MS; ; ) {
    const family = random.pick(usable);
    const ofFamily = possible.filter((kind) => kind.family === family);
    const weights = ofFamily.map(({ kind, weight = 1 }) => [kind, weight] as const);
    const chosen = random.weighted(Object.fromEntries(weights));
    const fault = ofFamily.find(({ kind }) => kind === chosen) as FaultKind;
    const lastsMs = random.whole(...fault.lastsMs);
    if (afterMs + lastsMs > totalMs) return planned;
    planned.push({ id: planned.length, afterMs, lastsMs, fault });
    const [shortest, longest] = PAUSES_MS[topology];
    afterMs += random.whole(shortest, longest);
  }
}
