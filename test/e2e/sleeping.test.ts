import test from "ava";
import type { RunHandle, RunView } from "../../shared/index.ts";
import { until } from "../helpers/until.ts";
import { checkHistory, checkQuiet, claims, forEachWorld, type World } from "./harness/index.ts";
import { listener } from "./tasks/listeners.ts";
import { quick, sleeper } from "./tasks/sleepers.ts";

const tasksFile = new URL("./tasks/sleepers.js", import.meta.url);
const RUNS = 200;
const SHORTEST_SLEEP_MS = 3_000;

forEachWorld(test, (title, open) => {
  test(`${title}: the slot of a run is free as soon as it waits, before its timer is stored, and during a short sleep`, async (t) => {
    const world = await open(t);
    const failpoints = `before-registration@1=hold:${world.gate("go")}`;
    await world.startWorker({ tasksFile, slots: { durable: 1 }, failpoints });
    const long = await world.client.start(sleeper, 1_500);
    await world.untilHeld("go");
    t.is(await world.result(await world.client.start(quick)), "done");
    t.false((await long.view()).hasTimer);
    world.open("go");
    t.is(await world.result(long), "went to bed, got up");
    // Sleeps as long as are not registered: had they to share the slot, they would end one by one.
    const short = await Promise.all(
      Array.from({ length: 20 }, () => world.client.start(sleeper, 900)),
    );
    for (const run of short) t.is(await world.result(run), "went to bed, got up");
    const asleep = short.map(({ runId }) => world.effects.read(runId, "before")[0]?.at ?? 0);
    const awake = short.map(({ runId }) => world.effects.read(runId, "after")[0]?.at ?? 0);
    const together = asleep.filter((at) => at < Math.min(...awake));
    t.true(together.length > 1, `${together.length} slept before the first got up`);
    await checkQuiet(t, world);
  });

  test(`${title}: 200 waits whose time is over end with one commit each, the claim, none a moment too early`, async (t) => {
    const world = await open(t, { claimTimeoutMs: 3_000 });
    await world.startWorker({ tasksFile: new URL("./tasks/listeners.js", import.meta.url) });
    const listening = { name: "never", timeoutMs: 2_000 };
    const runs = await Promise.all(
      Array.from({ length: RUNS }, () => world.client.start(listener, listening)),
    );
    for (const run of runs) t.deepEqual(await world.result(run, 60_000), [null]);
    for (const run of runs) {
      const { commits } = await world.endOf(run);
      const kinds = commits
        .flatMap(({ entries }) => entries.map(({ kind }) => kind))
        .slice(-4)
        .join(" ");
      // A claim before the time would have found nothing to settle, and waited once more.
      if (kinds !== "claimed wait-settled step-completed ended") t.fail(kinds);
    }
    await checkQuiet(t, world);
  });

  test(`${title}: 200 runs sleep at once on a worker with one durable slot, none holds it, and a new run ends meanwhile`, async (t) => {
    const world = await open(t);
    await world.startWorker({ tasksFile, slots: { durable: 1 } });
    const sleepMs = Math.max(SHORTEST_SLEEP_MS, 2.5 * (await passageMs(world)));
    const runs = await Promise.all(
      Array.from({ length: RUNS }, () => world.client.start(sleeper, sleepMs)),
    );
    const areAllWaiting = async (): Promise<boolean> => {
      const waiting = await world.client.list({
        taskName: "sleeper",
        status: "waiting",
        limit: RUNS,
      });
      return waiting.length === RUNS;
    };
    await until(areAllWaiting, { withinMs: 60_000, what: "all runs wait at once" });
    const other = await world.client.start(quick);
    t.is(await world.result(other), "done");
    const leases = await until(
      async () => {
        const stored = await world.leases.stored("durable");
        return stored.length === 1 && stored[0]?.held.length === 0 ? stored : undefined;
      },
      { what: "the bucket shows that no run holds the slot" },
    );
    t.is(leases[0]?.capacity, 1);
    t.true(await areAllWaiting(), "all of them slept while the other run went through");
    await Promise.all(runs.map((run) => world.result(run, 60_000)));
    for (const run of runs) await checkSleep(world, run);
    t.is(world.effects.read(undefined, "before").length, RUNS);
    t.is(world.effects.read(undefined, "after").length, RUNS);
    checkHistory(t, await world.endOf(runs[0] as RunHandle));
    await checkQuiet(t, world);

    /** Times are the server's: when each message of the run was stored. */
    async function checkSleep({ link, setup }: World, run: RunHandle): Promise<void> {
      const view: RunView = await world.endOf(run);
      const dueAt = Math.floor(dueTime(view));
      const { stream, prefix } = setup.names.run(run);
      const stored = await link.reader.readSubject(stream, `${prefix}.h`);
      const start = await link.reader.readSubject(stream, `${prefix}.start`);
      const claimed = view.commits.find(({ entries: [first] }) => isWakeUp(first));
      const claimedAt = stored.find(({ sequence }) => sequence === claimed?.sequence)?.timeMs;
      if ((claimedAt ?? 0) < dueAt)
        t.fail(`run "${run.runId}" woke up ${dueAt - (claimedAt ?? 0)} ms early`);
      if (dueAt < (start[0]?.timeMs ?? 0) + sleepMs) t.fail(`run "${run.runId}" slept too little`);
      const wakes = claims(view).filter((because) => because !== "start");
      if (wakes.join() !== "timer") t.fail(`run "${run.runId}" was woken by ${wakes}`);
    }
  });
});

function isWakeUp(entry: RunView["commits"][number]["entries"][number] | undefined): boolean {
  return entry?.kind === "claimed" && entry.because === "timer";
}

/** How long as many runs take to go through the one slot, on this machine as busy as it is now. */
async function passageMs({ client }: World): Promise<number> {
  const startedAt = performance.now();
  const starts = Array.from({ length: RUNS }, () => client.start(quick));
  await Promise.all(starts.map(async (run) => (await run).result()));
  return Math.round(performance.now() - startedAt);
}

/** When the sleep of a run was due. */
function dueTime(view: RunView): number {
  for (const wait of view.state.waits.values())
    if (wait.condition.kind === "sleep") return wait.condition.dueAt;
  throw new Error(`Run "${view.runId}" did not sleep.`);
}
