/** Hole 34: slots that are granted twice, kept too long, or shown for two workers. */
import { durableTask, type Task, task } from "../../shared/task.ts";
import { until } from "../helpers/until.ts";
import { hole } from "./hole.ts";
import type { Place } from "./place.ts";
import { stepper } from "./tasks.ts";

hole(34, {
  title: "a token that comes when its slot went elsewhere is given back",
  scenario: async (place) => {
    const [x, y] = [gated("x"), gated("y")];
    const live = await place.live("W", { tasks: [x.task, y.task], slots: { regular: 1 } });
    await place.client.start("x", null, { id: "r" });
    await until(() => x.runs > 0);
    // There was a slot free when the worker asked for tokens of y, and there is none any more.
    await place.client.start("y", null, { id: "r" });
    const isAnswered = (): boolean =>
      live.tap.sent.some(({ subject, text }) => /\.task-y\./.test(subject) && text !== "+WPI");
    await until(() => y.runs > 0 || isAnswered());
    const atOnce = x.runs + y.runs;
    for (const { open } of [x, y]) open();
    return async () => ({
      atOnce,
      x: (await place.state({ taskName: "x", runId: "r" })).status,
      y: await place.facts({ taskName: "y", runId: "r" }),
    });
  },
  closed: { atOnce: 1, x: "completed", y: { status: "completed", lifelines: [] } },
  opened: {
    "slots-are-granted-without-end": {
      atOnce: 2,
      x: "completed",
      y: { status: "completed", lifelines: [] },
    },
    "token-without-a-slot-is-dropped": {
      atOnce: 1,
      x: "completed",
      y: { status: "queued", lifelines: [] },
    },
  },
});

hole(34, {
  title: "the slot of a pass that lost its run is free when its step has been told to stop",
  claimTimeoutMs: 2_000,
  scenario: async (place) => {
    let signal: AbortSignal | undefined;
    const hanging = durableTask({
      name: "stepper",
      run: (_: unknown, ctx) =>
        ctx.step("hang", async (step) => {
          signal = step.signal;
          await new Promise(() => {});
        }),
    });
    const a = await place.worker("A", { tasks: [hanging] });
    const b = await place.worker("B", { tasks: [stepper(place, "B", ["hang"])] });
    await place.client.start("stepper", null, { id: "r" });
    const token = await a.take();
    void a.handle(token);
    await until(() => signal);
    place.redeliver(token);
    await b.work();
    const { durable } = a.pools;
    await until(() => durable.free === durable.capacity);
    return { isToldToStop: signal?.aborted };
  },
  closed: { isToldToStop: true },
  opened: { "lost-pass-does-not-stop-its-steps": { isToldToStop: false } },
});

hole(34, {
  title: "a run that another worker has taken over is shown at that worker alone",
  claimTimeoutMs: 3_000,
  scenario: async (place) => {
    const [a, b] = [gated("x"), gated("x")];
    const first = await place.live("A", { tasks: [a.task] });
    await place.client.start("x", null, { id: "r" });
    await until(() => a.runs > 0);
    await until(async () => (await holders(place)).length === 1);
    await place.live("B", { tasks: [b.task] });
    first.die();
    // Both records that show it, or the one of the worker that has it now.
    const shown = await until(async () => {
      const names = await holders(place);
      return names.includes("B") && names;
    });
    return shown;
  },
  closed: ["B"],
  opened: { "lease-outlives-the-claim": ["A", "B"] },
});

hole(34, {
  title: "two workers of one name are two workers",
  scenario: async (place) => {
    const { task: x } = gated("x");
    await place.live("same", { tasks: [x] });
    await place.live("same", { tasks: [x] });
    return async () =>
      (await place.client.leases()).filter(({ pool }) => pool === "regular").length;
  },
  closed: 2,
  opened: { "worker-is-known-by-its-name": 1 },
});

/** A regular task whose runs end when the test lets them. */
function gated(name: string): {
  readonly task: Task<unknown, unknown, "regular">;
  readonly runs: number;
  readonly open: () => void;
} {
  let open: () => void = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  const gate = {
    runs: 0,
    open: () => open(),
    task: task({
      name,
      run: async () => {
        gate.runs++;
        await opened;
      },
    }),
  };
  return gate;
}

/** The names of the workers that are shown to hold a run. */
async function holders(place: Place): Promise<string[]> {
  const leases = await place.client.leases();
  return leases
    .filter(({ held }) => held.length > 0)
    .map(({ worker }) => worker.slice(0, worker.indexOf("-")))
    .sort();
}
