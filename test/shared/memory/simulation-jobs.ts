/** What is asked of a simulated world, and what must have become of it in the end. */
import type { ExecutionContext } from "ava";
import type { RunHandle } from "../../../shared/client.ts";
import type { Outcome } from "../../../shared/entries.ts";
import { ContrailError, RunCanceledError, RunFailedError } from "../../../shared/errors.ts";
import { TAKEOVERS_BEFORE_PAUSE } from "../../../shared/limits.ts";
import { sightings } from "./sightings.ts";
import { type Plan, Simulation } from "./simulation.ts";
import { type Begun, Effects, tasksOf } from "./simulation-tasks.ts";

/** A run to start, and what it may come to. */
export interface Job {
  readonly taskName: string;
  readonly input: unknown;
  /** How it may end: an output, or the name of an error. */
  readonly ends: readonly unknown[];
  /** Published in this order after the start. */
  readonly events?: readonly (readonly [name: string, payload: unknown])[];
  /** It is started twice under one id. */
  readonly isTwice?: boolean;
  /** Somebody asks to cancel it some time after its start. */
  readonly isCanceled?: boolean;
}

const paid = { id: "o1", paid: true };
const sent = { id: "o1", sent: true };

/** What workers can do without an engine. */
export const WORKER_JOBS: readonly Job[] = [
  { taskName: "noop", input: 1, ends: [2] },
  { taskName: "steps", input: 5, ends: [10], isTwice: true },
  { taskName: "sleeper", input: 1_500, ends: [3] },
  { taskName: "sleeper", input: 3 * 86_400_000, ends: [3] },
  { taskName: "flaky", input: 3, ends: [4] },
  { taskName: "branches", input: 5, ends: [10] },
  { taskName: "failing", input: "no", ends: ["RunFailedError"] },
];

/** What needs an engine. */
export const ENGINE_JOBS: readonly Job[] = [
  {
    taskName: "approval",
    input: "o1",
    ends: [[paid, sent]],
    events: [
      ["order.paid", { id: "o2" }],
      ["order.paid", paid],
      ["order.sent", sent],
    ],
  },
  { taskName: "parent", input: 4, ends: [15] },
  { taskName: "race", input: 2_000, ends: ["event", "sleep"], events: [["vote", 1]] },
  {
    taskName: "counter",
    input: 3,
    ends: ["the ticks in their order"],
    events: [
      ["tick", 1],
      ["tick", 2],
      ["tick", 3],
    ],
  },
  {
    taskName: "rounds",
    input: { round: 0, sequences: [] },
    ends: ["the laps in their order"],
    events: [
      ["lap", 1],
      ["lap", 2],
      ["lap", 3],
    ],
  },
  { taskName: "sleeper", input: 2 * 86_400_000, ends: ["RunCanceledError"], isCanceled: true },
];

/** Tasks that return the sequences of the first three events of a name. */
const COUNTED: { readonly [taskName: string]: string } = { counter: "tick", rounds: "lap" };

/** What became of a simulation. */
export interface Played {
  readonly traceHash: string;
  readonly deaths: number;
  /** Places where a process could die. */
  readonly places: number;
  readonly virtualMs: number;
  readonly steps: number;
  readonly begun: readonly Begun[];
}

/** How the jobs are played. */
export interface Play {
  /** Repeats it. Default the seed of the plan. */
  readonly name?: string;
  readonly plan: Plan;
  readonly jobs: readonly Job[];
  /** Jobs start, and events are published, within so long after one another. Default 4,000. */
  readonly pauseMs?: number;
  /** Not all has to end: what goes wrong goes on. What has ended must have ended rightly. */
  readonly isEndless?: boolean;
}

const PAUSE_MS = 4_000;
const WITHIN_MS = 10 * 86_400_000;
/** Many times what any seed needs. */
const MOST_STEPS = 300_000;
/** Many times what those steps take: then something else goes on for ever. */
const SEED_TIMEOUT_MS = 90_000;
/** How long what never heals goes on. */
const ENDLESS_MS = 60_000;
/** What is left over when all runs have ended is gone after so long. */
const CLEAN_WITHIN_MS = 120_000;
const LOOK_EVERY_MS = 500;
/** All has healed long before: then a paused run stays so. */
const PAUSED_AFTER_MS = 90_000;
const PAUSED_EVERY_STEPS = 200;

/** Plays the jobs and checks what became of them. */
export async function playJobs(t: ExecutionContext, play: Play): Promise<Played> {
  const { plan, name = plan.seed } = play;
  t.timeout(SEED_TIMEOUT_MS, `No end: ${commandFor(name)}`);
  const effects = new Effects();
  const tasks = tasksOf(
    effects,
    play.jobs.map(({ taskName }) => taskName),
  );
  return Simulation.play(plan, tasks, async (simulation) => {
    effects.simulation = simulation;
    try {
      const { time } = simulation.world;
      await (play.isEndless ? playEndlessly : playToTheEnd)(simulation, play);
      for (const begun of effects.begun)
        if (begun.wasKnown) throw new Error(`Begun although known: ${JSON.stringify(begun)}`);
      t.pass();
      const { traceHash, deaths, places } = simulation;
      const { begun } = effects;
      return { traceHash, deaths, places, virtualMs: time.monotonic(), steps: time.steps, begun };
    } catch (error) {
      t.log(simulation.lastLines.join("\n"));
      for (const [i, job] of play.jobs.entries()) t.log(historyOf(simulation, job, i));
      const what = error instanceof Error ? error.message : String(error);
      throw new Error(`${what}\n${commandFor(name)}`, { cause: error });
    }
  });
}

/** How to repeat one seed. */
function commandFor(name: string): string {
  return `CONTRAIL_SIMULATION_SEED='${name}' npm test -- dist/test/shared/memory/simulation.test.js`;
}

/** Plays until all runs have ended and nothing is left over. */
async function playToTheEnd(simulation: Simulation, play: Play): Promise<void> {
  const { time } = simulation.world;
  const progress = begin(simulation, play);
  /** A run that has lost its worker again and again is paused, and whoever waits for it waits. */
  const isPaused = (): boolean =>
    time.monotonic() > PAUSED_AFTER_MS &&
    time.steps % PAUSED_EVERY_STEPS === 0 &&
    simulation.pausedRuns > 0;
  const isOver = (): boolean => progress.isOver() || isPaused();
  await time.until(isOver, { withinMs: WITHIN_MS, steps: MOST_STEPS });
  progress.check(progress.isOver());
  if (!progress.isOver()) return;
  for (let waitedMs = 0; remains(simulation) !== undefined; waitedMs += LOOK_EVERY_MS) {
    if (waitedMs > CLEAN_WITHIN_MS) throw new Error(`Left over: ${remains(simulation)}`);
    await time.advance(LOOK_EVERY_MS);
  }
}

/** Plays for a while, whatever has ended then. */
async function playEndlessly(simulation: Simulation, play: Play): Promise<void> {
  const { time } = simulation.world;
  const progress = begin(simulation, play);
  const until = time.monotonic() + ENDLESS_MS;
  const isOver = (): boolean => progress.isOver() || time.monotonic() > until;
  await time.until(isOver, { steps: MOST_STEPS });
  progress.check(false);
}

/** Begins all jobs. */
function begin(
  simulation: Simulation,
  { jobs, pauseMs }: Play,
): { isOver(): boolean; check(mustEnd: boolean): void } {
  let failure: unknown;
  let left = jobs.length;
  for (const [i, job] of jobs.entries())
    void playJob(simulation, job, i, pauseMs).then(
      () => left--,
      (error: unknown) => {
        failure ??= error;
      },
    );
  return {
    isOver: () => left === 0 || failure !== undefined,
    check: (mustEnd) => {
      if (failure !== undefined) throw failure;
      for (const [i, job] of jobs.entries()) checkHistory(simulation, job, i, mustEnd);
    },
  };
}

/** Asks for one run and waits for its end. */
async function playJob(
  simulation: Simulation,
  job: Job,
  index: number,
  pauseMs = PAUSE_MS,
): Promise<void> {
  simulation.asking++;
  const run = await ask(simulation, job, index, pauseMs);
  simulation.asking--;
  const found = await run.result().catch((error: unknown) => {
    if (error instanceof RunFailedError || error instanceof RunCanceledError) return error.name;
    throw error;
  });
  const { taskName, ends } = job;
  const counted = COUNTED[taskName];
  const expected = counted === undefined ? ends : [simulation.firstEvents(counted, 3)];
  if (!expected.some((end) => JSON.stringify(end) === JSON.stringify(found)))
    throw new Error(
      `run-${index} of ${taskName} came to ${JSON.stringify(found)}, not ${JSON.stringify(expected)}.`,
    );
}

/** Starts a run, and does what else its job says. */
async function ask(
  { world, client, random }: Simulation,
  { taskName, input, events = [], isTwice, isCanceled }: Job,
  index: number,
  pauseMs: number,
): Promise<RunHandle> {
  const later = (): Promise<void> =>
    new Promise((resolve) => void world.time.after(random() * pauseMs, resolve));
  const start = async (): Promise<RunHandle> => {
    await later();
    return retried(() => client.start(taskName, input, { id: `run-${index}` }), later);
  };
  const [run] = await Promise.all([start(), ...(isTwice ? [start()] : [])]);
  for (const [name, payload] of events) {
    await later();
    await retried(() => client.publish(name, payload), later);
  }
  if (isCanceled) {
    await later();
    await retried(() => run.cancel(), later);
  }
  return run;
}

/** What may fail is tried again, as a caller of ours would. */
async function retried<T>(act: () => Promise<T>, later: () => Promise<void>): Promise<T> {
  for (;;)
    try {
      return await act();
    } catch (error) {
      if (!(error instanceof ContrailError && error.retryable)) throw error;
      await later();
    }
}

/** A run has ended once, or not yet where that is allowed, and each of its steps is stored once. */
function checkHistory(
  simulation: Simulation,
  { taskName }: Job,
  index: number,
  mustEnd: boolean,
): void {
  const runId = `run-${index}`;
  const entries = simulation.commitsOf({ taskName, runId }).flatMap((commit) => commit.entries);
  sightings.history(entries, simulation.tokensOf({ taskName, runId }));
  const fail = (what: string): never => {
    throw new Error(`${runId} of ${taskName} ${what}`);
  };
  const ends: Outcome[] = [];
  const stored = new Set<string>();
  let takeovers = 0;
  for (const entry of entries) {
    if (ends.length > 0) fail("goes on after its end");
    if (entry.kind === "ended") ends.push(entry.outcome);
    // Its worker died each time that it was taken over (rule 9), and for no other reason.
    const isLost = takeovers >= TAKEOVERS_BEFORE_PAUSE;
    if (entry.kind === "paused" && !isLost) fail(`is paused: ${entry.reason}`);
    if (entry.kind === "continued") stored.clear();
    takeovers = entry.kind === "claimed" && entry.because === "takeover" ? takeovers + 1 : 0;
    if (entry.kind !== "step-completed") continue;
    if (stored.has(entry.key)) fail(`has two results of ${entry.key}`);
    stored.add(entry.key);
  }
  if (mustEnd && ends.length === 0) fail("has not ended");
}

/** What is stored for a run, for people. */
function historyOf(simulation: Simulation, { taskName }: Job, index: number): string {
  const runId = `run-${index}`;
  const entries = simulation.commitsOf({ taskName, runId }).flatMap((commit) => commit.entries);
  return `${runId} of ${taskName}: ${entries.map(({ kind }) => kind).join(", ")}`;
}

/** What is left to wake ended runs by, or is held for them; nothing if nothing. */
function remains({ openTokens, world, heldSlots }: Simulation): string | undefined {
  if (openTokens > 0) return `${openTokens} tokens`;
  if (heldSlots.length > 0) return `slots: ${heldSlots.join(", ")}`;
  const { nextDueAt } = world.server;
  return nextDueAt === undefined ? undefined : `a schedule, due at ${nextDueAt}`;
}
