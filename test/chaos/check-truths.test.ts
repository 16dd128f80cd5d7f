import test from "ava";
import { encodeStart } from "../../shared/messages.ts";
import { GARBAGE } from "../helpers/forgery.ts";
import { report } from "./check/report.ts";
import { honestStory, lease } from "./honest-story.ts";
import { broken, FOREVER, judged, NO_STEP, SLEEP, waiting } from "./judged-story.ts";
import { BEGIN, type Fields, type Story } from "./story.ts";

/** What may happen, and is no violation. */
const TRUTHS: [title: string, tell: (story: Story) => void][] = [
  [
    "a start of unknown outcome that was not stored",
    (s) => s.operation("unknown", { op: "start", taskName: "t", runId: "gone", payload: 1 }),
  ],
  [
    "a start whose client was killed before the answer, and that was stored",
    (s) => {
      const start = s.start("chaos-job/x", { value: 5 });
      s.files["operations-client-1"]?.pop();
      s.step("chaos-job/x", "main", undefined, { process: "worker-2.0" });
      const output = { value: 5 };
      const outcome = { status: "completed", output } as const;
      s.commit("chaos-job/x", "w2/r9", start, [{ kind: "ended", outcome }]);
    },
  ],
  [
    "an event of unknown outcome that was published again and is there twice",
    (s) => {
      s.publish("again", 1);
      const edge = s.files["operations-client-1"]?.pop();
      s.files["operations-client-1"]?.push({ ...edge, edge: "unknown" });
      s.publish("again", 1);
    },
  ],
  [
    "a step of a worker that stood still exactly before it",
    (s) => {
      const fault = { id: 9, family: "pause", kind: "stop", target: "worker-1" };
      s.now = 11_005;
      s.line("faults", { ...fault, edge: "begin" });
      s.now = 18_000;
      s.line("faults", { ...fault, edge: "end" });
      s.effect("chaos-plan/plan", "later", "begin", { token: "0" });
    },
  ],
  [
    "a step that is executed again because its worker died before the checkpoint",
    (s) => {
      const start = s.start("chaos-plan/x", { plan: [{ op: "step", name: "a" }] });
      s.step("chaos-plan/x", "a", 0, { value: "x/a" });
      const claim = s.commit("chaos-plan/x", "w2/d9", start, [
        { kind: "claimed", worker: "w2", because: "takeover" },
      ]);
      s.step("chaos-plan/x", "a", claim, { process: "worker-2.0", value: "x/a" });
      s.commit("chaos-plan/x", "w2/d9", start, [
        { kind: "step-completed", key: "s0 a", ...NO_STEP, value: "x/a" },
        { kind: "ended", outcome: { status: "completed", output: { results: ["x/a"] } } },
      ]);
    },
  ],
  [
    "an event that somebody replayed",
    (s) => {
      s.publish("again", 1);
      const [stored] = (s.streams["contrail_EVENTS"] ?? []).slice(-1);
      const detail = { sequences: [stored?.sequence ?? 0] };
      const fault = {
        id: 9,
        family: "duplicate",
        kind: "replay-events",
        target: "contrail_EVENTS",
      };
      s.line("faults", { ...fault, edge: "begin", detail });
      s.publish("again", 1);
      s.files["operations-client-1"]?.splice(-2);
    },
  ],
  [
    "two workers that are both told to be the first, by a server that was killed meanwhile",
    (s) => {
      s.now = 2_002;
      const fault = { id: 9, family: "server", kind: "kill-server", target: "server-1" };
      s.line("faults", { ...fault, edge: "begin" });
      s.now = 2_005;
      s.step("chaos-job/job", "main", undefined, { process: "worker-2.0", value: 3 });
    },
  ],
  [
    "a slot of a worker that does not hear from its servers",
    (s) => {
      const fault = { id: 9, family: "network", kind: "one-way-worker", target: "worker-1" };
      staleSlot(s, fault, 50);
    },
  ],
  [
    "a slot of a worker whose packets were lost, until TCP has sent them again",
    (s) => {
      const fault = { id: 9, family: "network", kind: "partition-worker", target: "worker-1" };
      staleSlot(s, { ...fault, detail: { madeBy: "namespace" } }, 7_500);
    },
  ],
  [
    "whatever somebody has put where starts are",
    (s) => {
      for (const [i, body] of Object.values(GARBAGE).entries()) {
        const sequence = s.message(`chaos-plan/garbage-${i}`, "start", body);
        const target = `contrail.log.0.chaos-plan.garbage-${i}.token.start`;
        const fault = { id: 90 + i, family: "garbage", kind: "garbage-of-nobody", target };
        s.line("faults", { ...fault, edge: "begin", detail: { sequence } });
      }
    },
  ],
  [
    "a start that a server stored twice while its disk was full, and that was executed twice",
    (s) => {
      const body = encodeStart({
        ...{ input: { value: 5 }, events: { after: 0, created: "then" }, nonce: "n", by: "client" },
      });
      const guard: [string, string][] = [["Nats-Expected-Last-Subject-Sequence", "0"]];
      const asked = { op: "start", taskName: "chaos-job", runId: "x", payload: { value: 5 } };
      const fault = { id: 9, family: "disk", kind: "full-disk", target: "server-3" };
      s.operation("ok", asked);
      s.line("faults", { ...fault, edge: "begin" });
      for (const process of ["worker-1.0", "worker-2.0"]) {
        const start = s.message("chaos-job/x", "start", body, guard);
        s.step("chaos-job/x", "main", undefined, { process });
        const outcome = { status: "completed", output: { value: 5 } } as const;
        s.commit("chaos-job/x", `${process}/r9`, start, [{ kind: "ended", outcome }]);
      }
      s.line("faults", { ...fault, edge: "end" });
    },
  ],
  [
    "a run that was begun by a token in the place of its start, which somebody had taken",
    (s) => {
      s.start("chaos-job/x", { value: 5 });
      const fault = { id: 9, family: "tamper", kind: "delete-consumer", target: "contrail_LOG_0" };
      s.line("faults", { ...fault, edge: "begin" });
      s.line("faults", { ...fault, edge: "end" });
      const token = s.wait(9_000).ready("chaos-job/x", { poke: "wake-lost" }, 0);
      s.step("chaos-job/x", "main", undefined, { process: "worker-2.0" });
      const outcome = { status: "completed", output: { value: 5 } } as const;
      s.commit("chaos-job/x", "w2/r9", token, [
        { kind: "claimed", worker: "w2", because: "poke" },
        { kind: "ended", outcome },
      ]);
    },
  ],
  ["a token that comes twice", (s) => void s.ready("chaos-plan/plan", { timer: BEGIN })],
  ["a sleep that is not over", (s) => void waiting(s, "chaos-plan/x", FOREVER)],
];

/** A run waits while its worker is cut off for 8 s, and is still shown in its slot so long behind the healing. */
function staleSlot(s: Story, fault: Fields, backoffMs: number): void {
  s.now = 11_000;
  const start = s.start("chaos-plan/x", { plan: [] });
  lease(s, ["chaos-plan", "x"]);
  s.line("faults", { ...fault, edge: "begin" });
  s.wait(20).commit("chaos-plan/x", "w1/d9", start, [
    { kind: "wait-opened", key: SLEEP, at: 0, condition: FOREVER },
    { kind: "waiting" },
  ]);
  s.timer("chaos-plan/x", 9_999_999);
  s.listed.push({ taskName: "chaos-plan", runId: "x", status: "waiting", why: "It waits." });
  s.wait(8_000);
  lease(s, ["chaos-plan", "x"]);
  s.line("faults", { ...fault, edge: "end" });
  s.wait(backoffMs);
  lease(s, ["chaos-plan", "x"]);
  lease(s);
}

for (const [title, tell] of TRUTHS)
  test(`the judge bears ${title}`, (t) => {
    const story = honestStory();
    tell(story);
    const judge = judged(story);
    t.deepEqual(broken(judge), [], report(judge));
  });
