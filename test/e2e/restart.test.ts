import test from "ava";
import type { RunHandle, RunView } from "../../shared/index.ts";
import { until } from "../helpers/until.ts";
import { checkHistory, forEachWorld, type World } from "./harness/index.ts";
import { sleeper } from "./tasks/sleepers.ts";

const tasksFile = new URL("./tasks/sleepers.js", import.meta.url);
const RESULT = "went to bed, got up";
/** How late a timer may fire after everything is up again: servers elect leaders first. */
const LATEST_MS = 5_000;

forEachWorld(test, (title, open) => {
  test(`${title}: a sleep of 20 s survives a restart of every process and is in time; one whose time passed meanwhile ends on the way up`, async (t) => {
    const world = await open(t, { ownServers: true });
    const before = await world.startWorker({ tasksFile });
    const long = await world.client.start(sleeper, 20_000);
    const short = await world.client.start(sleeper, 2_000);
    const waiting = {
      long: await world.untilStatus(long, "waiting"),
      short: await world.untilStatus(short, "waiting"),
    };
    await until(() => world.leases.of(before.id, "durable")?.held.length === 0);
    await before.end();
    await Promise.all(world.topology.servers.map((server) => server.kill()));
    await until(() => Date.now() > dueTime(waiting.short), { what: "the short sleep is over" });
    await Promise.all(world.topology.servers.map((server) => server.start()));
    const after = await world.startWorker({ tasksFile });
    t.is(await world.result(short), RESULT);
    t.is(await world.result(long, 60_000), RESULT);
    for (const run of [short, long]) {
      t.deepEqual(
        world.effects.read(run.runId, "after").map(({ pid }) => pid),
        [after.pid],
      );
      checkHistory(t, await world.endOf(run));
    }
    const lateMs = (await wokenAt(world, long)) - dueTime(waiting.long);
    t.true(lateMs >= 0, "the long sleep did not end early");
    t.true(lateMs < LATEST_MS, `the long sleep was ${lateMs} ms late`);
  });
});

/** When the sleep of a run was due, by the server's clock. */
function dueTime(view: RunView): number {
  for (const wait of view.state.waits.values())
    if (wait.condition.kind === "sleep") return wait.condition.dueAt;
  throw new Error(`Run "${view.runId}" did not sleep.`);
}

/** When the commit that woke a run was stored, by the server's clock. */
async function wokenAt({ link, setup }: World, run: RunHandle): Promise<number> {
  const view = await run.view();
  const woken = view.commits.find(
    ({ entries: [first] }) => first?.kind === "claimed" && first.because === "timer",
  );
  const { stream } = setup.names.run(run);
  const stored = await link.reader.get(stream, woken?.sequence ?? 0);
  return stored?.timeMs ?? 0;
}
