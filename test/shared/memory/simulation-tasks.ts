/** The tasks of simulations, and what their steps do while the process that does it lives. */
import { anyOf, event, sleep } from "../../../shared/conditions.ts";
import type { StepContext } from "../../../shared/contexts.ts";
import { durableTask, task } from "../../../shared/task.ts";
import type { AnyTask } from "../../../shared/task-reference.ts";
import type { Process, Simulation } from "./simulation.ts";

/** A step that was begun. */
export interface Begun {
  readonly run: string;
  readonly step: string;
  readonly process: string;
  /** Its result was stored already. */
  readonly wasStored: boolean;
  /** Its result was in the history as far as this pass had read and written it: it knew (P2). */
  readonly wasKnown: boolean;
}

/** How far a run that continues has come. */
interface Rounds {
  readonly round: number;
  readonly sequences: readonly number[];
}

type Act<T> = (step: StepContext) => T;

/** What the steps of all processes do. */
export class Effects {
  readonly begun: Begun[] = [];
  simulation: Simulation | undefined;

  /** The action of a step, which returns `result`. */
  step<T>(
    process: Process,
    address: { readonly taskName: string; readonly runId: string },
    step: string,
    result: T,
  ): Act<T> {
    return ({ fencingToken }) => {
      if (!process.isAlive || !this.simulation) return result; // its process is dead: nothing is done
      const key = `s0 ${step}`;
      const stored = this.simulation
        .commitsOf(address)
        .find(({ entries }) =>
          entries.some((entry) => entry.kind === "step-completed" && entry.key === key),
        );
      const wasKnown = stored !== undefined && stored.sequence <= Number(fencingToken);
      const { runId: run } = address;
      const wasStored = stored !== undefined;
      this.begun.push({ run, step, process: process.name, wasStored, wasKnown });
      this.simulation.note(`step ${step}`, run, this.begun.length);
      return result;
    };
  }
}

/**
 * The tasks, as they are in one process.
 * @param names Those that are needed: each costs time, as its worker keeps asking for its runs.
 */
export function tasksOf(
  effects: Effects,
  names: readonly string[],
): (process: Process) => readonly AnyTask[] {
  const needed = new Set(names.flatMap((name) => [name, ...(CHILDREN[name] ?? [])]));
  return (process) =>
    [...stepTasks(effects, process), ...waitTasks(effects, process)].filter(({ name }) =>
      needed.has(name),
    );
}

const CHILDREN: { readonly [name: string]: readonly string[] } = {
  parent: ["noop", "sleeper"],
  rounds: ["noop"],
};

function stepTasks(effects: Effects, process: Process): AnyTask[] {
  const steps = durableTask({
    name: "steps",
    run: async (count: number, ctx) => {
      let sum = 0;
      for (let i = 0; i < count; i++)
        sum += await ctx.step(`${i}`, effects.step(process, ctx, `${i}`, i));
      return sum;
    },
  });
  const flaky = durableTask({
    name: "flaky",
    run: (failures: number, ctx) =>
      ctx.step(
        "try",
        (step) => {
          effects.step(process, ctx, "try", step.attempt)(step);
          if (step.attempt <= failures) throw new Error(`attempt ${step.attempt}`);
          return step.attempt;
        },
        { retries: { limit: 5, backoff: { initial: "200ms" } } },
      ),
  });
  const branches = durableTask({
    name: "branches",
    run: async (count: number, ctx) => {
      const parts = Array.from({ length: count }, async (_, i) => {
        if (i % 2 === 0) await ctx.sleepFor(`${i * 700}ms`);
        return ctx.step(`branch ${i}`, effects.step(process, ctx, `branch ${i}`, i));
      });
      return (await Promise.all(parts)).reduce((sum, part) => sum + part, 0);
    },
  });
  const failing = task({
    name: "failing",
    retries: { limit: 2, backoff: { initial: "300ms" } },
    run: (message: string) => {
      throw new Error(message);
    },
  });
  return [steps, flaky, branches, failing];
}

function waitTasks(effects: Effects, process: Process): AnyTask[] {
  const noop = task({ name: "noop", run: (input: number) => input + 1 });
  const sleeper = durableTask({
    name: "sleeper",
    run: async (ms: number, ctx) => {
      const before = await ctx.step("before", effects.step(process, ctx, "before", 1));
      await ctx.sleepFor(`${ms}ms`);
      return before + (await ctx.step("after", effects.step(process, ctx, "after", 2)));
    },
  });
  const approval = durableTask({
    name: "approval",
    run: async (id: string, ctx) => {
      const first = await ctx.waitForEvent("order.paid", { where: { id }, timeout: "3 days" });
      const second = await ctx.waitFor(event("order.sent", { where: { id } }));
      return [first?.data, second.data];
    },
  });
  const counter = durableTask({
    name: "counter",
    run: async (count: number, ctx) => {
      const sequences: number[] = [];
      for (let i = 0; i < count; i++) sequences.push((await ctx.waitForEvent("tick")).sequence);
      return sequences;
    },
  });
  const race = durableTask({
    name: "race",
    run: async (ms: number, ctx) => {
      const first = await ctx.waitFor(anyOf(event("vote"), sleep(`${ms}ms`)));
      const kind = await ctx.step(first.kind, effects.step(process, ctx, first.kind, first.kind));
      return kind === first.kind ? kind : `${kind} after ${first.kind}`;
    },
  });
  const parent = durableTask({
    name: "parent",
    run: async (count: number, ctx) => {
      const one = await ctx.run(noop, 1);
      const inputs = Array.from({ length: count }, (_, i) => i);
      const many = await ctx.run(noop, inputs);
      const started = await ctx.start(sleeper, 1_200);
      const slow = await started.result();
      return one + slow + many.reduce((sum, each) => sum + each, 0);
    },
  });
  const rounds = durableTask({
    name: "rounds",
    run: async ({ round, sequences }: Rounds, ctx) => {
      const worked = await ctx.step(`${round}`, effects.step(process, ctx, `${round}`, round));
      const one = await ctx.run(noop, worked);
      if (one !== round + 1) throw new Error(`child ${one} in round ${round}`);
      if (round % 2 === 1) await ctx.sleepFor("1500ms");
      const { sequence } = await ctx.waitForEvent("lap");
      const next = { round: round + 1, sequences: [...sequences, sequence] };
      return round < 2 ? ctx.continueAs(next) : next.sequences;
    },
  });
  return [noop, sleeper, approval, counter, race, parent, rounds];
}
