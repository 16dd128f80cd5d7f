/** Holes 1 to 5: tokens that are acknowledged or dropped when they were still needed. */
import { durableTask } from "../../shared/task.ts";
import { hole } from "./hole.ts";

const sleeper = durableTask({
  name: "sleeper",
  run: async (_: null, ctx) => {
    await ctx.sleepFor("1 hour");
    return "awake";
  },
});

const SLEEPER = { taskName: "sleeper", runId: "r" };

hole(1, {
  title: "whoever gets the token of a wait whose worker died before registering it registers it",
  scenario: async (place) => {
    const [a, b] = [
      await place.worker("A", { tasks: [sleeper] }),
      await place.worker("B", { tasks: [sleeper] }),
    ];
    await place.client.start(sleeper, null, { id: "r" });
    const death = a.at("before-registration");
    const token = await a.take();
    void a.handle(token);
    await death.reached();
    a.die();
    place.redeliver(token);
    const again = await b.takeUnless(
      async () => (await place.consumer("sleeper")).ackPending === 0,
    );
    if (again) await b.handle(again);
    return () => place.facts(SLEEPER);
  },
  closed: { status: "waiting", lifelines: ["timer"] },
  opened: {
    "spent-token-is-dropped": { status: "waiting", lifelines: [] },
    "acknowledges-before-registering": { status: "waiting", lifelines: [] },
  },
});
