/** Holes 6, 10 and 32: registrations that come late, and timers that come early. */
import type { DeliveredMessage } from "../../shared/jetstream/delivery.ts";
import { earliestDue } from "../../worker/registration.ts";
import type { Slot } from "../../worker/slots.ts";
import { until } from "../helpers/until.ts";
import type { HandWorker } from "./hand-worker.ts";
import { hole } from "./hole.ts";
import type { Place } from "./place.ts";
import { napper, twice } from "./tasks.ts";

const TWICE = { taskName: "twice", runId: "r" };
const NAPPER = { taskName: "napper", runId: "r" };

for (const [kind, mutant] of [
  ["timer", "timer-registers-unguarded"],
  ["wait", "wait-registers-unguarded"],
] as const)
  hole(6, {
    title: `a ${kind} that is registered late does not replace that of the run's next wait`,
    on: ["R1", "R3"],
    scenario: async (place) => {
      const [a, b, c] = [
        await place.worker("A", { tasks: [twice] }),
        await place.worker("B", { tasks: [twice] }),
        await place.worker("C", { tasks: [twice] }),
      ];
      await place.client.start(twice, null, { id: "r" });
      const slow = a.at(`before-${kind}`);
      const token = await a.take();
      const handled = a.handle(token);
      await slow.reached();
      place.redeliver(token);
      await b.work(); // registers the same wait, so that the run can go on
      const { tail } = await place.state(TWICE);
      await place.ready(TWICE, tail, await place.matched(TWICE, await place.event("first", 1)));
      await c.work();
      slow.open();
      await handled;
      return () => place.facts(TWICE);
    },
    closed: { status: "waiting", lifelines: ["timer", "wait"] },
    opened: {
      [mutant]: {
        status: "waiting",
        lifelines: [kind === "timer" ? "wait" : "timer"],
      },
    },
  });

hole(10, {
  title: "a timer's token is due by the server's clock, wherever the worker's own clock stands",
  scenario: async (place) => {
    const a = await place.worker("A", { tasks: [napper] });
    const b = await place.worker("B", { tasks: [napper] });
    b.serverClock.widen(3_600_000); // all it knows is that it may be an hour earlier
    b.clock.wallOffsetMs = -3_600_000;
    await place.client.start(napper, "600 ms", { id: "r" });
    await a.work();
    const status = async (): Promise<string> => (await place.state(NAPPER)).status;
    for (let tokens = 0; tokens < 3 && (await status()) !== "completed"; tokens++) await b.work();
    return { status: await status(), claims: (await place.state(NAPPER)).claims };
  },
  closed: { status: "completed", claims: 1 },
  opened: {
    "claimer-goes-by-its-own-clock": { status: "waiting", claims: 3 }, // and so on
  },
});

hole(10, {
  title: "a timer's token that comes early waits until it is due, also when its own timer is early",
  claimTimeoutMs: 60_000,
  scenario: async (place) => {
    const a = await place.worker("A", { tasks: [napper] });
    const token = await earlyToken(place, a);
    a.clock.pace = 0.0001; // Node's timers fire up to some milliseconds early, these do by far
    await handleAtItsTime(a, token);
    return (await place.state(NAPPER)).status;
  },
  closed: "completed",
  opened: {
    "early-token-claims-at-once": "waiting",
    "early-token-trusts-its-timer": "waiting",
  },
});

hole(32, {
  title: "an early token holds no slot, and goes to another worker when none is free at its time",
  claimTimeoutMs: 60_000,
  scenario: async (place) => {
    const a = await place.worker("A", { tasks: [napper], slots: 1 });
    const b = await place.worker("B", { tasks: [napper] });
    const token = await earlyToken(place, a);
    a.clock.pace = b.clock.pace = 0.0001;
    let other: Slot | undefined;
    void handleAtItsTime(a, token, () => {
      // Another run takes A's only slot while the token waits for its time.
      other = a.pools.durable.tryAcquire({ taskName: "napper", runId: "other" }, 0);
    });
    const isStuck = (): boolean => a.pools.durable.waiting > 0;
    const again = await b.takeUnless(async () => isStuck() || (await isAnswered(place)));
    if (again) await handleAtItsTime(b, again);
    return async () => ({ hadFreeSlot: other !== undefined, ...(await place.facts(NAPPER)) });
  },
  closed: { hadFreeSlot: true, status: "completed", lifelines: [] },
  opened: {
    "early-token-is-dropped": {
      hadFreeSlot: true,
      status: "waiting",
      lifelines: ["timer", "wait"], // of this token nothing is left, the schedule would fire later
    },
    "early-token-waits-for-a-slot": {
      hadFreeSlot: true,
      status: "waiting",
      lifelines: ["token", "timer", "wait"],
    },
    "early-token-holds-its-slot": { hadFreeSlot: false, status: "completed", lifelines: [] },
  },
});

/** A run that sleeps for 15 s more, and the token of its timer, fired already. */
async function earlyToken(place: Place, worker: HandWorker): Promise<DeliveredMessage> {
  await place.client.start(napper, "15 seconds", { id: "r" });
  await worker.work();
  const { tail, sleeping } = await place.state(NAPPER);
  await place.ready(NAPPER, tail, { timer: earliestDue(sleeping.values()) ?? 0 });
  return worker.take();
}

/** Handles a token; when it waits for its time, 15 s go by at once for this worker. */
async function handleAtItsTime(
  worker: HandWorker,
  token: DeliveredMessage,
  meanwhile: () => void = () => {},
): Promise<void> {
  let isDone = false;
  const timersBefore = worker.clock.timerCount;
  const handled = worker.handle(token).then(() => {
    isDone = true;
  });
  // Its own timers fire far too early, so it looks at the time again and again.
  await until(() => isDone || worker.clock.timerCount > timersBefore + 20);
  meanwhile();
  worker.clock.skip(15_000);
  await handled;
}

async function isAnswered(place: Place): Promise<boolean> {
  const { ackPending, pending } = await place.consumer("napper");
  return ackPending + pending === 0;
}
