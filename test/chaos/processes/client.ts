/**
 * A client of the chaos run: keeps a number of runs under way until the runner says `{ finish: true }`,
 * then sees to it that what these runs need has been published, waits for their ends, and ends.
 */
import { setMaxListeners } from "node:events";
import { type ClientOptions, connect, type RunHandle } from "../../../shared/index.ts";
import { ownPlace } from "../journal.ts";
import { type Edge, Operations } from "../operations.ts";
import { pause } from "../pause.ts";
import { eventsOf, longPlan, newJob, newPlan, type Plan } from "../plans.ts";
import { Random } from "../random.ts";
import { chaosHurry, chaosJob, chaosLimited, chaosPlan } from "../tasks.ts";
import { readEarlier } from "./earlier.ts";
import { log, ownOptions, serve } from "./side.ts";

/** How a client is started. */
export interface ClientSettings extends ClientOptions {
  readonly seed: string;
  /** How many runs it keeps under way. */
  readonly runsAtOnce: number;
  /** Counts on over the lives of one client, so that none starts the runs of another. */
  readonly firstRun: number;
}

const { seed, runsAtOnce, firstRun, ...options } = ownOptions<ClientSettings>();
const { folder, process: name } = ownPlace();
const operations = new Operations(folder, name);
const client = await connect(options);
const finish = new AbortController();
const giveUp = new AbortController();
for (const { signal } of [finish, giveUp]) setMaxListeners(0, signal);
const wasCanceled = new Set<string>();
const lane = name.replace(/\.\d+$/, "");
let count = firstRun;

process.on("message", (message: { readonly finish?: boolean; readonly giveUp?: boolean }) => {
  if (message.finish) finish.abort();
  if (message.giveUp) giveUp.abort();
});
serve(name, () => client.close());

const earlier = readEarlier(folder, lane);
const left = earlier.unfinished.map((runId) => oneRun(new Random(seed, "run", runId), runId));
await Promise.all([...left, ...Array.from({ length: runsAtOnce }, () => keepStarting())]);
log.info("All runs have come to their ends.", { runs: count - firstRun });
await client.close();
process.exit(0);

async function keepStarting(): Promise<void> {
  while (!finish.signal.aborted) {
    const index = count++;
    const runId = `${lane}-${index}`;
    await oneRun(new Random(seed, "run", runId), runId);
    if (index % 10 === 0) await askBadly(new Random(seed, "bad", runId), runId);
  }
}

/** Asks for what must be refused with an error that names it. */
async function askBadly(random: Random, runId: string): Promise<void> {
  const taskName = chaosJob.name;
  const asks: { readonly [kind: string]: () => Promise<unknown> } = {
    "an input within itself": () => client.start(taskName, withinItself(), { id: `${runId}-bad` }),
    "a function as input": () => client.start(taskName, { f: () => 1 }, { id: `${runId}-bad` }),
    "an empty task name": () => client.start("", {}, { id: `${runId}-bad` }),
    "a run id of 300 bytes": () => client.start(taskName, {}, { id: "x".repeat(300) }),
  };
  if (random.chance(0.2)) {
    const publish = (): Promise<unknown> => client.publish("chaos..paid", {});
    await operations.record("publish", { eventName: "chaos..paid", key: "bad" }, publish);
    return;
  }
  const payload = random.pick(Object.keys(asks));
  const start = async (): Promise<object> => ({ started: Boolean(await asks[payload]?.()) });
  await operations.record("start", { taskName, payload, key: "bad" }, start);
}

function withinItself(): object {
  const input: { self?: object } = {};
  input.self = input;
  return input;
}

async function oneRun(random: Random, runId: string): Promise<void> {
  const kind = random.weighted({ plan: 10, job: 4, limited: 0.7, hurry: 0.5 });
  const plan = kind === "hurry" ? longPlan(random, runId) : newPlan(random, runId);
  const job = newJob(random, random.whole(0, 1_000));
  const limited = { ...job, ms: random.pick([0, 100, 5_000]) };
  const [task, input] = {
    plan: [chaosPlan, plan] as const,
    hurry: [chaosHurry, plan] as const,
    job: [chaosJob, job] as const,
    limited: [chaosLimited, limited] as const,
  }[kind];
  const isDurable = kind === "plan" || kind === "hurry";
  const what = { taskName: task.name, runId };
  const begin = (given: unknown) => async (): Promise<object> => {
    await client.start(task.name, given, { id: runId });
    return {};
  };
  const repeats = random.chance(0.15) ? random.whole(1, 2) : 0;
  const duplicates = Array.from({ length: repeats }, () => {
    const key = random.chance(0.25) ? "conflict" : "duplicate";
    const given = key === "conflict" ? { ...input, other: true } : input;
    return { details: { ...what, payload: given, key }, given };
  });
  const first = operations.untilKnown(
    ...(["start", { ...what, payload: input }, begin(input), giveUp.signal] as const),
  );
  // At the same time as the first start, or behind it.
  if (random.chance(0.5)) await first;
  const others = duplicates.map(({ details, given }) =>
    operations.record("start", details, begin(given)),
  );
  if ((await first).edge !== "ok") log.warn("A run was not started.", { runId, ...(await first) });
  const run = client.get(task.name, runId) as RunHandle;
  const under = isDurable ? publishAll(random, plan) : Promise.resolve();
  const end = (async (): Promise<void> => {
    const isEndless = isDurable && (plan as Plan).never === true;
    if (random.chance(isEndless ? 0.6 : 0.1)) await cancel(run, random);
    if (isEndless && !wasCanceled.has(runId)) return;
    await awaitEnd(run);
  })();
  await Promise.all([...others, under, end]);
}

async function cancel(run: RunHandle, random: Random): Promise<void> {
  const op = random.chance(0.3) ? "terminate" : "cancel";
  await pause(random.whole(0, 3_000));
  const { taskName, runId } = run;
  wasCanceled.add(runId);
  const ask = (): Promise<void> => run[op]("chaos");
  await operations.untilKnown(op, { taskName, runId }, ask, giveUp.signal);
}

async function publishAll(random: Random, { plan }: Plan): Promise<void> {
  const events = eventsOf(random, plan);
  const keys = new Map<string, typeof events>();
  for (const event of events) keys.set(event.key, [...(keys.get(event.key) ?? []), event]);
  await Promise.all(
    [...keys.values()].map(async (ofKey) => {
      for (const { event, key, n, afterMs } of ofKey) {
        await pause(afterMs, finish.signal);
        const payload = { key, n, id: `${key}#${n}` };
        if (earlier.published.has(payload.id)) continue;
        const publish = (): Promise<object> => client.publish(event, payload);
        await untilOk(() => operations.record("publish", { eventName: event, payload }, publish));
      }
    }),
  );
}

async function awaitEnd(run: RunHandle): Promise<void> {
  const { taskName, runId } = run;
  const ask = async (): Promise<object> => ({
    status: "completed",
    output: await run.result({ signal: giveUp.signal }),
  });
  await operations.untilKnown("result", { taskName, runId }, ask, giveUp.signal);
}

async function untilOk(attempt: () => Promise<Edge>): Promise<void> {
  while ((await attempt()).edge !== "ok" && !giveUp.signal.aborted) await pause(250);
}
