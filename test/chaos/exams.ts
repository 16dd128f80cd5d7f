/**
 * What a chaos run does at its end, one thing after the other and nothing else meanwhile: what each
 * promise has to meet once so that it can be judged, whatever chance has chosen before.
 */
import { decodeCommit } from "../../shared/entries.ts";
import { EVENTS_PREFIX } from "../../shared/subjects.ts";
import { until } from "../helpers/until.ts";
import type { Family, FaultKind } from "./faults/fault.ts";
import { faultKinds } from "./faults/index.ts";
import { FRAGILE, type Plan } from "./plans.ts";
import { probeId, startProbe } from "./probes.ts";
import type { World } from "./world.ts";

const PATIENCE_MS = 30_000;
const EVENT = "chaos.paid";
/** Long enough to tell a run that is woken by a timer from one whose worker keeps its sleep. */
const SLEEP_MS = 1_500;
const HOUR_MS = 3_600_000;

/** Of the kinds that happen at any time. */
const KNOWN = ["kill-server", "kill-worker", "kill-leading-engine", "garbage-of-nobody"];

/** P10: runs begin, do steps, sleep and end while there is no engine. */
const withoutEngines: FaultKind = {
  family: "engine",
  kind: "runs-without-engines",
  lastsMs: [7_000, 7_000],
  async inject(world, random) {
    const allDown = faultKinds.find(({ kind }) => kind === "all-down");
    const injected = await allDown?.inject(world, random);
    const plan = [stepOp("step 0"), sleepOp("sleep 1"), stepOp("step 2")];
    await Promise.all([0, 1, 2].map(() => startPlan(world, { plan })));
    // A timer that is still to come at the end.
    await startPlan(world, { plan: [sleepOp("sleep 0", HOUR_MS)], never: true });
    return injected;
  },
};

/** P7: all code changes under runs that have executed what is changed. */
const changedCode: FaultKind = {
  family: "code",
  kind: "changed-everywhere",
  lastsMs: [0, 0],
  async inject(world) {
    const key = `probe of ${world.seed}`;
    const wait = { op: "event", name: "event 1", event: EVENT, key } as const;
    const plan = [stepOp(`${FRAGILE} 0`), wait, stepOp("step 2")];
    const runs = await Promise.all([0, 1, 2].map(() => startPlan(world, { plan })));
    const are = async (kind: string): Promise<boolean> =>
      (await Promise.all(runs.map((run) => lastKind(world, run)))).every((last) => last === kind);
    await until(() => are("waiting"), { withinMs: PATIENCE_MS, what: "the probes wait" });
    await restartWorkers(world, true);
    const event = Buffer.from(JSON.stringify({ key, n: 0 }));
    await until(async () => (await world.link.publisher.publish(EVENTS_PREFIX + EVENT, event)).ok);
    return {
      target: "all workers",
      async heal() {
        await until(() => are("paused"), { withinMs: PATIENCE_MS, what: "the probes are paused" });
        await restartWorkers(world, false);
      },
    };
  },
};

/** The exams of a chaos run whose faults are of these families, in order. */
export function examsOf(families: readonly Family[]): FaultKind[] {
  const known = faultKinds.filter(({ kind }) => KNOWN.includes(kind));
  return [...known, withoutEngines, changedCode].filter(({ family }) => families.includes(family));
}

async function startPlan(world: World, input: Plan): Promise<string> {
  const probe = { taskName: "chaos-plan", input } as const;
  const runId = probeId(world, probe);
  const isStarted = async (): Promise<boolean> => {
    const outcome = await startProbe(world, runId, probe);
    return outcome.ok || outcome.kind === "guard";
  };
  await until(isStarted, { withinMs: PATIENCE_MS, what: `${runId} is started` });
  return runId;
}

/** What the last entry of a run's history is. */
async function lastKind({ names, link }: World, runId: string): Promise<string | undefined> {
  const { stream, prefix } = names.run({ taskName: "chaos-plan", runId });
  const last = await link.reader.lastFor(stream, `${prefix}.h`, { leader: true });
  return last && decodeCommit(last.data, last.sequence, prefix).entries.at(-1)?.kind;
}

async function restartWorkers(world: World, isChanged: boolean): Promise<void> {
  const lanes = world.lanes.filter(({ role }) => role === "worker");
  await Promise.all(
    lanes.map(async (lane) => {
      const { lives } = lane;
      lane.isChanged = isChanged;
      lane.life?.kill("SIGKILL");
      await world.untilReborn(lane, lives);
    }),
  );
}

function stepOp(name: string): Plan["plan"][number] {
  return { op: "step", name, ms: 20, failures: 0 };
}

function sleepOp(name: string, ms = SLEEP_MS): Plan["plan"][number] {
  return { op: "sleep", name, ms };
}
