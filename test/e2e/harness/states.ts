/** Runs in every state that a store may be in when it is lost. */
import type { ExecutionContext } from "ava";
import type { RunHandle } from "../../../shared/index.ts";
import { until } from "../../helpers/until.ts";
import {
  atWork,
  brief,
  CODE_VARIABLE,
  changed,
  late,
  parent,
  patient,
  sleeper,
} from "../tasks/stored.ts";
import type { TestProcess } from "./child-process.ts";
import { checkHistory, checkQuiet } from "./histories.ts";
import type { World } from "./world.ts";

const CHILDREN = 6;
/** Over when the store is back, on any machine. */
const OVERDUE_MS = 4_000;
/** Not over by then, on a machine that is not busy. */
const LONG_MS = 45_000;

/** The runs, with what is needed to bring them to their ends. */
export interface States {
  readonly engine: TestProcess;
  readonly worker: TestProcess;
  /**
   * Starts an engine and a worker, does what the runs wait for and checks their ends, that no step whose
   * result was stored is executed again, and that nothing is left. The event for "told" is left to the test.
   */
  goOn(t: ExecutionContext): Promise<void>;
}

/** Starts an engine, a worker and the runs, and waits until each is in its state. */
export async function startStates(world: World, tasksFile: URL): Promise<States> {
  const { client, effects } = world;
  const engine = await world.startEngine();
  const first = await world.startWorker({ tasksFile, only: ["changed"] });
  const paused = await client.start(changed, undefined, { id: "paused" });
  await world.untilStatus(paused, "waiting");
  await first.end();
  const only = ["changed", "sleeper", "patient", "kid", "parent", "at-work", "brief"];
  const worker = await world.startWorker({ tasksFile, only, env: { [CODE_VARIABLE]: "2" } });
  await world.untilStatus(paused, "paused");
  const runs = {
    ended: await client.start(brief, 3, { id: "ended" }),
    queued: await client.start(late, 4, { id: "queued" }),
    waiting: await client.start(patient, undefined, { id: "waiting" }),
    told: await client.start(patient, undefined, { id: "told" }),
    parent: await client.start(parent, CHILDREN, { id: "parent" }),
    working: await client.start(atWork, world.gate("work"), { id: "working" }),
    asleep: await client.start(sleeper, LONG_MS, { id: "asleep" }),
    overdue: await client.start(sleeper, OVERDUE_MS, { id: "overdue" }),
  };
  await world.result(runs.ended);
  for (const run of [runs.waiting, runs.told, runs.parent, runs.asleep])
    await world.untilStatus(run, "waiting");
  await until(() => effects.read().filter(({ step }) => step === "kid").length === CHILDREN);
  await until(() => effects.read("working", "held").length === 1);
  const kids = effects.read().filter(({ step }) => step === "kid");
  const done = [
    ...["ended brief", "waiting make", "told make", "parent before", "working before"],
    ...["asleep before", "overdue before", "paused old"],
    ...kids.map(({ run }) => `${run} kid`),
  ];
  const goOn = async (t: ExecutionContext): Promise<void> => {
    const before = effects.read().length;
    await world.startEngine();
    await world.startWorker({ tasksFile });
    await finish(t, world, { ...runs, paused });
    const since = effects.read().slice(before);
    const again = since.map(({ run, step }) => `${run} ${step}`);
    t.deepEqual(
      again.filter((effect) => done.includes(effect)),
      [],
      "no finished step was executed again",
    );
    await checkQuiet(t, world);
  };
  return { engine, worker, goOn };
}

/** Does what the runs wait for, waits for all ends, and checks them. */
async function finish(
  t: ExecutionContext,
  world: World,
  runs: { readonly [state: string]: RunHandle },
): Promise<void> {
  const { client } = world;
  world.open("work");
  await until(() => client.publish("stored.go", { id: "waiting" }), { withinMs: 30_000 });
  for (let n = 0; n < CHILDREN; n++) await client.publish("stored.kid", { n });
  await until(() => runs["paused"]?.resume().then(() => true), { withinMs: 30_000 });
  const outputs: { [state: string]: unknown } = {};
  for (const [state, run] of Object.entries(runs)) {
    outputs[state] = await world.result(run);
    checkHistory(t, await world.endOf(run));
  }
  t.deepEqual(outputs, {
    ...{ ended: 3, queued: 4, waiting: 400_000, told: 400_000, parent: CHILDREN },
    ...{ working: "held", asleep: "slept", overdue: "slept", paused: "as recorded" },
  });
}
