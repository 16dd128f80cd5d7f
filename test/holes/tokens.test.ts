/** Holes 1 to 5: tokens that are dropped or acknowledged while they are still needed. */
import { until } from "../helpers/until.ts";
import { hole } from "./hole.ts";
import type { Place } from "./place.ts";
import { approver, both, sleeper, stepper } from "./tasks.ts";
import { answers } from "./wiretap.ts";

hole(1, {
  title: "whoever gets the token of a wait whose worker died before registering it registers it",
  scenario: async (place) => {
    const run = { taskName: "sleeper", runId: "r" };
    const a = await place.worker("A", { tasks: [sleeper] });
    const b = await place.worker("B", { tasks: [sleeper] });
    await place.client.start(sleeper, null, { id: "r" });
    const death = a.at("before-registration");
    const token = await a.take();
    void a.handle(token);
    await death.reached();
    a.die();
    place.redeliver(token);
    const again = await b.takeUnless(() => isAcknowledged(place, "sleeper"));
    if (again) await b.handle(again);
    return () => place.facts(run);
  },
  closed: { status: "waiting", lifelines: ["timer"] },
  opened: {
    "spent-token-is-dropped": { status: "waiting", lifelines: [] },
    "acknowledges-before-registering": { status: "waiting", lifelines: [] },
  },
});

hole(2, {
  title: "a token of an active run is kept by whoever gets it when the run's worker has died",
  scenario: async (place) => {
    const run = { taskName: "stepper", runId: "r" };
    const a = await place.worker("A", { tasks: [stepper(place, "A", ["a", "b"])] });
    const b = await place.worker("B", { tasks: [stepper(place, "B", ["a", "b"])] });
    await place.client.start("stepper", null, { id: "r" });
    const death = a.at("after-step", 2);
    const token = await a.take();
    void a.handle(token);
    await death.reached();
    a.die();
    place.redeliver(token);
    await b.work();
    return async () => ({ ...(await place.facts(run)), effects: place.effects });
  },
  closed: { status: "completed", lifelines: [], effects: ["A a", "A b", "B b"] },
  opened: {
    "active-run-drops-every-token": {
      status: "running",
      lifelines: [],
      effects: ["A a", "A b"],
    },
  },
});

hole(2, {
  title: "a second token for the wait that an active run has left does not take the run over",
  scenario: async (place) => {
    const run = { taskName: "approver", runId: "r" };
    const a = await place.worker("A", { tasks: [approver(place, "A")] });
    const b = await place.worker("B", { tasks: [approver(place, "B")] });
    await place.client.start("approver", null, { id: "r" });
    await a.work();
    const because = await place.matched(run, await place.event("approved", 1));
    const { tail } = await place.state(run);
    await place.ready(run, tail, because);
    await place.ready(run, tail, because); // the engine did not see the first one's answer
    const inStep = a.at("after-step");
    const first = await a.take();
    const handled = a.handle(first);
    await inStep.reached();
    await b.work();
    inStep.open();
    await handled;
    return async () => ({ ...(await place.facts(run)), effects: place.effects });
  },
  closed: { status: "completed", lifelines: [], effects: ["A after"] },
  opened: {
    "every-token-takes-over": {
      status: "completed",
      lifelines: ["token"], // the loser says nothing about its own
      effects: ["A after", "B after"],
    },
  },
});

hole(3, {
  title: "a late acknowledgement of the token that led to a wait deletes nothing that is needed",
  scenario: async (place) => {
    const run = { taskName: "approver", runId: "r" };
    const [a, b, c] = [
      await place.worker("A", { tasks: [approver(place, "A")] }),
      await place.worker("B", { tasks: [approver(place, "B")] }),
      await place.worker("C", { tasks: [approver(place, "C")] }),
    ];
    await place.client.start("approver", null, { id: "r" });
    const late = a.at("before-ack");
    const token = await a.take();
    const handled = a.handle(token);
    await late.reached(); // registered, with its acknowledgement on the way
    const because = await place.matched(run, await place.event("approved", 1));
    const { tail } = await place.state(run);
    place.redeliver(token);
    if ((await b.handleUntil(b.at("after-claim"), await b.take())) === "stopped") {
      late.open();
      await handled;
      await until(() => isAcknowledged(place, "approver"));
      b.die();
    }
    late.open();
    await place.ready(run, tail, because);
    await c.work();
    return () => place.facts(run);
  },
  closed: { status: "completed", lifelines: [] },
  opened: { "spent-token-claims-again": { status: "running", lifelines: [] } },
});

hole(4, {
  title: "a token claims the wait it was made for and no later one, so dropping it is final",
  scenario: async (place) => {
    const { second, last } = await tokenOfAnEarlierWait(place);
    const [b, d] = [
      await place.worker("B", { tasks: [both] }),
      await place.worker("D", { tasks: [both] }),
    ];
    const late = b.tap.trap(answers(second.sequence, "+ACK"), "hold");
    const dropped = await b.take();
    await b.handle(dropped);
    await second.suspend();
    place.redeliver(dropped);
    const stop = d.at("after-claim");
    if ((await d.handleUntil(stop, await d.take())) === "stopped") {
      late.open();
      await until(() => isAcknowledged(place, "both"));
      d.die();
    }
    late.open();
    return last();
  },
  closed: { status: "completed", lifelines: [] },
  opened: { "token-claims-any-wait": { status: "running", lifelines: [] } },
});

hole(5, {
  title: "a reading as old as the token does not strand the run that the token had claimed",
  on: ["R1", "R3"],
  scenario: async (place) => {
    const { second, last } = await tokenOfAnEarlierWait(place);
    const [d, c] = [
      await place.worker("D", { tasks: [both] }),
      await place.worker("C", { tasks: [both] }),
    ];
    const token = await d.take();
    await second.suspend();
    if ((await d.handleUntil(d.at("after-claim"), token)) === "stopped") {
      d.die();
      place.redeliver(token);
      c.reader.stopAt(second.sequence);
      await c.work();
    }
    return last();
  },
  closed: { status: "completed", lifelines: [] },
  opened: { "token-claims-any-wait": { status: "running", lifelines: [] } },
});

for (const lacks of ["wait", "start"] as const)
  hole(5, {
    title: `a token whose ${lacks} a replica does not know yet is read again and goes on`,
    on: ["R1", "R3"],
    scenario: async (place) => {
      const run = { taskName: "approver", runId: "r" };
      const a = await place.worker("A", { tasks: [approver(place, "A")] });
      const b = await place.worker("B", { tasks: [approver(place, "B")] });
      await place.client.start("approver", null, { id: "r" });
      await a.work();
      const { tail } = await place.state(run);
      await place.ready(run, tail, await place.matched(run, await place.event("approved", 1)));
      b.reader.stopAt(lacks === "wait" ? tail - 1 : 0, 6);
      await b.work();
      return async () => ({ ...(await place.facts(run)), wasStale: b.reader.staleCount > 0 });
    },
    closed: { status: "completed", lifelines: [], wasStale: true },
    opened: {
      // The engine is done with this wait: it has published its token.
      [lacks === "wait" ? "short-history-is-believed" : "purge-is-believed-of-any-replica"]: {
        status: "waiting",
        lifelines: ["wait"],
        wasStale: true,
      },
    },
  });

/**
 * A run waits for a moment and an event. The moment is over and its token has claimed the wait; then
 * the event comes, and the engine, which knows of no claim, answers the same wait with a second token.
 */
async function tokenOfAnEarlierWait(place: Place) {
  const run = { taskName: "both", runId: "r" };
  const a = await place.worker("A", { tasks: [both] });
  const e = await place.worker("E", { tasks: [both] });
  await place.client.start(both, null, { id: "r" });
  await a.work();
  const first = await place.state(run);
  const claimed = a.at("after-claim");
  const timer = await a.take();
  const handled = a.handle(timer);
  await claimed.reached();
  const because = await place.matched(run, await place.event("approved", 1));
  const sequence = await place.ready(run, first.tail, because);
  return {
    second: {
      sequence,
      /** The first token's pass goes on to the next wait. */
      suspend: async () => {
        claimed.open();
        await handled;
      },
    },
    /** The engine answers the next wait too; somebody takes what it says. */
    last: async () => {
      const { tail, status, waitSequence } = await place.state(run);
      await place.ready(run, status === "waiting" ? tail : waitSequence, because);
      await e.work();
      return () => place.facts(run);
    },
  };
}

async function isAcknowledged(place: Place, taskName: string): Promise<boolean> {
  const { ackPending, pending } = await place.consumer(taskName);
  return ackPending + pending === 0;
}
