import test, { type ExecutionContext } from "ava";
import { RunConflictError } from "../../shared/index.ts";
import { until } from "../helpers/until.ts";
import { startProcess, type TestProcess } from "./harness/child-process.ts";
import type { StartReport, StartRequest } from "./harness/client-process.ts";
import { checkHistory, forEachWorld, type World } from "./harness/index.ts";
import { once } from "./tasks/same-id.ts";

const tasksFile = new URL("./tasks/same-id.js", import.meta.url);
const IDS = 25;

/** A client process that starts these runs when the gate opens. */
async function startClient(
  t: ExecutionContext,
  world: World,
  starts: readonly StartRequest[],
): Promise<TestProcess> {
  const client = await startProcess({
    script: new URL("./harness/client-process.js", import.meta.url),
    options: { ...world.access, gate: world.gate("starts"), starts },
  });
  t.teardown(() => client.end());
  return client;
}

/** What a client process was told of each of its starts. */
async function reportsOf(client: TestProcess, count: number): Promise<StartReport[]> {
  const reports = (): StartReport[] =>
    client.lines
      .filter(({ message }) => message === "started")
      .map(({ fields }) => fields as unknown as StartReport)
      .sort((a, b) => a.runId.localeCompare(b.runId));
  await until(() => reports().length === count, { withinMs: 60_000, what: "all starts are told" });
  return reports();
}

forEachWorld(test, (title, open) => {
  for (const taskName of ["once", "once-durable"])
    test(`${title}: two processes that start a ${taskName} run with the same id at once get one run, and both its result`, async (t) => {
      const world = await open(t, { claimTimeoutMs: 5_000 });
      await world.startWorker({ tasksFile });
      const starts = Array.from({ length: IDS }, (_, i) => ({
        ...{ taskName, runId: `run-${i}` },
        input: { n: i, bytes: "x".repeat(i * 100), nested: [null, { i }] },
      }));
      const clients = [await startClient(t, world, starts), await startClient(t, world, starts)];
      world.open("starts");
      for (const client of clients) {
        const reports = await reportsOf(client, IDS);
        const found = Object.fromEntries(reports.map((report) => [report.runId, report]));
        for (const { runId, input } of starts)
          t.deepEqual(found[runId], { runId, output: input }, runId);
      }
      for (const { runId } of starts) {
        t.is(world.effects.read(runId).length, 1, `${runId} was executed once`);
        checkHistory(t, await world.endOf(world.client.get(taskName, runId)));
      }
      t.is((await world.client.list({ taskName, limit: 1_000 })).length, IDS);
    });

  test(`${title}: of two processes that start a run with the same id and other inputs at once, one is told that the id is taken`, async (t) => {
    const world = await open(t, { claimTimeoutMs: 5_000 });
    await world.startWorker({ tasksFile });
    const startsOf = (who: string): StartRequest[] =>
      Array.from({ length: IDS }, (_, i) => ({
        ...{ taskName: "once", runId: `run-${i}` },
        input: { who },
      }));
    const clients = [
      await startClient(t, world, startsOf("a")),
      await startClient(t, world, startsOf("b")),
    ];
    world.open("starts");
    const reports = await Promise.all(clients.map((client) => reportsOf(client, IDS)));
    for (let i = 0; i < IDS; i++) {
      const both = reports.map((all) => all[i] as StartReport);
      const won = both.filter(({ output }) => output !== undefined);
      const lost = both.find(({ code }) => code !== undefined);
      t.is(won.length, 1, JSON.stringify(both));
      const winner = both[0] === won[0] ? "a" : "b";
      const { runId } = both[0] as StartReport;
      t.deepEqual(won[0]?.output, { who: winner });
      t.is(lost?.code, "run-conflict");
      t.is(
        lost?.message,
        `Run "${runId}" of task "once" was started before with another input. Use another id, or the same input.`,
      );
      t.is(world.effects.read(runId).length, 1);
    }
  });

  test(`${title}: a run that has ended is not started again by its id, and another input for it is refused`, async (t) => {
    const world = await open(t);
    await world.startWorker({ tasksFile });
    const input = { bytes: new Uint8Array([1, 2, 3]), map: new Map([["a", 1n]]), at: new Date(5) };
    const first = await world.client.start(once, input, { id: "run" });
    t.deepEqual(await world.result(first), input);
    const second = await world.client.start(once, { ...input, at: new Date(5) }, { id: "run" });
    t.deepEqual(await world.result(second), input);
    t.is(world.effects.read("run").length, 1);
    for (const other of [undefined, { ...input, bytes: new Uint8Array([1, 2]) }, { a: 1 }])
      await t.throwsAsync(world.client.start(once, other, { id: "run" }), {
        instanceOf: RunConflictError,
        message: /was started before with another input/,
      });
    t.is(world.effects.read("run").length, 1);
  });
});
