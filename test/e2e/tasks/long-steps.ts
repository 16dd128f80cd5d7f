/** Steps and regular runs that take long. */
import {
  durableTask,
  type RegularContext,
  type StepContext,
  type Task,
  task,
} from "../../../shared/task.ts";
import { effect } from "../harness/effects.ts";

const never = (): Promise<never> => new Promise(() => {});

/** Says how far it is, and stops at three when the gate is closed. */
async function count(runId: string, work: StepContext | RegularContext): Promise<number> {
  const from = (work.lastHeartbeat as number | undefined) ?? 0;
  effect(runId, "from", work.attempt, from);
  for (let i = from + 1; i <= 5; i++) {
    work.heartbeat(i);
    if (i === 1) effect(runId, "begun");
    if (from === 0) await never();
  }
  return from;
}

/** A step whose first attempt stops after its first heartbeat. */
export const counting: Task<null, number> = durableTask({
  name: "long-counting",
  run: (_: null, ctx) =>
    ctx.step("count", (step) => count(ctx.runId, step), {
      heartbeatTimeout: "300ms",
      retries: { limit: 2, backoff: { initial: "10ms" } },
    }),
});

/** The same without a time limit: only the death of its worker ends the first attempt. */
export const countingOn: Task<null, number> = durableTask({
  name: "long-counting-on",
  run: (_: null, ctx) => ctx.step("count", (step) => count(ctx.runId, step)),
});

/** The same in a regular run. */
export const regularCounting: Task<null, number> = task({
  name: "long-regular-counting",
  heartbeatTimeout: "300ms",
  retries: { limit: 2, backoff: { initial: "10ms" } },
  run: (_: null, ctx) => count(ctx.runId, ctx),
});

/** A step with a limit for all its attempts. */
export const impatient: Task<{ readonly isDeaf: boolean }, string> = durableTask({
  name: "long-impatient",
  run: async ({ isDeaf }: { readonly isDeaf: boolean }, ctx) => {
    try {
      return await ctx.step(
        "call",
        async () => {
          effect(ctx.runId, "call");
          if (isDeaf) await never();
          throw new RangeError("busy");
        },
        {
          totalTimeout: "400ms",
          retries: { limit: 1_000, backoff: { initial: "50ms", factor: 1 } },
        },
      );
    } catch (error) {
      const { cause } = error as Error;
      return `${(cause as Error).name}: ${(cause as Error).message}`;
    }
  },
});
