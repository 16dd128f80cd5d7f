import test from "ava";
import { SteppingClock } from "../../shared/clock.ts";
import { anyOf, event, sleep, sleepUntil } from "../../shared/conditions.ts";
import { ServerClock } from "../../shared/server-clock.ts";
import { openCondition } from "../../worker/open-condition.ts";
import type { PassRun } from "../../worker/pass-run.ts";

test("a sleep counts from when the code asked, however late it is opened, and an instant stays", async (t) => {
  const clock = new SteppingClock(1_000);
  const serverClock = new ServerClock(() => clock.monotonic());
  serverClock.learn(500_000, 1_000, 1_000);
  const run = { serverClock, operationId: (key: string) => key, eventsAfter: 7 };
  clock.advance(250);
  const at = new Date(900_000);
  const condition = anyOf(sleep("2s"), sleepUntil(at), event("paid"));
  const work = {
    kind: "wait",
    condition,
    askedAt: 1_050,
    firstOrdinal: 0,
    childrenBefore: 0,
  } as const;
  const opened = await openCondition(run as unknown as PassRun, "w0 any", work);
  t.deepEqual(opened, {
    condition: {
      kind: "anyOf",
      of: [
        [0, { kind: "sleep", dueAt: 502_050 }],
        [1, { kind: "sleep", dueAt: 900_000 }],
        [2, { kind: "event", name: "paid", after: 7 }],
      ],
    },
    settled: [],
  });
});
