/** Does the faults of a schedule, and writes down when each began and ended. */
import type { Family, FaultKind, Injected } from "./faults/fault.ts";
import { Journal, trueNow } from "./journal.ts";
import { pause } from "./pause.ts";
import { Random } from "./random.ts";
import type { PlannedFault } from "./schedule.ts";
import type { World } from "./world.ts";
import { untilAllWritable } from "./writability.ts";

/** So many faults may last at the same time. */
const AT_ONCE = 2;
/**
 * What may leave a shard without a leader, for some seconds after it was undone. It is over when all
 * of them take writes: until then a worker cannot learn what became of a commit.
 */
const STOPS_WRITES: ReadonlySet<Family> = new Set([
  "server",
  "partition",
  "pause",
  "limit",
  "disk",
]);
/** Ids of faults that no schedule has. */
const FIRST_EXAM = 1_000_000;

/** Does faults. */
export class Injector {
  /** How many faults of each kind were done. */
  readonly counts: Map<string, number> = new Map();
  /** How many could not be done, or not be undone as they should have been. */
  readonly failures: Map<string, number> = new Map();
  readonly #world: World;
  readonly #journal: Journal;
  readonly #tell: (text: string) => void;
  readonly #active: Set<Promise<void>> = new Set();

  constructor(world: World, tell: (text: string) => void) {
    this.#world = world;
    this.#journal = new Journal(world.folder, "faults.jsonl");
    this.#tell = tell;
  }

  /**
   * Does the faults, each at its time or as soon as fewer last, until the time is over. Resolves when
   * all have been undone.
   */
  async run(schedule: readonly PlannedFault[], totalMs: number): Promise<void> {
    const startedAt = performance.now();
    const elapsed = (): number => performance.now() - startedAt;
    for (const planned of schedule) {
      await pause(Math.max(0, planned.afterMs - elapsed()));
      while (this.#active.size >= AT_ONCE) await Promise.race(this.#active);
      if (elapsed() > totalMs) break;
      await this.#begin(planned);
    }
    await pause(Math.max(0, totalMs - elapsed()));
    await Promise.all(this.#active);
  }

  /** Does these faults, each when the one before it has been undone. */
  async examine(faults: readonly FaultKind[]): Promise<void> {
    for (const [i, fault] of faults.entries()) {
      const lastsMs = fault.lastsMs[0];
      await this.#begin({ id: FIRST_EXAM + i, fault, lastsMs, afterMs: 0 });
      await Promise.all(this.#active);
    }
  }

  async #begin({ id, fault, lastsMs }: PlannedFault): Promise<void> {
    const { family, kind } = fault;
    const random = new Random(this.#world.seed, "fault", id);
    const common = { id, family, kind };
    const begunAt = trueNow();
    const injected = await fault.inject(this.#world, random).catch((error: unknown) => {
      this.#journal.write({ ...common, at: trueNow(), edge: "failed", detail: String(error) });
      count(this.failures, kind);
      return undefined;
    });
    if (!injected) return;
    const { target, detail } = injected;
    count(this.counts, kind);
    this.#journal.write({ ...common, at: begunAt, edge: "begin", target, detail });
    this.#tell(`${kind} of ${target}`);
    const over = (async (): Promise<void> => {
      await pause(lastsMs);
      const told = await this.#undo(family, injected).catch((error: unknown) => {
        count(this.failures, kind);
        return { failed: String(error) };
      });
      this.#journal.write({ ...common, at: trueNow(), edge: "end", target, detail: told });
    })();
    this.#active.add(over);
    void over.finally(() => this.#active.delete(over));
  }

  async #undo(family: Family, injected: Injected): Promise<unknown> {
    const told = await injected.heal();
    if (!STOPS_WRITES.has(family)) return told;
    const writableMs = await untilAllWritable(this.#world);
    return { ...(told as object | undefined), writableMs };
  }
}

function count(counts: Map<string, number>, kind: string): void {
  counts.set(kind, (counts.get(kind) ?? 0) + 1);
}
