/** How each golden history comes about: real code in the test kit. Scenarios are only ever added. */
import type { ScriptedStep } from "../../testing/index.ts";
import { type KitOptions, type TestKit, type TestRun, testKit } from "../../testing/kit.ts";
import * as tasks from "./tasks.ts";

/** One history. Its name is that of its file. */
export interface Scenario {
  readonly name: string;
  /** Returns the run whose history it is. */
  readonly play: (kit: TestKit) => Promise<TestRun>;
  readonly options?: Partial<KitOptions>;
}

const fails = (message: string, times: number, value: unknown) => (step: ScriptedStep) => {
  if (step.attempt <= times) throw new Error(`${message} ${step.attempt}`);
  return value;
};

async function ended(run: TestRun): Promise<TestRun> {
  await run.result().catch(() => {});
  return run;
}

/** Plays a trip until its runs wait, does something, and waits for the end. */
function interrupted(
  how: string,
  act: (run: TestRun, kit: TestKit) => Promise<void>,
): Scenario["play"] {
  return async (kit) => {
    const run = await kit.start(tasks.trip, how);
    await kit.settle();
    await act(run, kit);
    return ended(run);
  };
}

/** Plays `brittle` to its failure, repairs it, and waits for its end. */
function repaired(repair: (run: TestRun) => Promise<void>): Scenario["play"] {
  return async (kit) => {
    const run = await ended(await kit.start(tasks.brittle));
    await repair(run);
    return ended(run);
  };
}

/** A step that fails the first time that it is executed. */
function failsOnce(message: string, value: unknown): () => unknown {
  let calls = 0;
  return () => {
    if (++calls === 1) throw new Error(message);
    return value;
  };
}

export const scenarios: readonly Scenario[] = [
  {
    name: "values",
    play: async (kit) =>
      ended(await kit.start(tasks.values, { at: new Date("2026-02-03T04:05:06Z") })),
  },
  {
    name: "retries",
    options: {
      steps: {
        flaky: fails("flaky", 2, "worked"),
        slow: fails("slow", 1, "worked"),
        broken: new SyntaxError("no", { cause: "text" }),
      },
    },
    play: async (kit) => ended(await kit.start(tasks.retries)),
  },
  {
    name: "interrupted-step",
    options: { steps: { flaky: "worked", slow: new Error("slow") } },
    play: async (kit) => {
      const run = await kit.start(tasks.retries);
      await kit.settle();
      await run.cancel("too slow");
      return ended(run);
    },
  },
  {
    name: "sleeps",
    play: async (kit) => ended(await kit.start(tasks.sleeps, "2026-01-08T00:00:00Z")),
  },
  {
    name: "sleeps-waiting",
    play: async (kit) => {
      const run = await kit.start(tasks.sleeps, "2026-01-08T00:00:00Z");
      await kit.advance("2 days");
      return run;
    },
  },
  {
    name: "events",
    play: async (kit) => {
      const run = await kit.start(tasks.events, "o1");
      await kit.publish("order.paid", { id: "o2" });
      await kit.publish("order.paid", { id: "o1", amount: 12.5 });
      await kit.advance("3 days");
      await kit.publish("order.packed", { packed: true });
      await kit.publish("order.sent", { id: "o1" });
      return ended(run);
    },
  },
  {
    name: "children",
    play: async (kit) => ended(await kit.start(tasks.children, 5)),
  },
  {
    name: "child-that-failed",
    play: async (kit) => {
      const parent = await ended(await kit.start(tasks.children, 1));
      const { commits } = await parent.view();
      const failed = commits
        .flatMap(({ entries }) => entries)
        .flatMap((entry) =>
          entry.kind === "wait-settled" && entry.outcome.kind === "child" ? [entry.outcome] : [],
        )
        .find(({ taskName }) => taskName === "refuse");
      return kit.get("refuse", failed?.runId ?? "none");
    },
  },
  { name: "canceled", play: interrupted("away", (run) => run.cancel("too far")) },
  { name: "terminated", play: interrupted("away", (run) => run.terminate()) },
  { name: "timed-out", play: interrupted("away", (_, kit) => kit.advance("11 days")) },
  { name: "cleanup-over", play: interrupted("stay", (run) => run.cancel()) },
  { name: "undone", play: interrupted("fail", async () => {}) },
  {
    name: "undo-that-failed",
    options: { steps: { "undo book flight": new Error("non-refundable") } },
    play: interrupted("fail", (_, kit) => kit.advance("1h")),
  },
  {
    name: "taken-over",
    play: async (kit) => {
      const run = await kit.start(tasks.trip, "away");
      await kit.settle();
      await kit.publish("never", "after all");
      await kit.crash();
      await kit.settle();
      await run.cancel();
      return ended(run);
    },
  },
  { name: "guarded", play: async (kit) => ended(await kit.start(tasks.guarded)) },
  {
    name: "diverged",
    play: async (kit) => {
      const run = await kit.start(tasks.unsteady);
      await kit.settle();
      tasks.code.hasChanged = true;
      await kit.advance("2 days");
      tasks.code.hasChanged = false;
      return run;
    },
  },
  { name: "pinned", play: async (kit) => ended(await kit.start(tasks.pinned)) },
  {
    name: "resumed",
    play: async (kit) => {
      const run = await kit.start(tasks.unsteady);
      await kit.settle();
      tasks.code.hasChanged = true;
      await kit.advance("2 days");
      tasks.code.hasChanged = false;
      await run.resume({ reason: "rolled back" });
      return ended(run);
    },
  },
  {
    name: "retried",
    options: { steps: { broken: failsOnce("no", "worked") } },
    play: repaired((run) => run.retry({ reason: "mended" })),
  },
  {
    name: "skipped",
    options: { steps: { broken: new Error("no") } },
    play: repaired((run) => run.skip("broken", "by hand")),
  },
  {
    name: "heartbeat",
    options: { patienceMs: 10 },
    play: async (kit) => ended(await kit.start(tasks.lengthy)),
  },
  {
    name: "continued",
    play: async (kit) => {
      const run = await kit.start(tasks.rounds, 2);
      for (const tick of [1, 2, 3]) await kit.publish("tick", tick);
      return ended(run);
    },
  },
];

/** A kit for a scenario. */
export function kitFor({ options }: Scenario): Promise<TestKit> {
  const { code: _, ...all } = tasks;
  return testKit({ tasks: Object.values(all), ...options });
}
