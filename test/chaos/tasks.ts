/** The tasks of the workload: they execute the programs that are their inputs. */
import {
  allOf,
  anyOf,
  type DurableContext,
  durableTask,
  event,
  sleep,
  type Task,
  task,
} from "../../shared/task.ts";
import { CHANGED_VARIABLE } from "./changed.ts";
import { Journal, ownPlace, trueNow } from "./journal.ts";
import { FRAGILE, type Job, type Op, type Plan } from "./plans.ts";

const isChanged = process.env[CHANGED_VARIABLE] === "1";

/** What a durable run returns: one result for each operation. */
export interface PlanOutput {
  readonly results: unknown[];
}

/** What a regular run returns. */
export interface JobOutput {
  readonly value: number;
  readonly runId: string;
}

const RETRIES = { limit: 5, backoff: { initial: "50ms", factor: 1, jitter: 0 } } as const;

/** A regular run. */
export const chaosJob: Task<Job, JobOutput> = task({
  ...{ name: "chaos-job", retries: RETRIES, run: doJob },
});

/** A regular run whose attempts may take 300 ms. */
export const chaosLimited: Task<Job, JobOutput> = task({
  name: "chaos-limited",
  timeout: "300ms",
  retries: { ...RETRIES, limit: 2 },
  run: doJob,
});

/** A durable run. */
export const chaosPlan: Task<Plan, PlanOutput> = durableTask({
  ...{ name: "chaos-plan", retries: RETRIES, run: followPlan },
});

/** A durable run that may take 2 s. */
export const chaosHurry: Task<Plan, PlanOutput> = durableTask({
  ...{ name: "chaos-hurry", runTimeout: "2s", retries: RETRIES, run: followPlan },
});

type Where = { readonly taskName: string; readonly runId: string };
type Work = {
  readonly step: string;
  readonly key: string;
  readonly attempt: number;
  readonly token?: string;
  readonly signal: AbortSignal;
  readonly ms: number;
  readonly failures: number;
};

async function doJob(
  { value, ms, failures, mode }: Job,
  ctx: Where & { readonly attempt: number; readonly signal: AbortSignal },
): Promise<JobOutput> {
  const { attempt, signal, runId } = ctx;
  const planned = mode === "fail" ? Number.POSITIVE_INFINITY : failures;
  const work = { step: "main", key: runId, attempt, signal, ms, failures: planned };
  await workOn(ctx, work, value);
  return { value, runId };
}

async function followPlan({ plan, end }: Plan, ctx: DurableContext): Promise<PlanOutput> {
  const results: unknown[] = [];
  for (const op of plan) results.push(await follow(op, ctx));
  if (end === "fail") throw new Error("planned failure");
  return { results };
}

async function follow(op: Op, ctx: DurableContext): Promise<unknown> {
  switch (op.op) {
    case "step":
      if (isChanged && op.name.startsWith(FRAGILE)) return changedStep(op.name, ctx);
      return ctx.step(op.name, ({ attempt, idempotencyKey, fencingToken, signal }) => {
        const given = { step: op.name, key: idempotencyKey, attempt, token: fencingToken, signal };
        return workOn(ctx, { ...given, ms: op.ms, failures: op.failures }, stepValue(ctx, op.name));
      });
    case "sleep":
      await ctx.sleepFor({ milliseconds: op.ms });
      return "slept";
    case "event":
      return waitForOne(op, ctx);
    case "events": {
      const came: number[] = [];
      for (let i = 0; i < op.count; i++)
        came.push(numberOf((await ctx.waitForEvent(op.event, { where: { key: op.key } })).data));
      return came;
    }
    case "race": {
      const came = event(op.event, { where: { key: op.key } });
      const first = await ctx.waitFor(anyOf(sleep({ milliseconds: op.ms }), came));
      return first.kind === "sleep" ? "slept" : { came: numberOf(first.data) };
    }
    case "both": {
      const came = event(op.event, { where: { key: op.key } });
      const [, second] = await ctx.waitFor(allOf(sleep({ milliseconds: op.ms }), came));
      return { came: numberOf(second.data) };
    }
    case "children": {
      const { count, ms, failures } = op;
      const jobs = Array.from({ length: count }, (_, value) => jobOf(value, ms, failures));
      return (await ctx.run(chaosJob, jobs)).map(({ value }) => value);
    }
    case "singles": {
      const values = Array.from({ length: op.count }, (_, value) => value);
      const runs = values.map((value) => ctx.run(chaosJob, jobOf(value, op.ms)));
      return (await Promise.all(runs)).map(({ value }) => value);
    }
    case "child":
      return ctx.run(chaosPlan, { plan: op.plan });
    case "left":
      await ctx.start(chaosJob, jobOf(0, op.ms), { whenCanceled: "leave" });
      return "left";
    case "parallel":
      return Promise.all(op.of.map((part) => follow(part, ctx)));
    case "guarded":
      try {
        return await Promise.all(op.of.map((part) => follow(part, ctx)));
      } catch {
        return "caught";
      }
    case "random":
      return ctx.random();
  }
}

/**
 * What changed code asks for. It has no effect and no end: runs that come to it for the first time are
 * not to keep it, they go on when the process with the changed code is gone.
 */
function changedStep(name: string, ctx: DurableContext): Promise<unknown> {
  return ctx.step(
    `changed ${name}`,
    ({ signal }) =>
      new Promise<never>((_, reject) => {
        signal.addEventListener("abort", () => reject(signal.reason as Error));
      }),
    { retries: 0 },
  );
}

async function waitForOne(op: Op & { op: "event" }, ctx: DurableContext): Promise<unknown> {
  const where = { key: op.key };
  if (op.timeoutMs === undefined)
    return numberOf((await ctx.waitForEvent(op.event, { where })).data);
  const timeout = { milliseconds: op.timeoutMs };
  const came = await ctx.waitForEvent(op.event, { where, timeout });
  return came === null ? null : numberOf(came.data);
}

function numberOf(payload: unknown): number {
  return (payload as { readonly n: number }).n;
}

function jobOf(value: number, ms: number, failures = 0): Job {
  return { value, ms, failures, mode: "ok" };
}

function stepValue({ runId }: Where, name: string): string {
  return `${runId}/${name}`;
}

let effects: Journal | undefined;

/** The side effect itself: what is written here has happened, whatever the log says. */
async function workOn<T>({ taskName, runId }: Where, work: Work, value: T): Promise<T> {
  const { folder, process: name } = ownPlace();
  effects ??= new Journal(folder, `effects-${name}.jsonl`);
  const { step, key, attempt, token, signal, ms, failures } = work;
  const common = { process: name, pid: process.pid, taskName, runId, step, key, attempt, token };
  const tell = (phase: string, rest: object = {}): void =>
    effects?.write({ at: trueNow(), ...common, phase, ...rest });
  tell("begin");
  await passed(ms, signal);
  if (attempt <= failures) {
    tell("failed");
    throw new Error("planned failure");
  }
  tell("end", { value });
  return value;
}

function passed(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason as Error);
    });
  });
}
