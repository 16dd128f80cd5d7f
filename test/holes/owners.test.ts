/** Holes 13, 16, 18, 22, 28 and 29: two workers that both believe they own a run. */
import { durableTask } from "../../shared/task.ts";
import { until } from "../helpers/until.ts";
import type { HandWorker } from "./hand-worker.ts";
import { hole } from "./hole.ts";
import type { Place } from "./place.ts";
import { approver, stepper } from "./tasks.ts";
import { answers, writes } from "./wiretap.ts";

const STEPPER = { taskName: "stepper", runId: "r" };

hole(13, {
  title: "a worker that has lost its run stops extending the token, which protects the next one",
  claimTimeoutMs: 2_000,
  scenario: async (place) => {
    const [a, b, c] = await steppers(place, ["A", "B", "C"], ["a", "b"]);
    await place.client.start("stepper", null, { id: "r" });
    const longStep = a.at("before-step", 2);
    const token = await a.take();
    void a.handle(token);
    await longStep.reached();
    place.redeliver(token);
    const claimed = b.at("after-claim");
    void b.handle(await b.take());
    await claimed.reached();
    b.die();
    const isProgress = answers(token.streamSequence, "+WPI");
    const before = a.tap.sent.filter(isProgress).length;
    // Each one keeps the token for a whole claim timeout, and six are sent in one.
    const isKept = (): boolean => a.tap.sent.filter(isProgress).length >= before + 12;
    const again = await c.takeUnless(isKept);
    if (again) await c.handle(again);
    return async () => (await place.state(STEPPER)).status;
  },
  closed: "completed",
  opened: { "extends-without-looking": "running" },
});

hole(16, {
  title: "a worker whose commit is refused stops, so the next steps run once",
  scenario: async (place) => {
    const [a, b] = await steppers(place, ["A", "B"], ["a", "b", "c"]);
    await place.client.start("stepper", null, { id: "r" });
    const [first, second] = [a.at("after-step", 2), b.at("before-step", 2)];
    const token = await a.take();
    const handled = a.handle(token);
    await first.reached(); // b has run at A, and its result is not committed
    place.redeliver(token);
    const handledByB = b.work();
    await second.reached(); // b has run at B too, and its result is
    first.open();
    await handled;
    second.open();
    await handledByB;
    return () => ranWhere(place, "c");
  },
  closed: ["B"],
  opened: { "loser-reads-again-and-goes-on": ["A", "B"] },
});

hole(16, {
  title: "a worker that has lost its run says nothing about the token, which the next one needs",
  scenario: async (place) => {
    const [a, b] = await steppers(place, ["A", "B"], ["a", "b"]);
    await place.client.start("stepper", null, { id: "r" });
    const [first, second] = [a.at("after-step", 2), b.at("after-claim")];
    const token = await a.take();
    const handled = a.handle(token);
    await first.reached();
    place.redeliver(token);
    void b.work();
    await second.reached();
    first.open();
    await handled; // refused
    b.die();
    return () => place.facts(STEPPER);
  },
  closed: { status: "running", lifelines: ["token"] },
  opened: { "loser-acknowledges": { status: "running", lifelines: [] } },
});

for (const claimed of [false, true])
  hole(16, {
    title: `whoever loses the race for a run to its owner, who ${claimed ? "has committed before" : "began without a claim"}, leaves it to them`,
    scenario: async (place) => {
      const [a, b] = await steppers(place, ["A", "B"], ["a", "b", "c"]);
      await place.client.start("stepper", null, { id: "r" });
      const [inStep, inNextStep] = [
        a.at("before-step", claimed ? 2 : 1),
        a.at("before-step", claimed ? 3 : 2),
      ];
      const deciding = b.at("before-claim");
      const token = await a.take();
      const handled = a.handle(token);
      await inStep.reached();
      place.redeliver(token);
      const handledByB = b.work(); // it cannot know that A lives
      await deciding.reached();
      inStep.open();
      await inNextStep.reached(); // A's commit has come before B's claim
      deciding.open();
      await handledByB;
      inNextStep.open();
      await handled;
      return async () => ({
        ...(await place.facts(STEPPER)),
        takeovers: (await place.state(STEPPER)).claims,
      });
    },
    closed: { status: "completed", lifelines: [], takeovers: 0 },
    opened: {
      "takes-over-from-the-living": { status: "completed", lifelines: [], takeovers: 1 },
    },
  });

hole(18, {
  title: "a commit that is stored while its answer is lost is known to be stored",
  on: ["R1", "R3"],
  scenario: async (place) => {
    const [a] = await steppers(place, ["A"], ["a", "b"]);
    await place.client.start("stepper", null, { id: "r" });
    const lost = a.tap.trap(writes("h"), "lose-answer", 1);
    await a.work();
    return async () => ({
      status: (await place.state(STEPPER)).status,
      lost: lost.caught.length,
      commits: (await place.commits(STEPPER)).length,
      effects: place.effects,
    });
  },
  closed: { status: "completed", lost: 1, commits: 3, effects: ["A a", "A b"] },
  opened: {
    "refusal-after-silence-is-a-loss": {
      status: "running",
      lost: 1,
      commits: 1,
      effects: ["A a"],
    },
    "silence-is-answered-with-a-new-guard": {
      status: "completed",
      lost: 1,
      commits: 4,
      effects: ["A a", "A b"],
    },
  },
});

hole(18, {
  title: "a commit that got lost on its way is repeated, not its step",
  on: ["R1", "R3"],
  scenario: async (place) => {
    const [a, b] = await steppers(place, ["A", "B"], ["a", "b"]);
    await place.client.start("stepper", null, { id: "r" });
    a.tap.trap(writes("h"), "drop", 1);
    const token = await a.take();
    await a.handle(token);
    if ((await place.state(STEPPER)).status !== "completed") {
      place.redeliver(token);
      await b.work();
    }
    return async () => ({ ...(await place.facts(STEPPER)), a: ranWhere(place, "a") });
  },
  closed: { status: "completed", lifelines: [], a: ["A"] },
  opened: {
    "silence-is-a-failure": { status: "completed", lifelines: [], a: ["A", "B"] },
  },
});

hole(18, {
  title: "a commit that arrives after its worker was given up is refused",
  scenario: async (place) => {
    const [a, b] = await steppers(place, ["A", "B"], ["a", "b"]);
    await place.client.start("stepper", null, { id: "r" });
    const onItsWay = a.tap.trap(writes("h"), "hold");
    const token = await a.take();
    void a.handle(token);
    await until(() => onItsWay.caught.length > 0);
    place.redeliver(token);
    await b.work();
    onItsWay.open();
    await a.tap.flush();
    return async () => {
      const commits = await place.commits(STEPPER);
      return { passes: new Set(commits.map(({ pass }) => pass)).size, a: ranWhere(place, "a") };
    };
  },
  closed: { passes: 1, a: ["A", "B"] },
  opened: { "commits-are-not-guarded": { passes: 2, a: ["A", "B"] } },
});

hole(22, {
  title: "a step that is paused before its effect carries an older fencing token than the next one",
  scenario: async (place) => {
    const accepted: string[] = [];
    let newest = "";
    const fenced = (worker: string) =>
      durableTask({
        name: "stepper",
        run: (_: unknown, ctx) =>
          ctx.step("effect", ({ fencingToken }) => {
            if (fencingToken < newest) return;
            newest = fencingToken;
            accepted.push(worker);
          }),
      });
    const a = await place.worker("A", { tasks: [fenced("A")] });
    const b = await place.worker("B", { tasks: [fenced("B")] });
    await place.client.start("stepper", null, { id: "r" });
    const paused = a.at("before-step");
    const token = await a.take();
    const handled = a.handle(token);
    await paused.reached();
    place.redeliver(token);
    await b.work();
    paused.open();
    await handled;
    return { accepted, status: (await place.state(STEPPER)).status };
  },
  closed: { accepted: ["B"], status: "completed" },
  opened: { "fencing-token-stays-the-same": { accepted: ["B", "A"], status: "completed" } },
});

hole(28, {
  title: "a run that loses its worker again and again is paused with the reason",
  scenario: async (place) => {
    const names = ["A", "B", "C", "D", "E", "F", "G"];
    const workers = await steppers(place, names, ["a", "b"]);
    await place.client.start("stepper", null, { id: "r" });
    for (const worker of workers) {
      const death = worker.at("after-step", worker.name === "A" ? 2 : 1);
      const token = await worker.take();
      if ((await worker.handleUntil(death, token)) === "done") break;
      worker.die();
      place.redeliver(token);
    }
    return async () => ({
      status: (await place.state(STEPPER)).status,
      reason: (await place.state(STEPPER)).paused?.details,
      times: ranWhere(place, "b").length,
    });
  },
  closed: { status: "paused", reason: { code: "workers-lost" }, times: 6 },
  opened: {
    "takeovers-have-no-limit": { status: "running", reason: undefined, times: 7 },
  },
});

hole(29, {
  title: "a token that comes back to the very worker that runs its run is only extended",
  scenario: async (place) => {
    const [a] = await steppers(place, ["A"], ["a", "b"]);
    await place.client.start("stepper", null, { id: "r" });
    const inStep = a.at("after-step", 2);
    const token = await a.take();
    const handled = a.handle(token);
    await inStep.reached();
    place.redeliver(token);
    await a.work();
    inStep.open();
    await handled;
    return async () => ({ ...(await place.facts(STEPPER)), b: ranWhere(place, "b") });
  },
  closed: { status: "completed", lifelines: [], b: ["A"] },
  opened: { "takes-over-itself": { status: "completed", lifelines: [], b: ["A", "A"] } },
});

hole(29, {
  title: "a token that loses to another one at the same worker leaves the winner its run",
  claimTimeoutMs: 2_000,
  scenario: async (place) => {
    const a = await place.worker("A", { tasks: [approver(place, "A")] });
    const b = await place.worker("B", { tasks: [approver(place, "B")] });
    await place.client.start("approver", null, { id: "r" });
    await a.work();
    const run = { taskName: "approver", runId: "r" };
    const because = await place.matched(run, await place.event("approved", 1));
    const { tail } = await place.state(run);
    await place.ready(run, tail, because);
    await place.ready(run, tail, because);
    const [winning, losing, longStep] = [
      a.at("before-claim", 1),
      a.at("before-claim", 2),
      a.at("before-step"),
    ];
    const winner = await a.take();
    const handled = a.handle(winner);
    await winning.reached();
    const lost = a.handle(await a.take());
    await losing.reached();
    winning.open();
    await longStep.reached();
    losing.open();
    await lost;
    const isProgress = answers(winner.streamSequence, "+WPI");
    const before = a.tap.sent.filter(isProgress).length;
    const isKept = (): boolean => a.tap.sent.filter(isProgress).length >= before + 12;
    const again = await b.takeUnless(isKept);
    if (again) await b.handle(again);
    longStep.open();
    await handled;
    return async () => ({ ...(await place.facts(run)), effects: place.effects });
  },
  closed: { status: "completed", lifelines: [], effects: ["A after"] },
  opened: {
    "loser-takes-the-winners-hold": {
      status: "completed",
      lifelines: [],
      effects: ["B after", "A after"],
    },
  },
});

async function steppers(
  place: Place,
  names: readonly string[],
  steps: readonly string[],
): Promise<HandWorker[] & [HandWorker, HandWorker, HandWorker]> {
  const workers = await Promise.all(
    names.map((name) => place.worker(name, { tasks: [stepper(place, name, steps)] })),
  );
  return workers as HandWorker[] & [HandWorker, HandWorker, HandWorker];
}

/** The workers that ran a step, in order. */
function ranWhere(place: Place, step: string): string[] {
  return place.effects
    .filter((effect) => effect.endsWith(` ${step}`))
    .map((effect) => effect[0] as string);
}
