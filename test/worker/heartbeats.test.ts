import test from "ava";
import { SteppingClock } from "../../shared/clock.ts";
import { InvalidInputError, LimitExceededError } from "../../shared/errors.ts";
import { Heartbeats } from "../../worker/heartbeats.ts";

function made(): { clock: SteppingClock; recorded: unknown[]; beats: Heartbeats } {
  const clock = new SteppingClock();
  const recorded: unknown[] = [];
  const beats = new Heartbeats({ clock, record: (details) => recorded.push(details) });
  return { clock, recorded, beats };
}

test("the first heartbeat is recorded, and then the last of each second", (t) => {
  const { clock, recorded, beats } = made();
  for (let i = 0; i < 10; i++) {
    beats.beat(i);
    clock.advance(300);
  }
  t.deepEqual(recorded, [0, 3, 6, 9]);
  clock.advance(5_000);
  t.deepEqual(recorded, [0, 3, 6, 9], "nothing new was said");
});

test("the longer an attempt goes on, the less often its heartbeats are recorded", (t) => {
  const { clock, recorded, beats } = made();
  for (let i = 0; i < 100_000; i++) {
    beats.beat(i);
    clock.advance(1_000);
  }
  t.true(recorded.length > 400 && recorded.length < 1_000, `${recorded.length} entries`);
});

test("every heartbeat is told at once, and none after the end", (t) => {
  const { clock, recorded, beats } = made();
  let told = 0;
  beats.onBeat = () => told++;
  for (let i = 0; i < 3; i++) beats.beat(i);
  t.is(told, 3);
  beats.close();
  beats.beat(4);
  clock.advance(60_000);
  t.is(told, 3);
  t.deepEqual(recorded, [0], "what waits at the end is of no use any more");
});

test("details that cannot be stored, or are too large, are refused where they are given", (t) => {
  const { beats, recorded } = made();
  t.throws(() => beats.beat(() => 1), { instanceOf: InvalidInputError });
  t.throws(() => beats.beat("x".repeat(70_000)), {
    instanceOf: LimitExceededError,
    message: /have 7\d{4} bytes\. Expected at most 65536/,
  });
  t.deepEqual(recorded, []);
});
