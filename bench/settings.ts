/** What the suite is asked to do. */

/** Settings of a run of the suite. */
export interface Settings {
  /** Passes of each side; figures are their medians. */
  readonly passes: number;
  /** How long each pass of a loop is measured, in milliseconds; warm-ups take a third more. */
  readonly durationMs: number;
  /** All numbers of runs are multiplied by this; 1 for figures that count. */
  readonly scale: number;
  readonly shards: number;
  readonly replicas: 1 | 3;
  readonly sync: "default" | "always";
  /** Sleep a million runs instead of 100,000. */
  readonly million: boolean;
  /** Servers to measure on; none: the suite starts its own. */
  readonly servers: readonly string[];
  /** Folder for CPU profiles of all Node processes. */
  readonly profileTo: string | undefined;
}

/** A number of runs, by the scale; at least one. */
export function scaled(count: number, { scale }: Settings): number {
  return Math.max(1, Math.round(count * scale));
}
