import test from "ava";
import { FAMILIES } from "./faults/fault.ts";
import { faultKinds } from "./faults/index.ts";
import { eventsOf, newPlan } from "./plans.ts";
import { Random } from "./random.ts";
import { type PlannedFault, scheduleOf } from "./schedule.ts";
import type { TopologyName } from "./topology.ts";

function schedule(seed: string, topology: TopologyName, seconds: number): readonly PlannedFault[] {
  const totalMs = seconds * 1000;
  return scheduleOf({ seed, topology, totalMs, families: FAMILIES, kinds: faultKinds });
}

function shown(planned: readonly PlannedFault[]): string[] {
  return planned.map(({ fault, afterMs, lastsMs }) => `${fault.kind} ${afterMs} ${lastsMs}`);
}

test("a seed has one schedule, and another seed another one", (t) => {
  t.deepEqual(shown(schedule("1", "r3", 60)), shown(schedule("1", "r3", 60)));
  t.notDeepEqual(shown(schedule("1", "r3", 60)), shown(schedule("2", "r3", 60)));
});

for (const [topology, seconds] of [
  ["r1", 60],
  ["r3", 120],
] as const)
  test(`on ${topology} every family has its turn within ${seconds} s`, (t) => {
    for (const seed of ["1", "2", "3", "4", "5"]) {
      const seen = new Set(schedule(seed, topology, seconds).map(({ fault }) => fault.family));
      const possible = new Set(
        faultKinds
          .filter((kind) => (kind.topology ?? topology) === topology)
          .map(({ family }) => family),
      );
      t.deepEqual(
        FAMILIES.filter((family) => possible.has(family) && !seen.has(family)),
        [],
        `seed ${seed}`,
      );
    }
  });

test("every family has a fault, and kinds have names of their own", (t) => {
  t.deepEqual(
    FAMILIES.filter((family) => !faultKinds.some((kind) => kind.family === family)),
    [],
  );
  t.is(new Set(faultKinds.map(({ kind }) => kind)).size, faultKinds.length);
});

test("a fault is over before the time is", (t) => {
  for (const { afterMs, lastsMs } of schedule("7", "r1", 60)) t.true(afterMs + lastsMs <= 60_000);
});

test("a run's program and its events come from its seed alone, each event with a key of its own wait", (t) => {
  const make = (): unknown => {
    const random = new Random("seed", "run", "r");
    const plan = newPlan(random, "r");
    return [plan, eventsOf(random, plan.plan)];
  };
  t.deepEqual(make(), make());
  for (let i = 0; i < 200; i++) {
    const random = new Random("seed", i);
    const events = eventsOf(random, newPlan(random, `run-${i}`).plan);
    t.is(new Set(events.map(({ key, n }) => `${key}#${n}`)).size, events.length);
  }
});
