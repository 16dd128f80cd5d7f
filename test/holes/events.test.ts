/** Holes 23 to 27: events that are passed over, taken twice, or come too late for a timeout. */
import { setupNamespace } from "../../engine/setup.ts";
import { deleteStream } from "../../shared/jetstream/admin.ts";
import { callApi } from "../../shared/jetstream/api.ts";
import { type DurableContext, durableTask } from "../../shared/task.ts";
import type { HandEngine } from "./hand-engine.ts";
import type { HandWorker } from "./hand-worker.ts";
import { hole } from "./hole.ts";
import type { Place } from "./place.ts";
import type { Durable } from "./tasks.ts";

const RUN = { taskName: "events", runId: "r" };

hole(23, {
  title: "an event that came before one the run has taken is still there for a later wait",
  scenario: async (place) => {
    const { a, engine } = await begin(place, async (ctx) => {
      const first = await ctx.waitForEvent("x", { where: { id: 1 } });
      const second = await ctx.waitForEvent("x", { where: { id: 2 } });
      return [first.sequence, second.sequence];
    });
    await place.event("x", { id: 2 });
    await engine.hasSeen({ event: await place.event("x", { id: 1 }) });
    return goOn(place, a, engine);
  },
  closed: { status: "completed", output: [2, 1] },
  opened: {
    "events-behind-the-last-one-are-passed-over": { status: "waiting", output: undefined },
  },
});

hole(23, {
  title: "an event that the run has taken by a pattern is not taken by its name again",
  scenario: async (place) => {
    const { a, engine } = await begin(place, async (ctx) => {
      const first = await ctx.waitForEvent("order.*");
      const second = await ctx.waitForEvent("order.paid");
      return [first.sequence, second.sequence];
    });
    await engine.hasSeen({ event: await place.event("order.paid", 1) });
    await goOn(place, a, engine);
    await engine.hasSeen({ event: await place.event("order.paid", 2) });
    return goOn(place, a, engine);
  },
  closed: { status: "completed", output: [1, 2] },
  opened: { "consumed-events-are-not-noted": { status: "completed", output: [1, 1] } },
});

hole(24, {
  title: "an event that comes while the engine looks back does not win against an earlier one",
  scenario: async (place) => {
    const { a, engine, registered } = await begin(
      place,
      async (ctx) => {
        const first = await ctx.waitForEvent("x");
        const second = await ctx.waitForEvent("x");
        return [first.sequence, second.sequence];
      },
      { isRegistered: false },
    );
    await engine.hasSeen({ event: await place.event("x", 1) });
    const lookingBack = engine.at("engine-before-look-back");
    registered.open();
    await lookingBack.reached();
    await place.event("x", 2);
    await engine.hasFollowed(2);
    lookingBack.open();
    return goOn(place, a, engine);
  },
  closed: { status: "completed", output: [1, 2] },
  opened: {
    "live-event-wins-against-the-look-back": { status: "completed", output: [2, 1] },
  },
});

hole(25, {
  title: "an event after the start is not missed, wherever the clocks of the two leaders stand",
  scenario: async (place) => {
    const a = await place.worker("A", { tasks: [events((ctx) => ctx.waitForEvent("x"))] });
    const engine = await place.engine();
    a.reader.setClockBehind(place.setup.names.eventsStream, 60_000);
    await place.client.start("events", null, { id: "r" });
    await engine.hasSeen({ event: await place.event("x", 1) });
    await a.work();
    return { status: (await goOn(place, a, engine)).status };
  },
  closed: { status: "completed" },
  opened: { "events-begin-at-the-time-of-the-start": { status: "waiting" } },
});

hole(26, {
  title: "an approval that came in time wins against the timeout, also when no engine was there",
  scenario: async (place) => {
    const a = await place.worker("A", {
      tasks: [
        events(async (ctx) => {
          const approval = await ctx.waitForEvent("approved", { timeout: "1 second" });
          return approval ? "approved" : "expired";
        }),
      ],
    });
    await place.client.start("events", null, { id: "r" });
    await a.work();
    await place.event("approved", 1);
    await a.work(); // the server's timer
    return async () => outcome(place);
  },
  closed: { status: "completed", output: "approved" },
  opened: { "timer-token-does-not-look-around": { status: "completed", output: "expired" } },
});

for (const when of ["before it waits", "while it waits"] as const)
  hole(27, {
    title: `a run whose events stream is made anew ${when} is paused with the reason`,
    scenario: async (place) => {
      const a = await place.worker("A", { tasks: [events((ctx) => ctx.waitForEvent("x"))] });
      await place.event("y", 1);
      await place.event("y", 2);
      await place.client.start("events", null, { id: "r" });
      if (when === "while it waits") await a.work();
      await deleteStream(place.link.requests, place.setup.names.eventsStream);
      await setupNamespace(place.link, { namespace: place.setup.namespace });
      const engine = await place.engine();
      await engine.hasSeen({ event: await place.event("x", 1) }); // number 1, by the new count
      const token = await a.takeUnless(
        () => when === "while it waits" && engine.status.waits.published === 0,
      );
      if (token) await a.handle(token);
      const { status, paused } = await place.state(RUN);
      return { status, code: (paused?.details as { code?: string } | undefined)?.code };
    },
    closed: { status: "paused", code: "events-replaced" },
    opened: {
      "another-events-stream-is-believed": { status: "waiting", code: undefined },
      ...(when === "while it waits"
        ? { "engine-believes-another-events-stream": { status: "waiting", code: undefined } }
        : {}),
    },
  });

hole(27, {
  title: "a run that waits for events which are no longer kept says so",
  scenario: async (place) => {
    const a = await place.worker("A", { tasks: [events((ctx) => ctx.waitForEvent("x"))] });
    await place.client.start("events", null, { id: "r" });
    await a.work();
    const stream = place.setup.names.eventsStream;
    const config = (await place.link.reader.streamState(stream))?.config;
    await callApi(place.link.requests, `STREAM.UPDATE.${stream}`, { ...config, max_msgs: 1 });
    await place.event("x", 1);
    await place.event("y", 2); // takes the place of the first
    const client = await place.build.client.connect(place.access);
    place.atEnd(() => client.close());
    const { sentence } = await client.get("events", "r").why();
    return { isTold: /events before number 2 are no longer kept/.test(sentence) };
  },
  closed: { isTold: true },
  opened: { "lost-events-are-not-told": { isTold: false } },
});

type Code = (ctx: DurableContext) => Promise<unknown>;

/** A durable task that waits for events. */
function events(run: Code): Durable {
  return durableTask({ name: "events", run: (_: unknown, ctx) => run(ctx) });
}

/** A worker, an engine, and a run whose first wait is, or is about to be, registered. */
async function begin(place: Place, code: Code, { isRegistered = true } = {}) {
  const a = await place.worker("A", { tasks: [events(code)] });
  const engine = await place.engine();
  await place.client.start("events", null, { id: "r" });
  const registering = a.at("before-wait");
  const handled = a.work();
  await registering.reached();
  if (isRegistered) {
    registering.open();
    await handled;
  }
  return { a, engine, registered: registering };
}

/** The worker takes what the engine publishes, until there is nothing more to take. */
async function goOn(place: Place, a: HandWorker, engine: HandEngine): Promise<Outcome> {
  const isOver = async (): Promise<boolean> => {
    if ((await place.state(RUN)).status !== "waiting") return true;
    // It knows what the run waits for, has looked at all there is, and has nothing to say.
    const { waits } = engine.status;
    return waits.pending === 1 && waits.lookingBack + waits.publishing === 0;
  };
  for (;;) {
    const token = await a.takeUnless(isOver);
    if (!token) return outcome(place);
    await a.handle(token);
  }
}

interface Outcome {
  readonly status: string;
  readonly output: unknown;
}

async function outcome(place: Place): Promise<Outcome> {
  const { status, outcome: end } = await place.state(RUN);
  return { status, output: end && "output" in end ? end.output : undefined };
}
