/** Holes 7, 8, 9, 12 and 33: an engine that reads too little, forgets, or wakes too often. */
import { SteppingClock } from "../../shared/clock.ts";
import { durableTask, task } from "../../shared/task.ts";
import { until } from "../helpers/until.ts";
import { hole } from "./hole.ts";
import { approver, type Durable, sleeper } from "./tasks.ts";
import { writes } from "./wiretap.ts";

const APPROVER = { taskName: "approver", runId: "r" };
const SLEEPER = { taskName: "sleeper", runId: "r" };
const PARENT = { taskName: "parent", runId: "r" };

hole(7, {
  title: "a look back at a replica that lacks what the engine has followed is repeated",
  on: ["R1", "R3"],
  scenario: async (place) => {
    const p = await place.worker("P", { tasks: [parentOf(1)] });
    const engine = await place.engine();
    await place.client.start("parent", null, { id: "r" });
    const slow = p.at("before-wait");
    const handled = p.work();
    await slow.reached();
    const child = await firstChild();
    const ended = await place.endChild(child, 0);
    await engine.hasSeen({ log: ended });
    engine.reader.stopAt(ended - 1);
    slow.open();
    await handled;
    const registered = (await place.last(PARENT, "wait"))?.sequence ?? 0;
    await engine.hasSeen({ log: registered });
    return { isWoken: (await place.last(PARENT, "token.ready")) !== undefined };

    async function firstChild() {
      const { pending } = await place.state(PARENT);
      const [wait] = pending.values();
      const condition = wait?.leaves[0];
      if (condition?.kind !== "child") throw new Error("The parent waits for no child.");
      return condition;
    }
  },
  closed: { isWoken: true },
  opened: { "look-back-believes-any-replica": { isWoken: false } },
});

hole(8, {
  title: "an engine that has just begun knows the waits that were registered before",
  scenario: async (place) => {
    const a = await place.worker("A", { tasks: [approver(place, "A")] });
    const first = await place.engine();
    await place.client.start("approver", null, { id: "r" });
    await a.work();
    await until(() => first.status.waits.pending === 1);
    first.die();
    const second = await place.engine();
    const event = await place.event("approved", 1);
    await second.hasSeen({ event });
    return { isWoken: (await place.last(APPROVER, "token.ready")) !== undefined };
  },
  closed: { isWoken: true },
  opened: { "engine-follows-registrations-from-now": { isWoken: false } },
});

hole(8, {
  title: "an engine that has just begun knows a wait behind which nobody can read the last message",
  on: ["R1", "R3"],
  scenario: async (place) => {
    const a = await place.worker("A", { tasks: [approver(place, "A")] });
    const first = await place.engine();
    await place.client.start("approver", null, { id: "r" });
    await a.work();
    await until(() => first.status.waits.pending === 1);
    await place.write(APPROVER, "wait", Buffer.from("no registration"));
    const garbage = await place.write(APPROVER, "wait", Buffer.from("nor this"));
    await first.hasSeen({ log: garbage });
    const known = first.status.waits.pending;
    first.die();
    const second = await place.engine();
    const event = await place.event("approved", 1);
    await second.hasSeen({ event });
    return { known, isWoken: (await place.last(APPROVER, "token.ready")) !== undefined };
  },
  closed: { known: 1, isWoken: true },
  opened: { "unreadable-registration-hides-the-one-before": { known: 1, isWoken: false } },
});

hole(9, {
  title: "a run that merely sleeps is told of its cancellation",
  scenario: async (place) => {
    const a = await place.worker("A", { tasks: [sleeper] });
    const engine = await place.engine();
    const run = await place.client.start(sleeper, null, { id: "r" });
    await a.work();
    await run.cancel("enough");
    const canceled = (await place.last(SLEEPER, "cancel"))?.sequence ?? 0;
    await engine.hasSeen({ log: canceled });
    const token = await a.takeUnless(() => engine.status.cancels.told === 0);
    if (token) await a.handle(token);
    return async () => (await place.state(SLEEPER)).status;
  },
  closed: "canceled",
  opened: { "cancel-waits-for-a-registration": "waiting" },
});

hole(9, {
  title: "a cancellation that comes while the run is active is told when it sleeps",
  claimTimeoutMs: 60_000, // its worker does not notice it by itself
  scenario: async (place) => {
    const a = await place.worker("A", { tasks: [sleeper] });
    const engine = await place.engine();
    const run = await place.client.start(sleeper, null, { id: "r" });
    // Claimed, so that the history shows it as running.
    const token = await a.take();
    a.clock.skip(40_000);
    const active = a.at("after-claim");
    const handled = a.handle(token);
    await active.reached();
    await run.cancel("enough");
    const canceled = (await place.last(SLEEPER, "cancel"))?.sequence ?? 0;
    await engine.hasSeen({ log: canceled });
    active.open();
    await handled;
    const timer = (await place.last(SLEEPER, "timer"))?.sequence ?? 0;
    await engine.hasSeen({ log: timer });
    return { told: engine.status.cancels.told };
  },
  closed: { told: 1 },
  opened: { "cancel-of-an-active-run-is-forgotten": { told: 0 } },
});

hole(12, {
  title: "a token that is published again does not replace the one that a worker holds",
  on: ["R1", "R3"],
  scenario: async (place) => {
    const [a, b, c] = [
      await place.worker("A", { tasks: [approver(place, "A")] }),
      await place.worker("B", { tasks: [approver(place, "B")] }),
      await place.worker("C", { tasks: [approver(place, "C")] }),
    ];
    const engine = await place.engine();
    await place.client.start("approver", null, { id: "r" });
    await a.work();
    const claiming = a.at("before-claim");
    const claimed = a.at("after-claim");
    engine.tap.trap(writes("ready"), "lose-answer", 1); // so it is published twice
    await place.event("approved", 1);
    const token = await a.take();
    void a.handle(token);
    await claiming.reached();
    const second = await b.take();
    claiming.open();
    await claimed.reached();
    a.die();
    place.redeliver(token);
    await b.handle(second); // dead: the run was claimed with the other one
    const again = await c.takeUnless(async () => {
      const { ackPending, pending } = await place.consumer("approver");
      return ackPending + pending === 0;
    });
    if (again) await c.handle(again);
    return () => place.facts(APPROVER);
  },
  closed: { status: "completed", lifelines: [] },
  opened: { "tokens-are-rolled-up": { status: "running", lifelines: [] } },
});

hole(33, {
  title: "a parent of many children, each awaited alone, is not woken by each of them",
  scenario: async (place) => {
    const count = 6;
    const p = await place.worker("P", { tasks: [parentOf(count)] });
    const engine = await place.engine({ clock: new SteppingClock() });
    await place.client.start("parent", null, { id: "r" });
    await p.work();
    const children = [...(await place.state(PARENT)).pending.values()].flatMap(({ leaves }) =>
      leaves.flatMap((leaf) => (leaf.kind === "child" ? [leaf] : [])),
    );
    for (const child of children) {
      // No time goes by for the engine: they all end while the parent has just been woken.
      await engine.hasSeen({ log: await place.endChild(child, 0) });
      const { published } = engine.status.waits;
      if ((await place.state(PARENT)).claims < published) await p.work();
    }
    await until(async () => (await place.state(PARENT)).status === "completed");
    return { wakeUps: (await place.state(PARENT)).claims };
  },
  closed: { wakeUps: 2 },
  opened: { "every-end-of-a-child-is-a-wake-up": { wakeUps: 6 } },
});

/** Waits for so many children, each alone. Nobody runs them. */
function parentOf(count: number): Durable {
  const kid = task({ name: "kid", run: (input: number) => input });
  return durableTask({
    name: "parent",
    run: (_: unknown, ctx) =>
      Promise.all(Array.from({ length: count }, (_v, i) => ctx.run(kid, i))),
  });
}
