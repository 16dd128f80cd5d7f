/** A chaos run in which everything was broken once and every promise held. */
import { BEGIN, Story } from "./story.ts";

const NO_STEP = { at: 0, attempts: 1, durationMs: 10 };

/** The whole of it: by 100 s everything that can end has ended. */
export function honestStory(): Story {
  const story = new Story();
  lives(story);
  jobIsDone(story);
  planGoesOnElsewhere(story);
  parentHasChildren(story);
  codeChanges(story);
  somebodyWaits(story);
  canceled(story);
  badInput(story);
  story.now = 99_000;
  return story;
}

function lives(story: Story): void {
  const life = (at: number, edge: string, process: string, fields: object = {}): void => {
    story.now = at;
    story.line("processes", {
      edge,
      process,
      role: process.split("-")[0],
      expected: true,
      ...fields,
    });
  };
  const slots = { regular: 2, durable: 2 };
  for (const process of ["server-1.0", "engine-1.0"]) life(0, "start", process);
  life(1, "ready", "worker-1.0", { name: "w1", slots });
  life(1, "ready", "worker-2.0", { name: "w2", slots });
  for (const process of ["worker-1.0", "engine-1.0"])
    life(10_000, "exit", process, { signal: "SIGKILL" });
  life(20_000, "start", "engine-1.1");
  life(30_000, "exit", "server-1.0", { signal: "SIGKILL" });
  life(31_000, "start", "server-1.1");
  for (const process of ["worker-2.0", "engine-1.1"]) life(100_000, "exit", process, { code: 0 });
  story.files["processes"]?.sort((a, b) => Number(a["at"]) - Number(b["at"]));
}

function jobIsDone(story: Story): void {
  story.now = 2_000;
  const run = "chaos-job/job";
  const start = story.start(run, { value: 3 });
  lease(story, ["chaos-job", "job"]);
  story.step(run, "main", undefined, { value: { value: 3, runId: "job" } });
  const output = { value: 3, runId: "job" };
  story.commit(run, "w1/r0", start, [{ kind: "ended", outcome: { status: "completed", output } }]);
  story.operation(
    "ok",
    { op: "result", taskName: "chaos-job", runId: "job" },
    { value: { status: "completed", output } },
  );
  story.wait(50);
  lease(story);
}

/** A step, an event that comes before its wait, a sleep without an engine; by two workers. */
function planGoesOnElsewhere(story: Story): void {
  story.now = 11_000;
  const run = "chaos-plan/plan";
  const plan = [
    { op: "step", name: "first" },
    { op: "event", name: "event 1", event: "chaos.paid", key: "k", timeoutMs: 60_000 },
    { op: "sleep", name: "sleep 2", ms: 2_000 },
  ];
  story.publish("chaos.paid", { key: "k", n: 0 });
  story.publish("chaos.paid", { key: "other", n: 0 });
  const start = story.start(run, { plan });
  story.step(run, "first", 0, { value: "plan/first" });
  const condition = { kind: "event", name: "chaos.paid", where: { key: "k" }, after: 0 } as const;
  const either = {
    kind: "anyOf",
    of: [
      [0, condition],
      [1, { kind: "sleep", dueAt: BEGIN + 80_000 }],
    ],
  } as const;
  const key = "w0 waitForEvent";
  story.commit(run, "w1/d0", start, [
    { kind: "step-completed", key: "s0 first", ...NO_STEP, value: "plan/first" },
  ]);
  const waiting = story.commit(run, "w1/d0", start, [
    { kind: "wait-opened", key, at: 1, condition: either },
    { kind: "waiting" },
  ]);
  const timer = story.timer(run, 80_000);
  story.register(run, [{ key, leaf: 0, condition }]);
  const token = story.ready(run, { events: [[key, 0, 1]] }, waiting);
  const outcome = { name: "chaos.paid", data: { key: "k", n: 0 }, sequence: 1, publishedAt: BEGIN };
  story.wait(20).commit(run, "w2/d0", token, [
    { kind: "claimed", worker: "w2", because: "match" },
    { kind: "wait-settled", key, leaf: 0, outcome: { kind: "event", ...outcome } },
  ]);
  story.remove(timer); // the claim has canceled it
  const dueAt = BEGIN + story.now + 2_000;
  const sleep = { kind: "sleep", dueAt } as const;
  story.commit(run, "w2/d0", token, [
    { kind: "wait-opened", key: "w0 sleep", at: 2, condition: sleep },
    { kind: "waiting" },
  ]);
  story.wait(2_001);
  const fired = story.ready(run, { timer: dueAt });
  story.commit(run, "w2/d1", fired, [
    { kind: "claimed", worker: "w2", because: "timer" },
    { kind: "wait-settled", key: "w0 sleep", leaf: 0, outcome: { kind: "sleep" } },
  ]);
  const output = { results: ["plan/first", 0, "slept"] };
  story.commit(run, "w2/d1", fired, [{ kind: "ended", outcome: { status: "completed", output } }]);
}

function parentHasChildren(story: Story): void {
  story.now = 40_000;
  const run = "chaos-plan/parent";
  const start = story.start(run, { plan: [{ op: "children", name: "children 0", count: 2 }] });
  const key = "w0 chaos-job";
  const condition = { kind: "children", taskName: "chaos-job", first: 0, count: 2 } as const;
  story.commit(run, "w2/d2", start, [
    { kind: "wait-opened", key, at: 0, condition },
    { kind: "waiting" },
  ]);
  story.register(run, [{ key, leaf: 0, condition }]);
  const ended = [0, 1].map((value) => {
    const child = `chaos-job/abc-${value}`;
    const parent = { taskName: "chaos-plan", runId: "parent", startSequence: start, key };
    const token = story.start(child, { value }, parent);
    const output = { value, runId: `abc-${value}` };
    const outcome = { status: "completed", output } as const;
    story.step(child, "main", undefined, { process: "worker-2.0", value: output });
    story.commit(child, `w2/r${value}`, token, [{ kind: "ended", outcome }], "c");
    return [value, outcome] as const;
  });
  const token = story.ready(run, { children: [[key, 0, [0, 1]]] });
  story.commit(run, "w2/d3", token, [
    { kind: "claimed", worker: "w2", because: "match" },
    { kind: "wait-settled", key, leaf: 0, outcome: { kind: "children", ended } },
    { kind: "ended", outcome: { status: "completed", output: { results: [[0, 1]] } } },
  ]);
}

function codeChanges(story: Story): void {
  story.now = 50_000;
  const run = "chaos-plan/fragile";
  story.line("faults", {
    id: 1,
    edge: "begin",
    family: "code",
    kind: "changed",
    target: "worker-3",
  });
  const start = story.start(run, { plan: [{ op: "step", name: "fragile" }] });
  const details = { code: "replay-diverged", kind: "different", asked: [{ key: "s0 changed" }] };
  story.commit(run, "w3/d0", start, [
    { kind: "claimed", worker: "w3", because: "takeover" },
    { kind: "paused", reason: "It diverged.", details },
  ]);
  const token = story.wait(1_000).ready(run, { repair: { by: "runner", reason: "" } });
  const claim = story.commit(run, "w2/d4", token, [
    { kind: "claimed", worker: "w2", because: "repair" },
    { kind: "resumed", by: "runner", reason: "" },
  ]);
  story.step(run, "fragile", claim, { process: "worker-2.0", value: "fragile/fragile" });
  const output = { results: ["fragile/fragile"] };
  story.commit(run, "w2/d4", token, [
    { kind: "step-completed", key: "s0 fragile", ...NO_STEP, value: "fragile/fragile" },
    { kind: "ended", outcome: { status: "completed", output } },
  ]);
}

function somebodyWaits(story: Story): void {
  story.now = 60_000;
  const run = "chaos-plan/never";
  const start = story.start(run, { plan: [{ op: "event" }], never: true });
  const leaf = { kind: "event", name: "chaos.never", where: { key: "never" }, after: 0 } as const;
  const dueAt = BEGIN + story.now + 3_600_000;
  const condition = {
    kind: "anyOf",
    of: [
      [0, leaf],
      [1, { kind: "sleep", dueAt }],
    ],
  } as const;
  story.commit(run, "w2/d5", start, [
    { kind: "wait-opened", key: "w0 waitForEvent", at: 0, condition },
    { kind: "waiting" },
  ]);
  story.timer(run, 3_660_000);
  story.register(run, [{ key: "w0 waitForEvent", leaf: 0, condition: leaf }]);
  story.listed.push({
    taskName: "chaos-plan",
    runId: "never",
    status: "waiting",
    why: "It waits.",
  });
}

function canceled(story: Story): void {
  story.now = 70_000;
  const run = "chaos-plan/canceled";
  const start = story.start(run, { plan: [{ op: "sleep", name: "sleep 0", ms: 3_600_000 }] });
  const condition = { kind: "sleep", dueAt: BEGIN + story.now + 3_600_000 } as const;
  const waiting = story.commit(run, "w2/d6", start, [
    { kind: "wait-opened", key: "w0 sleep", at: 0, condition },
    { kind: "waiting" },
  ]);
  const cancel = story.wait(500).cancel(run);
  const token = story.ready(run, { cancel }, waiting);
  const error = { name: "RunCanceledError", message: "canceled", code: "run-canceled" };
  story.commit(run, "w2/d7", token, [
    { kind: "claimed", worker: "w2", because: "cancel" },
    { kind: "cancel-requested", by: "client", reason: "" },
  ]);
  story.commit(run, "w2/d7", token, [{ kind: "ended", outcome: { status: "canceled", error } }]);
  story.operation("failed", { op: "result", taskName: "chaos-plan", runId: "canceled" }, { error });
}

function badInput(story: Story): void {
  story.now = 75_000;
  const error = { name: "InvalidInputError", code: "invalid-input" };
  story.operation("failed", { op: "start", key: "bad", taskName: "", runId: "x" }, { error });
  const target = "contrail.log.0.chaos-plan.hit.h";
  story.line("faults", { id: 2, edge: "begin", family: "garbage", kind: "garbage", target });
  story.line("faults", { id: 2, edge: "end", family: "garbage", kind: "garbage", target });
}

/** What worker 1 says of its regular slots. */
export function lease(story: Story, ...held: (readonly [task: string, run: string])[]): void {
  const slots = held.map(([task, run]) => ({ task, run, since: `since ${run}` }));
  const value = { worker: "w1", pool: "regular", capacity: 2, held: slots };
  const bucket = "contrail_slots_regular";
  story.line("leases", { bucket, key: "w1", operation: "put", value });
}
