import test from "ava";
import type { LeafCondition } from "../../shared/entries.ts";
import { EventsPosition } from "../../shared/events-position.ts";
import type { StreamState } from "../../shared/jetstream/reader.ts";
import type { WaitState } from "../../shared/run-state.ts";
import { Names } from "../../shared/subjects.ts";
import { whyEventsAreLost } from "../../worker/lost-events.ts";

const RUN = { taskName: "t", runId: "r", events: { after: 10, created: "then" } };
const EVENT: LeafCondition = { kind: "event", name: "x", after: 10 };
const SLEEP: LeafCondition = { kind: "sleep", dueAt: 1 };

/** Where the stream ends by the answers of its leaders, one after the other; the last one stays. */
async function reasonOf(
  answers: readonly (readonly [created: string, lastSequence: number])[],
  leaves: readonly LeafCondition[] = [EVENT],
  run: typeof RUN = RUN,
): Promise<{ reason: string | undefined; asked: number }> {
  let asked = 0;
  const streamState = async (): Promise<StreamState> => {
    const [created, lastSequence] = answers[Math.min(asked++, answers.length - 1)] ?? ["", 0];
    return { created, lastSequence } as StreamState;
  };
  const events = new EventsPosition({ streamState }, "EVENTS", () => 0);
  const wait: WaitState = {
    key: "w0 x",
    at: 1,
    condition: leaves[0] as LeafCondition,
    leaves,
    openedAt: 0,
    recorded: new Map(),
    recordedCount: 0,
  };
  const paused = await whyEventsAreLost({ events, names: new Names("ns", 1) }, run, [wait]);
  return { reason: paused?.reason, asked };
}

test("a stream that goes on from where the run began has lost nothing, and is asked once", async (t) => {
  t.deepEqual(await reasonOf([["then", 10]]), { reason: undefined, asked: 1 });
});

test("a stream that was created anew is another one", async (t) => {
  t.regex((await reasonOf([["now", 99]])).reason ?? "", /was created anew at now/);
});

test("a stream that has lost its end is believed when it says so a third time", async (t) => {
  const { reason, asked } = await reasonOf([["then", 9]]);
  t.regex(reason ?? "", /ends at event 9, and the run began behind event 10/);
  t.is(asked, 3);
});

test("a remembered end and a leader that was deposed pause no run", async (t) => {
  const answers = [
    ["then", 8],
    ["then", 9],
    ["then", 10],
  ] as const;
  t.deepEqual(await reasonOf(answers), { reason: undefined, asked: 3 });
});

test("a run that waits for no event, or began before positions were kept, asks nobody", async (t) => {
  t.deepEqual(await reasonOf([["now", 0]], [SLEEP]), { reason: undefined, asked: 0 });
  const old = { ...RUN, events: { after: 0, created: "" } };
  t.deepEqual(await reasonOf([["now", 0]], [EVENT], old), { reason: undefined, asked: 0 });
});
