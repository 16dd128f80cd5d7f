import test from "ava";
import { fateOf, type GroupProgress } from "../../engine/group-progress.ts";
import type { RunPicture } from "../../engine/run-pictures.ts";
import { judgeWake, type Surroundings } from "../../engine/wake-source.ts";

const run: RunPicture = {
  prefix: "ns.log.0.t.r",
  isChild: false,
  startSequence: 10,
  status: "waiting",
  tail: 20,
  since: 0,
  missing: [],
  registered: ["timer"],
  registeredAt: 21,
  tokens: [],
};
/** Everything up to 30 was delivered, everything up to 15 acknowledged. */
const progress: GroupProgress = {
  deliveredTo: 30,
  acknowledgedTo: 15,
  held: 2,
  deliveries: 9,
  waitingRequests: 1,
};
const alone: Surroundings = { progress, holder: undefined, answeredAt: 0 };
const judged = (changes: Partial<RunPicture>, around: Partial<Surroundings> = {}): string => {
  const verdict = judgeWake({ ...run, ...changes }, { ...alone, ...around });
  if (verdict.kind === "sure") return `${verdict.as} by ${verdict.source}`;
  return verdict.kind === "lost" ? `lost: ${verdict.reason}` : verdict.kind;
};

test("a group's consumer tells what becomes of a token", (t) => {
  t.is(fateOf(31, progress), "deliverable");
  t.is(fateOf(30, progress), "held");
  t.is(fateOf(16, progress), "held");
  t.is(fateOf(15, progress), "gone");
  t.is(fateOf(20, { ...progress, held: 0 }), "gone");
  t.is(fateOf(1, undefined), "deliverable", "whoever creates the consumer is delivered everything");
});

test("a run that waits is woken by what is registered behind its commit", (t) => {
  t.is(judged({}), "waiting by timer");
  t.is(judged({ registered: ["timer", "wait"] }), "waiting by timer and wait");
  t.is(judged({ registered: ["wait"], missing: ["timer"] }), "lost: no-timer");
  t.is(judged({ missing: ["wait"] }), "lost: no-wait");
  t.is(judged({ registered: [], missing: ["timer", "wait"] }), "lost: no-registration");
  t.is(judged({ registered: [] }), "lost: no-registration", "it waits for nothing");
});

test("a run that waits is woken by a token that answers it, unless that was acknowledged", (t) => {
  t.is(judged({ tokens: [31], missing: ["timer"] }), "waiting by token");
  t.is(judged({ tokens: [25], missing: ["timer"] }), "unclear");
  t.is(judged({ tokens: [25] }, { progress: { ...progress, held: 0 } }), "lost: no-token");
  t.is(
    judged({ tokens: [25], registeredAt: 26 }, { progress: { ...progress, held: 0 } }),
    "waiting by timer",
    "it was registered again behind the token",
  );
  t.is(judged({}, { answeredAt: 20 }), "lost: no-token", "the engine's token was deleted");
  t.is(judged({}, { answeredAt: 12 }), "waiting by timer", "that was an earlier wait");
});

test("a run that is carried or queued needs its token, or a worker that shows a slot for it", (t) => {
  for (const status of ["running", "queued"] as const) {
    t.is(judged({ status, tokens: [10] }), "lost: no-token");
    t.is(judged({ status, tokens: [] }), "lost: no-token");
    t.is(judged({ status, tokens: [25] }), "unclear");
    t.is(judged({ status, tokens: [10, 31] }), `${status} by token`);
    t.is(judged({ status, tokens: [10] }, { progress: undefined }), `${status} by token`);
    t.is(judged({ status, tokens: [10] }, { holder: "w" }), "running by worker");
  }
  t.is(judged({ status: "paused" }), "paused by person");
});
