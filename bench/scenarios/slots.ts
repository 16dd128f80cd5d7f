/** Whether slots stand idle while runs are ready. */
import type { PassValues } from "../measurement.ts";
import { type Scenario, takeTurns } from "../scenario.ts";
import { scaled } from "../settings.ts";

const CAPACITY = 50;
const RUNS = 5_000;
const ALTERNATION = { rounds: 3, workMs: 20 };
/** Shorter and longer than what a worker keeps for itself. */
const LONGEST_WAIT_MS = 1_500;

/** Runs that alternate steps and waits, far more than there are slots. */
export const slots: Scenario = {
  name: "slots",
  work: `${CAPACITY} durable slots, ${RUNS.toLocaleString("en-US")} runs that alternate steps of 20 ms and waits up to 1.5 s`,
  async run(bench) {
    const world = await bench.open({ tasks: ["alternation"], slots: { durable: CAPACITY } });
    const runs = scaled(RUNS, bench.settings);
    const alternate = async (count: number): Promise<PassValues> => {
      const startedAt = performance.now();
      await world.client.call("startAlternations", {
        runs: count,
        alternation: ALTERNATION,
        longestWaitMs: LONGEST_WAIT_MS,
      });
      await world.worker.call("watchSlots", { capacity: CAPACITY, runs: count });
      await world.client.call("awaitStarted");
      const idle = await world.worker.call("endWatch");
      return { idle_slot_share: idle, total_ms: performance.now() - startedAt };
    };
    bench.take(
      await takeTurns(bench, {
        warmUp: [() => alternate(Math.ceil(runs / 5))],
        ours: () => alternate(runs),
      }),
    );
  },
};
