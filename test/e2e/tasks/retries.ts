/** Steps and regular runs that fail in every way that decides about the next attempt. */
import { existsSync, writeFileSync } from "node:fs";
import {
  durableTask,
  NonRetryableError,
  RetryAfterError,
  StepFailedError,
  type Task,
  task,
} from "../../../shared/task.ts";
import { effect } from "../harness/effects.ts";

/** A failure with a cause, and a place in this file. */
function refusal(attempt: number): RangeError {
  return new RangeError(`refused ${attempt}`, { cause: new Error("socket closed") });
}

/** How the step "call" fails. */
export type Failing = "always" | "for good" | "at its second" | "by rule";

/** Tells what its step threw at it, after all its attempts. */
export const caller: Task<Failing, string> = durableTask({
  name: "retries-caller",
  retries: { limit: 2, backoff: { initial: "10ms" } },
  run: async (failing: Failing, ctx) => {
    const retries =
      failing === "by rule"
        ? {
            limit: 5,
            backoff: { initial: "10ms" },
            retryIf: (error: unknown, attempt: number) =>
              error instanceof RangeError && attempt < 2,
          }
        : undefined;
    const call = ctx.step(
      "call",
      ({ attempt }) => {
        effect(ctx.runId, "call", attempt);
        if (failing === "for good") throw new NonRetryableError("no such account");
        if (failing === "at its second" && attempt === 2) return "called";
        throw refusal(attempt);
      },
      retries === undefined ? {} : { retries },
    );
    try {
      return await call;
    } catch (error) {
      if (!(error instanceof StepFailedError)) throw error;
      const { name, message, cause } = error.cause as Error;
      const root = cause === undefined ? "" : `, because ${(cause as Error).message}`;
      return ctx.step("tell", () => `${name}: ${message}${root}`);
    }
  },
});

/** Files that two runs tell each other something with. */
export interface Meeting {
  readonly other: string;
}

/** Fails until the other run has begun, which needs the only slot. */
export const patientCaller: Task<Meeting, string> = durableTask({
  name: "retries-patient",
  run: ({ other }: Meeting, ctx) =>
    ctx.step(
      "call",
      ({ attempt }) => {
        effect(ctx.runId, "call", attempt);
        if (!existsSync(other)) throw refusal(attempt);
        return "met";
      },
      { retries: { limit: 1_000, backoff: { initial: "300ms", factor: 1 } } },
    ),
});

/** The same as a regular run. */
export const patientRegular: Task<Meeting, string> = task({
  name: "retries-patient-regular",
  retries: { limit: 1_000, backoff: { initial: "300ms", factor: 1 } },
  run: ({ other }: Meeting, { runId, attempt }) => {
    effect(runId, "call", attempt);
    if (!existsSync(other)) throw refusal(attempt);
    return "met";
  },
});

/** Says that it has begun. */
export const begun: Task<Meeting, void> = durableTask({
  name: "retries-begun",
  run: ({ other }: Meeting, ctx) => ctx.step("begin", () => writeFileSync(other, "")),
});

/** The same as a regular run. */
export const begunRegular: Task<Meeting, void> = task({
  name: "retries-begun-regular",
  run: ({ other }: Meeting) => writeFileSync(other, ""),
});

/** Fails twice, and kills its worker between the second attempt and the third, if that is told to. */
export const interrupted: Task<Meeting, number> = durableTask({
  name: "retries-interrupted",
  run: ({ other }: Meeting, ctx) =>
    ctx.step("call", (step) => killedAt(ctx.runId, other, step.attempt), {
      retries: { limit: 3, backoff: { initial: "1s", factor: 1, jitter: 0 } },
    }),
});

/** The same as a regular run. */
export const interruptedRegular: Task<Meeting, number> = task({
  name: "retries-interrupted-regular",
  retries: { limit: 3, backoff: { initial: "1s", factor: 1, jitter: 0 } },
  run: ({ other }: Meeting, { runId, attempt }) => killedAt(runId, other, attempt),
});

function killedAt(runId: string, other: string, attempt: number): number {
  effect(runId, "call", attempt);
  if (attempt === 3) return attempt;
  if (attempt === 2) writeFileSync(other, "");
  throw refusal(attempt);
}

/** Is told to come back after two seconds, and then succeeds. */
export const delayed: Task<null, number> = durableTask({
  name: "retries-delayed",
  run: (_: null, ctx) =>
    ctx.step("call", ({ attempt }) => {
      effect(ctx.runId, "call", attempt);
      if (attempt === 1) throw new RetryAfterError("busy", "2s", { cause: refusal(attempt) });
      return attempt;
    }),
});

/** The same as a regular run. */
export const delayedRegular: Task<null, number> = task({
  name: "retries-delayed-regular",
  run: (_: null, { runId, attempt }) => {
    effect(runId, "call", attempt);
    if (attempt === 1) throw new RetryAfterError("busy", { seconds: 2 });
    return attempt;
  },
});

/** Fails for good at its first attempt, though it may be tried again. */
export const hopeless: Task<null, never> = task({
  name: "retries-hopeless",
  retries: { limit: 5, backoff: { initial: "10ms" } },
  run: (_: null, { runId, attempt }) => {
    effect(runId, "call", attempt);
    throw new NonRetryableError("no such account");
  },
});

/** A step whose first attempt outlives its time limit and comes to a result afterwards. */
export const late: Task<Meeting, string> = durableTask({
  name: "retries-late",
  run: ({ other }: Meeting, ctx) =>
    ctx.step(
      "call",
      async ({ attempt, signal }) => {
        effect(ctx.runId, "call", attempt);
        if (attempt > 1) {
          writeFileSync(`${other}.begun`, "");
          await fileAt(`${other}.over`);
          return "in time";
        }
        signal.addEventListener("abort", () =>
          effect(ctx.runId, `told ${(signal.reason as Error).name}`, attempt),
        );
        await fileAt(`${other}.begun`); // deaf to its signal; its successor is at work
        effect(ctx.runId, "late", attempt);
        setImmediate(() => writeFileSync(`${other}.over`, ""));
        return "too late";
      },
      { timeout: "500ms", retries: { limit: 1_000, backoff: { initial: "10ms" } } },
    ),
});

async function fileAt(path: string): Promise<void> {
  while (!existsSync(path)) await new Promise((resolve) => setTimeout(resolve, 10));
}
