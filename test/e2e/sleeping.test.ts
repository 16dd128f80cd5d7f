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
    const { runs, sleepMs, leases } = await sleepTogether(world);
    t.deepEqual(leases, [{ capacity: 1, held: 0 }]);
    await Promise.all(runs.map((run) => world.result(run, 60_000)));
    for (const run of runs) await checkSleep(world, run);
    for (const { runId } of runs) {
      t.is(world.effects.read(runId, "before").length, 1);
      t.is(world.effects.read(runId, "after").length, 1);
    }
    checkHistory(t, await world.endOf(runs[0] as RunHandle));
    await checkQuiet(t, world);

    /** Times are the server's: when each message of the run was stored. */
    async function checkSleep({ link, setup }: World, run: RunHandle): Promise<void> {
      const view: RunView = await world.endOf(run);
      const dueAt = Math.floor(dueTime(view));
      const { stream, prefix } = setup.names.run(run);
      const stored = await link.reader.readSubject(stream, `${prefix}.h`);
      const start = await link.reader.readSubject(stream, `${prefix}.token.start`);
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

/**
 * Starts runs until all of them sleep while another goes through, and says what the bucket showed
 * meanwhile. Only the machine knows how long that takes: where one got up too early to prove
 * anything, new ones sleep twice as long.
 * @throws {Error} When it takes more than a minute and a half.
 */
async function sleepTogether(world: World): Promise<Together> {
  for (let sleepMs = SHORTEST_SLEEP_MS; sleepMs < 100_000; sleepMs *= 2) {
    const runs = await Promise.all(
      Array.from({ length: RUNS }, () => world.client.start(sleeper, sleepMs)),
    );
    const lieDown = async (): Promise<"asleep" | "up" | false> => {
      if ((await countWaiting(world)) === RUNS) return "asleep";
      const ended = await world.client.list({ ...listed, status: "completed" });
      return ended.some(({ runId }) => runs.some((run) => run.runId === runId)) && "up";
    };
    const seen = await until(lieDown, { withinMs: 60_000, what: "all runs sleep, or one is up" });
    if (seen === "asleep") {
      await world.result(await world.client.start(quick));
      const leases = await until(() => freeSlots(world), { what: "the bucket shows a free slot" });
      if ((await countWaiting(world)) === RUNS) return { runs, sleepMs, leases };
    }
    for (const run of runs) await world.result(run, 60_000);
  }
  throw new Error("The runs never slept together: the slot was not free while they waited.");
}

interface Together {
  readonly runs: readonly RunHandle[];
  readonly sleepMs: number;
  readonly leases: readonly { readonly capacity: number; readonly held: number }[];
}

/** What the bucket shows, once no run holds a slot. */
async function freeSlots(world: World): Promise<Together["leases"] | false> {
  const stored = await world.leases.stored("durable");
  const leases = stored.map(({ capacity, held }) => ({ capacity, held: held.length }));
  return leases.length > 0 && leases.every(({ held }) => held === 0) && leases;
}

const listed = { taskName: "sleeper", limit: RUNS } as const;

async function countWaiting({ client }: World): Promise<number> {
  return (await client.list({ ...listed, status: "waiting" })).length;
}

/** When the sleep of a run was due. */
function dueTime(view: RunView): number {
  for (const wait of view.state.waits.values())
    if (wait.condition.kind === "sleep") return wait.condition.dueAt;
  throw new Error(`Run "${view.runId}" did not sleep.`);
}
