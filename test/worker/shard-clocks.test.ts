import test from "ava";
import { SteppingClock } from "../../shared/clock.ts";
import type { NatsLink } from "../../shared/jetstream/connection.ts";
import type { NamespaceSetup } from "../../shared/setup.ts";
import { Names } from "../../shared/subjects.ts";
import { ShardClocks } from "../../worker/shard-clocks.ts";

/** How far apart the bounds are after answers that took so long, and how many were asked for. */
async function read(...answersMs: number[]): Promise<{ width: number; asked: number }> {
  const clock = new SteppingClock(1_000);
  let asked = 0;
  const reader = {
    streamState: async () => {
      clock.advance(answersMs[asked++] ?? 40);
      return { answeredAtMs: 500_000 + clock.monotonic() };
    },
  };
  const setup = { shardCount: 1, names: new Names("contrail", 1) } as unknown as NamespaceSetup;
  const clocks = await ShardClocks.start({ reader } as unknown as NatsLink, setup, clock);
  clocks.close();
  return { width: clocks.of(0).width, asked };
}

test("a clock is read until its bounds are close, and not for ever", async (t) => {
  t.deepEqual(await read(1), { width: 1, asked: 1 });
  t.deepEqual(await read(40, 3, 0.5), { width: 0.5, asked: 3 });
  t.deepEqual(await read(40, 30, 20, 20, 25, 1), { width: 20, asked: 5 });
});
