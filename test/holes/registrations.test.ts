/** Holes 6, 10 and 32: registrations that come late, and timers that come early. */
import { until } from "../helpers/until.ts";
import { hole } from "./hole.ts";
import { napper, twice } from "./tasks.ts";

const TWICE = { taskName: "twice", runId: "r" };
const NAPPER = { taskName: "napper", runId: "r" };

for (const kind of ["timer", "wait"] as const)
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
      [`${kind}-registers-unguarded`]: {
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
    await place.client.start(napper, null, { id: "r" });
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
  title: "a timer's token that comes early waits until it is due",
  scenario: async (place) => {
    const a = await place.worker("A", { tasks: [napper] });
    await place.client.start(napper, null, { id: "r" });
    await a.work();
    const status = async (): Promise<string> => (await place.state(NAPPER)).status;
    while ((await status()) !== "completed") await a.work();
    const { claims } = await place.state(NAPPER);
    return { isClaimedOnce: claims === 1 };
  },
  closed: { isClaimedOnce: true },
  opened: { "early-token-claims-at-once": { isClaimedOnce: false } },
});

hole(32, {
  title: "an early token holds no slot, and goes to another worker when none is free at its time",
  scenario: async (place) => {
    const [a, b] = [
      await place.worker("A", { tasks: [napper], slots: 1 }),
      await place.worker("B", { tasks: [napper] }),
    ];
    await place.client.start(napper, null, { id: "r" });
    await b.work();
    const handled = a.handle(await a.take());
    // Another run takes A's only slot while the token waits for its time.
    const other = a.pools.durable.tryAcquire({ taskName: "napper", runId: "other" }, 0);
    const again = await b.takeUnless(
      async () => a.pools.durable.waiting > 0 || (await isAcknowledged()),
    );
    if (again) await b.handle(again);
    else if (other) return { hadFreeSlot: true, ...(await place.facts(NAPPER)) };
    await until(async () => (await place.state(NAPPER)).status !== "running");
    if (!other) await handled;
    const facts = await place.facts(NAPPER);
    return { hadFreeSlot: other !== undefined, ...facts };

    async function isAcknowledged(): Promise<boolean> {
      const { ackPending, pending } = await place.consumer("napper");
      return ackPending + pending === 0 && !(await place.last(NAPPER, "timer"));
    }
  },
  closed: { hadFreeSlot: true, status: "completed", lifelines: [] },
  opened: {
    "early-token-is-dropped": { hadFreeSlot: true, status: "waiting", lifelines: ["wait"] },
    "early-token-waits-for-a-slot": {
      hadFreeSlot: true,
      status: "waiting",
      lifelines: ["token", "wait"],
    },
    "early-token-holds-its-slot": { hadFreeSlot: false, status: "completed", lifelines: [] },
  },
});
