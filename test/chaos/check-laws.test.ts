import test from "ava";
import { RULES } from "./check/judgment.ts";
import { report } from "./check/report.ts";
import { honestStory } from "./honest-story.ts";
import { at, DONE, FOREVER, judged, SLEEP, waiting } from "./judged-story.ts";
import { BEGIN, Story } from "./story.ts";

const X = "chaos-plan/x";
const BEAT = { kind: "heartbeat", key: "s0 a", details: null } as const;
const END = { kind: "ended", outcome: DONE } as const;

/** Lies that break one law only: the rule, what is said of it, and how the story gets there. */
const LIES: [title: string, rule: string, text: RegExp, tell: (story: Story) => void][] = [
  [
    "a commit behind the end of its run",
    "P1",
    /^has a commit at \d+ behind its end$/,
    (s) => void s.commit("chaos-job/job", "w1/r0", at(s, "chaos-job/job", "start"), [BEAT]),
  ],
  [
    "a commit with two ends",
    "P1",
    /^ended more than once$/,
    (s) => void s.commit(X, "w2/d9", s.start(X, { plan: [] }), [END, END]),
  ],
  [
    "a step that begins with a token that is no commit",
    "P2",
    /with token 999, which is no commit$/,
    (s) => s.step("chaos-plan/plan", "more", 999),
  ],
  [
    "a step that begins on the commit of another worker",
    "P2",
    /by worker-2\.0 on a commit of w1$/,
    (s) => {
      const start = s.start(X, { plan: [] });
      const token = s.commit(X, "w1/d9", start, [BEAT]);
      s.step(X, "a", token, { process: "worker-2.0" });
      s.commit(X, "w1/d9", start, [END]);
    },
  ],
  [
    "a next attempt that nobody makes",
    "P3",
    /next attempt of/,
    (s) => {
      s.now = 80_000;
      const error = { name: "Error", message: "failed" };
      const failed = { kind: "attempt-failed", key: "s0 a", at: 0, attempt: 1, error } as const;
      const retryAt = BEGIN + 82_000;
      s.commit(X, "w2/d9", s.start(X, { plan: [] }), [{ ...failed, retryAt }, { kind: "waiting" }]);
      s.listed.push({ taskName: "chaos-plan", runId: "x", status: "waiting", why: "It waits." });
    },
  ],
  [
    "a group of children that has ended and whose parent waits",
    "P3",
    /^waits for "w0 sleep", which has happened$/,
    (s) => {
      const leaf = { kind: "children", taskName: "chaos-job", first: 0, count: 1 } as const;
      const startSequence = waiting(s, X, leaf);
      const parent = { taskName: "chaos-plan", runId: "x", startSequence, key: SLEEP };
      const start = s.start("chaos-job/of-x-0", { value: 1 }, parent);
      const outcome = { status: "completed", output: { value: 1 } } as const;
      s.commit("chaos-job/of-x-0", "w2/r9", start, [{ kind: "ended", outcome }], "c");
    },
  ],
  [
    "a run that is begun with what is not its start",
    "P6",
    /^was begun with token \d+, which is not its start$/,
    (s) => void s.commit(X, "w2/d9", s.start(X, { plan: [] }) - 1, [END]),
  ],
  [
    "a pass that never claims its run",
    "P6",
    /^has commits of w1\/d9, which never claimed it$/,
    (s) => {
      const start = s.start(X, { plan: [] });
      s.commit(X, "w2/d9", start, [BEAT]);
      s.commit(X, "w1/d9", start, [END]);
    },
  ],
  [
    "a takeover with another token than that of who is taken over",
    "P6",
    /^was taken over with token \d+, not \d+$/,
    (s) => {
      s.commit(X, "w2/d9", s.start(X, { plan: [] }), [BEAT]);
      const claim = { kind: "claimed", worker: "w1", because: "poke" } as const;
      s.commit(X, "w1/d9", s.ready(X, { poke: "x" }), [claim, END]);
    },
  ],
  [
    "a run that diverges although nobody has changed its code",
    "P7",
    /^diverged although its code is the same$/,
    (s) => void s.files["faults"]?.splice(0, 1),
  ],
  [
    "a run that diverges and does not say how",
    "P7",
    /^diverged and does not say how$/,
    (s) => {
      const start = s.start(X, { plan: [] });
      const paused = { kind: "paused", reason: "", details: { code: "replay-diverged" } } as const;
      s.commit(X, "w2/d9", start, [paused]);
      const claim = { kind: "claimed", worker: "w1", because: "repair" } as const;
      s.commit(X, "w1/d9", s.ready(X, { repair: { by: "x", reason: "" } }), [claim, END]);
    },
  ],
  [
    "an event that was consumed otherwise than it is stored",
    "published",
    /^consumed event 2, which is not what is published$/,
    (s) => consumes(s, [[2, 9]]),
  ],
  [
    "an event that is consumed twice",
    "published",
    /^consumed event 2 twice$/,
    (s) =>
      consumes(
        s,
        [2, 2].map((sequence) => [sequence, 0]),
      ),
  ],
  [
    "an event that is left out",
    "published",
    /^consumed event 3 and never 2$/,
    (s) => consumes(s, [[3, 1]]),
  ],
  [
    "events that are consumed in another order",
    "published",
    /^consumed events of one kind in another order$/,
    (s) =>
      consumes(s, [
        [3, 1],
        [2, 0],
      ]),
  ],
  [
    "a timer for a run that has ended",
    "scheduled",
    /^is completed, and has a timer for another wait$/,
    (s) => void s.timer("chaos-job/job", 200_000),
  ],
  [
    "a balance that does not add up because a timer is gone",
    "scheduled",
    /^does not add up: /,
    (s) => {
      waiting(s, X, FOREVER);
      s.remove(at(s, X, "timer"));
    },
  ],
];

/** A run waits for events one after the other; the story has those of key "other" as 2 and 3. */
function consumes(story: Story, events: (readonly [sequence: number, n: number])[]): void {
  story.now = 80_000;
  story.publish("chaos.paid", { key: "other", n: 1 });
  const condition = {
    kind: "event",
    name: "chaos.paid",
    where: { key: "other" },
    after: 0,
  } as const;
  const start = story.start(X, { plan: [] });
  for (const [i, [sequence, n]] of events.entries()) {
    const key = `w${i} waitForEvent`;
    const data = { key: "other", n };
    const event = {
      kind: "event",
      name: "chaos.paid",
      data,
      sequence,
      publishedAt: BEGIN,
    } as const;
    story.commit(X, "w2/d9", start, [
      { kind: "wait-opened", key, at: i, condition },
      { kind: "wait-settled", key, leaf: 0, outcome: event },
    ]);
  }
  story.commit(X, "w2/d9", start, [END]);
}

for (const [title, rule, text, tell] of LIES)
  test(`the judge finds ${title}`, (t) => {
    const story = honestStory();
    tell(story);
    const judge = judged(story);
    const found = judge.violations.filter((each) => each.rule === rule);
    t.true(
      found.some((each) => text.test(each.text)),
      report(judge),
    );
  });

test("the judge knows nothing of a chaos run in which nothing happened", (t) => {
  const verdicts = judged(new Story()).verdicts();
  t.deepEqual(
    verdicts,
    Object.keys(RULES).map((rule) => ({ rule, verdict: "not known" })),
  );
});
