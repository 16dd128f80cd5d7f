/** What a fault is. */
import type { Random } from "../random.ts";
import type { TopologyName } from "../topology.ts";
import type { World } from "../world.ts";

/** Families of faults, as the option `--faults` names them. */
export const FAMILIES = [
  "kill",
  "failpoint",
  "pause",
  "server",
  "network",
  "partition",
  "duplicate",
  "storm",
  "slow",
  "clock",
  "limit",
  "disk",
  "tamper",
  "code",
  "engine",
  "garbage",
  "edit",
] as const;
/** One of them. */
export type Family = (typeof FAMILIES)[number];

/** A fault that was done. */
export interface Injected {
  /** What it was done to. */
  readonly target: string;
  readonly detail?: unknown;
  /** Undoes it, or waits until what it broke is back. May tell more of what happened. */
  heal(): Promise<unknown>;
}

/** A kind of fault. */
export interface FaultKind {
  readonly family: Family;
  readonly kind: string;
  /** How likely it is among those of its family. Default 1. */
  readonly weight?: number;
  /** Where it makes sense. Default on both. */
  readonly topology?: TopologyName;
  /** How long it lasts before it is undone, in milliseconds: a random time between these. */
  readonly lastsMs: readonly [from: number, to: number];
  /** Does it; nothing when there is nothing to do it to. */
  inject(world: World, random: Random): Promise<Injected | undefined>;
}
