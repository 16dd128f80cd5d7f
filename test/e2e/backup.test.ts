/** What docs/durability.md says of backups, with the commands that stand there. */
import { rmSync } from "node:fs";
import { join } from "node:path";
import anyTest, { type ExecutionContext, type TestFn } from "ava";
import type { RunHandle } from "../../shared/index.ts";
import { until } from "../helpers/until.ts";
import { DocumentedCommands } from "./harness/documented.ts";
import {
  checkHistory,
  checkpoints,
  checkQuiet,
  forEachWorld,
  type World,
} from "./harness/index.ts";
import { startStates } from "./harness/states.ts";
import { deleteStreams, loseServers, untilReplicated } from "./harness/stores.ts";
import { brief, busyParent } from "./tasks/stored.ts";

const tasksFile = new URL("./tasks/stored.js", import.meta.url);
const documented = await DocumentedCommands.of("docs/durability.md");
/** Where the official command line is neither found nor can be built, these tests are skipped. */
const test = ("missing" in documented ? anyTest.skip : anyTest) as TestFn;

/** Carries a block out, from the beginning again when it fails, as the page says. */
async function carryOut(
  t: ExecutionContext,
  world: World,
  { block, undo }: { readonly block: string; readonly undo: () => unknown },
): Promise<void> {
  if ("missing" in documented) throw new Error(documented.missing);
  const again = async (): Promise<string> => {
    await undo();
    return documented.run(block, world);
  };
  t.log(block, (await until(again, { withinMs: 60_000, what: block })).slice(-2_000));
}

async function backUp(t: ExecutionContext, world: World): Promise<void> {
  const folder = join(world.folder, "backup");
  const undo = (): void => rmSync(folder, { recursive: true, force: true });
  await carryOut(t, world, { block: "backup", undo });
}

async function restore(t: ExecutionContext, world: World): Promise<void> {
  await carryOut(t, world, { block: "restore", undo: () => deleteStreams(world) });
  await untilReplicated(world);
}

/** The backup is of a whole second, and takes nothing of what came in it: waits for the next one. */
async function secondIsOver(): Promise<void> {
  const second = Math.floor(Date.now() / 1_000);
  await until(() => Math.floor(Date.now() / 1_000) > second);
}

forEachWorld(anyTest, (title, open) => {
  test(`${title}: runs in every state go on after a backup, the loss of all servers and their stores, and a restore`, async (t) => {
    const world = await open(t, { ownServers: true });
    const states = await startStates(world, tasksFile);
    await states.engine.stop();
    await world.client.publish("stored.go", { id: "told" }); // nobody has matched it yet
    await secondIsOver();
    await backUp(t, world);
    await states.worker.end();
    await loseServers(world);
    await restore(t, world);
    await states.goOn(t);
  });

  test(`${title}: what a backup took while workers were at it comes to its end, and no finished step is executed again`, async (t) => {
    const world = await open(t, { ownServers: true, shards: 3 });
    const { client } = world;
    const engine = await world.startEngine();
    const worker = await world.startWorker({ tasksFile });
    let isOver = false;
    const started: RunHandle[] = [];
    const load = (async () => {
      for (let i = 0; !isOver; i++) {
        const run = await client.start(busyParent, 6, { id: `busy-${i}` });
        started.push(run, await client.start(brief, i, { id: `brief-${i}` }));
        const unended = async (): Promise<boolean> => {
          const views = await Promise.all(started.slice(-40).map((one) => one.view()));
          return isOver || views.filter(({ state }) => state.outcome === undefined).length < 15;
        };
        await until(unended, { withinMs: 60_000 });
      }
    })();
    await until(() => started.length >= 20, { withinMs: 60_000 });
    await engine.stop();
    await secondIsOver();
    await backUp(t, world);
    isOver = true;
    await worker.end();
    await load.catch(() => {});
    await loseServers(world);
    await restore(t, world);
    const before = world.effects.read().length;
    const kept: { run: RunHandle; finished: string[] }[] = [];
    for (const { taskName, runId } of await client.list({ limit: 1_000 })) {
      const run = client.get(taskName, runId);
      kept.push({ run, finished: checkpoints(await run.view()) });
    }
    t.true(kept.length >= 20, `${kept.length} runs are in the backup`);
    await world.startEngine();
    await world.startWorker({ tasksFile });
    for (const { run } of kept) await world.result(run);
    const later = world.effects.read().slice(before);
    for (const { run, finished } of kept) {
      checkHistory(t, await world.endOf(run));
      const again = later.filter((one) => one.run === run.runId && finished.includes(one.step));
      t.deepEqual(again, [], `${run.taskName} ${run.runId} executes no finished step again`);
    }
    await checkQuiet(t, world);
  });
});
