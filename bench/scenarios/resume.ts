/** Runs that are woken on a worker that has nothing of them in memory. */
import type { PassValues } from "../measurement.ts";
import { type Scenario, takeTurns } from "../scenario.ts";
import { scaled } from "../settings.ts";
import { latencies } from "./event.ts";
import { untilWaiting } from "./waiting.ts";

/** Fewer runs where each takes long to prepare. */
const ENTRIES_IN_ALL = 40_000;
const MOST_RUNS = 100;

/**
 * From the event that wakes a run with so many entries to its result. The ceiling reads the history
 * and makes the same writes.
 */
export function resume(entries: number): Scenario {
  const runs = Math.min(MOST_RUNS, Math.floor(ENTRIES_IN_ALL / entries));
  return {
    name: `resume-${entries}`,
    work: `${runs} cold resumes of a run with a history of ${entries} entries, one at a time`,
    async run(bench) {
      const world = await bench.open({
        tasks: ["longHistory"],
        warmRuns: 0,
        rawKinds: ["ready"],
        rawMatcher: true,
      });
      const waiting = { count: scaled(runs, bench.settings), entries };
      const ours = async (): Promise<PassValues> => {
        await world.client.call("startWaiting", waiting);
        await untilWaiting(world, waiting.count);
        return latencies(await world.client.call("approveEach"));
      };
      const ceiling = async (): Promise<PassValues> => {
        await world.rawClient.call("startWaiting", waiting);
        return latencies(await world.rawClient.call("approveEach"));
      };
      bench.take(await takeTurns(bench, { warmUp: [ours, ceiling], ours, ceiling }));
    },
  };
}
