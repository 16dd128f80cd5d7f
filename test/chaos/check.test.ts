import { appendFileSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import { report } from "./check/report.ts";
import { honestStory, lease } from "./honest-story.ts";
import { at, broken, DONE, FOREVER, judged, NO_STEP, SLEEP, waiting } from "./judged-story.ts";
import { BEGIN, type Story } from "./story.ts";

/** What must not be, the rules that must not hold then, and how the story gets there. */
const LIES: [title: string, rules: string[], tell: (story: Story) => void][] = [
  ["a run that nobody begins", ["P1"], (s) => void s.start("chaos-job/x", { value: 1 })],
  [
    "a run that ends twice",
    ["P1"],
    (s) =>
      void s.commit("chaos-job/job", "w1/r0", at(s, "chaos-job/job", "start"), [
        { kind: "ended", outcome: DONE },
      ]),
  ],
  [
    "a second start under one id",
    ["P1"],
    (s) => void s.message("chaos-job/job", "start", new Uint8Array([1, 0x80])),
  ],
  [
    "two clients that start one id with two inputs and are told yes",
    ["P1"],
    (s) =>
      s.operation("ok", {
        ...{ op: "start", taskName: "chaos-job", runId: "job", payload: { value: 4 } },
      }),
  ],
  [
    "an output that is not the plan's",
    ["P1"],
    (s) => {
      const start = s.start("chaos-plan/x", { plan: [{ op: "sleep", name: "sleep 0" }] });
      s.commit("chaos-plan/x", "w2/d9", start, [{ kind: "ended", outcome: DONE }]);
    },
  ],
  ["a run that waits and nobody says why", ["P1"], (s) => void s.listed.splice(0)],
  [
    "a run that is listed as what it is not",
    ["accepted"],
    (s) => void Object.assign(s.listed[0] ?? {}, { status: "paused" }),
  ],
  [
    "a step that a pass begins behind its checkpoint",
    ["P2"],
    (s) => {
      const claim = s.streams["contrail_LOG_0"]?.find(
        ({ subject, headers }) =>
          subject.endsWith("plan.h") && headers.some(([, status]) => status === "running"),
      );
      s.now = 11_020;
      s.step("chaos-plan/plan", "first", claim?.sequence ?? 0, { value: "plan/first" });
    },
  ],
  [
    "a step that is recorded twice",
    ["P2"],
    (s) => {
      const start = s.start("chaos-plan/x", { plan: [] });
      s.step("chaos-plan/x", "a", 0, { process: "worker-2.0", value: 1 });
      const entry = { kind: "step-completed", key: "s0 a", ...NO_STEP, value: 1 } as const;
      s.commit("chaos-plan/x", "w2/d9", start, [entry]);
      s.commit("chaos-plan/x", "w2/d9", start, [entry, { kind: "ended", outcome: DONE }]);
    },
  ],
  [
    "a result that no attempt gave",
    ["P2"],
    (s) => {
      const start = s.start("chaos-plan/x", { plan: [] });
      s.step("chaos-plan/x", "a", 0, { process: "worker-2.0", value: 1 });
      s.commit("chaos-plan/x", "w2/d9", start, [
        { kind: "step-completed", key: "s0 a", ...NO_STEP, value: 2 },
        { kind: "ended", outcome: DONE },
      ]);
    },
  ],
  [
    "two workers that begin a run without a claim",
    ["P2"],
    (s) => {
      s.now = 2_005;
      s.step("chaos-job/job", "main", undefined, { process: "worker-2.0", value: 3 });
    },
  ],
  [
    "a step that begins long after its run was lost",
    ["P2"],
    (s) => {
      s.now = 18_000;
      s.effect("chaos-plan/plan", "later", "begin", { token: "0" });
    },
  ],
  [
    "a sleep that is over and wakes nobody",
    ["P3"],
    (s) => void waiting(s, "chaos-plan/x", { kind: "sleep", dueAt: BEGIN + 82_000 }),
  ],
  [
    "an event that a run waits for and is not told of",
    ["P3"],
    (s) => {
      s.now = 82_000;
      s.publish("chaos.never", { key: "never", n: 0 });
    },
  ],
  [
    "a run that is woken only because the engine finds it lost",
    ["P3"],
    (s) => {
      waiting(s, "chaos-plan/x", { kind: "sleep", dueAt: BEGIN + 81_000 }, false);
      const token = s.wait(9_000).ready("chaos-plan/x", { poke: "wake-lost" });
      s.commit("chaos-plan/x", "w2/d21", token, [
        { kind: "claimed", worker: "w2", because: "poke" },
        { kind: "wait-settled", key: SLEEP, leaf: 0, outcome: { kind: "sleep" } },
        { kind: "ended", outcome: DONE },
      ]);
    },
  ],
  [
    "a child that has ended and whose parent waits",
    ["P3"],
    (s) => {
      const leaf = { kind: "child", taskName: "chaos-job", runId: "job" } as const;
      waiting(s, "chaos-plan/x", leaf);
    },
  ],
  [
    "a sleep that is woken early",
    ["P3"],
    (s) => {
      waiting(s, "chaos-plan/x", { kind: "sleep", dueAt: BEGIN + 82_000 }, false);
      const token = s.ready("chaos-plan/x", { timer: BEGIN + 82_000 });
      s.wait(1_500).commit("chaos-plan/x", "w2/d21", token, [
        { kind: "claimed", worker: "w2", because: "timer" },
        { kind: "wait-settled", key: SLEEP, leaf: 0, outcome: { kind: "sleep" } },
        { kind: "ended", outcome: DONE },
      ]);
    },
  ],
  [
    "a time limit that wins against an event that was there",
    ["P3"],
    (s) => {
      s.now = 80_000;
      const start = s.start("chaos-plan/x", { plan: [] });
      const leaf = {
        kind: "event",
        name: "chaos.paid",
        where: { key: "other" },
        after: 0,
      } as const;
      const sleep = { kind: "sleep", dueAt: BEGIN + 82_000 } as const;
      const condition = {
        kind: "anyOf",
        of: [
          [0, leaf],
          [1, sleep],
        ],
      } as const;
      s.commit("chaos-plan/x", "w2/d9", start, [
        { kind: "wait-opened", key: SLEEP, at: 0, condition },
        { kind: "waiting" },
      ]);
      const token = s.wait(2_100).ready("chaos-plan/x", { timer: BEGIN + 82_000 });
      s.commit("chaos-plan/x", "w2/d21", token, [
        { kind: "claimed", worker: "w2", because: "timer" },
        { kind: "wait-settled", key: SLEEP, leaf: 1, outcome: { kind: "sleep" } },
        { kind: "ended", outcome: DONE },
      ]);
    },
  ],
  [
    "a cancellation that the run is not told of",
    ["P3"],
    (s) => {
      waiting(s, "chaos-plan/x", FOREVER);
      s.cancel("chaos-plan/x");
    },
  ],
  [
    "a step that begins after the run was told to stop",
    ["P3"],
    (s) => {
      const told = at(s, "chaos-plan/canceled", "h") - 1;
      s.now = 70_505;
      s.step("chaos-plan/canceled", "more", told, { process: "worker-2.0", value: 1 });
    },
  ],
  [
    "a wait whose registration is missing",
    ["P3"],
    (s) => s.remove(at(s, "chaos-plan/never", "wait")),
  ],
  [
    "a parent that was told another end of its child",
    ["P3"],
    (s) => {
      const leaf = { kind: "child", taskName: "chaos-job", runId: "job" } as const;
      waiting(s, "chaos-plan/x", leaf, false);
      const token = s.ready("chaos-plan/x", { children: [[SLEEP, 0, [0]]] });
      const outcome = {
        kind: "child",
        taskName: "chaos-job",
        runId: "job",
        outcome: DONE,
      } as const;
      s.commit("chaos-plan/x", "w2/d21", token, [
        { kind: "claimed", worker: "w2", because: "match" },
        { kind: "wait-settled", key: SLEEP, leaf: 0, outcome },
        { kind: "ended", outcome: DONE },
      ]);
    },
  ],
  [
    "three runs at work in two slots",
    ["P4"],
    (s) => {
      for (const phase of ["begin", "end"])
        for (const run of ["a", "b", "c"])
          s.wait(5).effect(`chaos-job/${run}`, "main", phase, { process: "worker-2.0", value: 1 });
    },
  ],
  [
    "a record of more runs than there are slots",
    ["P4"],
    (s) => lease(s, ["t", "1"], ["t", "2"], ["t", "3"]),
  ],
  [
    "a slot that a run keeps while it waits",
    ["P4"],
    (s) => {
      s.now = 11_000;
      const start = s.start("chaos-plan/x", { plan: [] });
      lease(s, ["chaos-plan", "x"]);
      s.wait(20).commit("chaos-plan/x", "w1/d9", start, [
        { kind: "wait-opened", key: SLEEP, at: 0, condition: FOREVER },
        { kind: "waiting" },
      ]);
      s.timer("chaos-plan/x", 9_999_999);
      s.listed.push({ taskName: "chaos-plan", runId: "x", status: "waiting", why: "It waits." });
      s.wait(8_000);
      lease(s, ["chaos-plan", "x"]);
      s.wait(50);
      lease(s);
    },
  ],
  [
    "a run that another worker resumes and that stays there",
    ["P1", "P5"],
    (s) => {
      waiting(s, "chaos-plan/x", { kind: "sleep", dueAt: BEGIN + 81_000 }, false);
      const token = s.wait(1_100).ready("chaos-plan/x", { timer: BEGIN + 81_000 });
      s.commit("chaos-plan/x", "w9/d0", token, [
        { kind: "claimed", worker: "w9", because: "timer" },
        { kind: "wait-settled", key: SLEEP, leaf: 0, outcome: { kind: "sleep" } },
      ]);
      s.listed.push({ taskName: "chaos-plan", runId: "x", status: "running", why: "It is." });
    },
  ],
  [
    "two passes that take turns",
    ["P6"],
    (s) => {
      const start = s.start("chaos-plan/x", { plan: [] });
      const beat = { kind: "heartbeat", key: "s0 a", details: null } as const;
      s.commit("chaos-plan/x", "w2/d9", start, [beat]);
      const claim = { kind: "claimed", worker: "w1", because: "takeover" } as const;
      s.commit("chaos-plan/x", "w1/d9", start, [claim]);
      s.commit("chaos-plan/x", "w2/d9", start, [beat, { kind: "ended", outcome: DONE }]);
    },
  ],
  [
    "a token that claims a wait it does not answer",
    ["P6"],
    (s) => {
      waiting(s, "chaos-plan/x", FOREVER, false);
      const token = s.ready("chaos-plan/x", { poke: "x" }, 1);
      s.commit("chaos-plan/x", "w2/d21", token, [
        { kind: "claimed", worker: "w2", because: "poke" },
        { kind: "ended", outcome: DONE },
      ]);
    },
  ],
  [
    "something new before a divergence is found",
    ["P7"],
    (s) => {
      s.line("processes", { edge: "ready", process: "worker-3.0", role: "worker", name: "w3" });
      const pause = at(s, "chaos-plan/fragile", "start") + 1;
      const start = s.start("chaos-plan/x", { plan: [] });
      const claim = s.commit("chaos-plan/x", "w3/d9", start, [
        { kind: "claimed", worker: "w3", because: "takeover" },
      ]);
      s.step("chaos-plan/x", "changed", claim, { process: "worker-3.0", value: pause });
      const details = { code: "replay-diverged", asked: [] };
      s.commit("chaos-plan/x", "w3/d9", start, [{ kind: "paused", reason: "", details }]);
      s.listed.push({ taskName: "chaos-plan", runId: "x", status: "paused", why: "It diverged." });
    },
  ],
  [
    "a start that was acknowledged and is not there",
    ["P8"],
    (s) => s.operation("ok", { op: "start", taskName: "t", runId: "gone", payload: 1 }),
  ],
  [
    "an event that was acknowledged and is not there",
    ["P8"],
    (s) => s.operation("ok", { op: "publish", eventName: "gone", payload: 1 }),
  ],
  [
    "an event that is there twice",
    ["P8"],
    (s) => {
      s.publish("twice", 1);
      s.files["operations-client-1"]?.splice(-2);
      s.publish("twice", 1);
    },
  ],
  [
    "a cancellation that was acknowledged and is not there",
    ["P8"],
    (s) => s.remove(at(s, "chaos-plan/canceled", "cancel")),
  ],
  [
    "a client that is told another end",
    ["P8"],
    (s) =>
      s.operation(
        "ok",
        { op: "result", taskName: "chaos-job", runId: "job" },
        { value: { output: 8 } },
      ),
  ],
  [
    "a message that was seen and is gone",
    ["P8"],
    (s) => {
      const seen = s.of("chaos-job/job", "start");
      s.live["contrail_LOG_0"] = seen ? [{ ...seen, sequence: 999_999 }] : [];
    },
  ],
  [
    "bad input that is accepted",
    ["P9"],
    (s) => s.operation("ok", { op: "start", key: "bad", taskName: "", runId: "y" }),
  ],
  [
    "a worker that ends by itself",
    ["P9"],
    (s) => {
      s.line("processes", { edge: "ready", process: "w", role: "worker" });
      s.line("processes", { edge: "exit", process: "w", role: "worker", code: 3 });
    },
  ],
  [
    "nothing that goes on without an engine",
    ["P10"],
    (s) => {
      for (const message of s.streams["contrail_LOG_0"] ?? [])
        if (message.subject.endsWith("plan.h")) message.timeMs += 30_000;
    },
  ],
  [
    "a run that nobody started",
    ["accepted"],
    (s) => {
      const start = s.start("chaos-plan/x", { plan: [] });
      s.files["operations-client-1"]?.splice(-2);
      s.commit("chaos-plan/x", "w2/d9", start, [{ kind: "ended", outcome: DONE }]);
    },
  ],
  [
    "a header that says another status",
    ["accepted"],
    (s) => {
      const end = s.of("chaos-job/job", "h");
      if (end) end.headers = [["Contrail-Status", "failed"]];
    },
  ],
  [
    "a slot that is held by a run that has ended",
    ["granted"],
    (s) => {
      s.now = 99_900;
      s.line("processes", { edge: "ready", process: "worker-4.0", role: "worker", name: "w1" });
      lease(s, ["chaos-job", "job"]);
    },
  ],
  [
    "a slot that is held when nobody lives",
    ["granted"],
    (s) => void s.slots.push({ worker: "w1" }),
  ],
  [
    "a run in the list that nobody has started",
    ["accepted"],
    (s) => void s.listed.push({ taskName: "t", runId: "ghost", status: "completed" }),
  ],
  [
    "a run whose code is right again and that stays paused",
    ["P7"],
    (s) => {
      const start = s.start("chaos-plan/x", { plan: [] });
      const details = { code: "replay-diverged", asked: [] };
      s.commit("chaos-plan/x", "w2/d9", start, [{ kind: "paused", reason: "", details }]);
      s.listed.push({ taskName: "chaos-plan", runId: "x", status: "paused", why: "It diverged." });
    },
  ],
  ["a timer that is missing", ["scheduled"], (s) => s.remove(at(s, "chaos-plan/never", "timer"))],
];

test("the judge lets every rule hold in a story in which it does", (t) => {
  const judge = judged(honestStory());
  t.deepEqual(broken(judge), [], report(judge));
});

for (const [title, rules, tell] of LIES)
  test(`the judge finds ${title}`, (t) => {
    const story = honestStory();
    tell(story);
    const judge = judged(story);
    t.deepEqual(
      rules.filter((rule) => !judge.violations.some((found) => found.rule === rule)),
      [],
      report(judge),
    );
  });

test("the judge does not know what it has not seen", (t) => {
  const story = honestStory();
  for (const line of story.files["processes"] ?? []) if (line["signal"]) delete line["signal"];
  story.files["faults"]?.splice(0);
  const unknown = judged(story)
    .verdicts()
    .filter(({ verdict }) => verdict === "not known");
  t.deepEqual(
    unknown.map(({ rule }) => rule),
    ["P8", "P9"],
  );
});

test("the judge knows nothing of a run that was given up", (t) => {
  const story = honestStory();
  story.summary["ended"] = "aborted";
  t.true(
    judged(story)
      .verdicts()
      .every(({ verdict }) => verdict === "not known"),
  );
});

test("the judge reads a file whose writer was killed in the middle of a line", (t) => {
  const tear = (folder: string): void =>
    appendFileSync(join(folder, "effects-worker-1.0.jsonl"), '{"at":17000');
  t.deepEqual(broken(judged(honestStory(), tear)), []);
});

test("the judge tells the smallest run that shows a violation, and how to see it again", (t) => {
  const story = honestStory();
  story.start("chaos-job/small", { value: 1 });
  const text = report(judged(story));
  t.regex(text, /^P1 is violated: chaos-job\/small is still queued although all was healed$/m);
  t.regex(text, /^ +0\.000 s {2}\d+ start$/m);
  t.regex(text, /^To repeat: npm run chaos -- --topology r1 .*--seed 7/m);
});
