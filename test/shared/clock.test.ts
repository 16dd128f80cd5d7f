import { mock } from "node:test";
import test from "ava";
import fc from "fast-check";
import { SteppingClock, systemClock } from "../../shared/clock.ts";
import { until } from "../helpers/until.ts";

test("a stepping clock stands still until it is told to advance", (t) => {
  const clock = new SteppingClock(500);
  t.deepEqual([clock.now(), clock.monotonic(), clock.nextDue()], [500, 500, undefined]);
  clock.advance(10);
  t.deepEqual([clock.now(), clock.monotonic()], [510, 510]);
  t.is(new SteppingClock().now(), 0);
});

test("timers fire in order of their due times, and those of one time in order of being set", (t) => {
  const clock = new SteppingClock();
  const fired: string[] = [];
  const set = (name: string, delayMs: number): void => {
    clock.after(delayMs, () => fired.push(`${name}@${clock.now()}`));
  };
  set("late", 30);
  set("first", 10);
  set("second", 10);
  set("past", -5);
  t.is(clock.nextDue(), 0);
  clock.advance(20);
  t.deepEqual(fired, ["past@0", "first@10", "second@10"]);
  t.deepEqual([clock.now(), clock.nextDue()], [20, 30]);
  clock.advance(10);
  t.is(fired.at(-1), "late@30");
});

test("a timer that is set while time moves on fires when its time is inside the step", (t) => {
  const clock = new SteppingClock();
  const fired: number[] = [];
  const tick = (): void => {
    fired.push(clock.now());
    clock.after(10, tick);
  };
  clock.after(10, tick);
  clock.advance(35);
  t.deepEqual(fired, [10, 20, 30]);
  t.is(clock.nextDue(), 40);
});

test("a canceled timer does not fire, and canceling is harmless afterwards", (t) => {
  const clock = new SteppingClock();
  const fired: string[] = [];
  const cancelLater = clock.after(20, () => fired.push("later"));
  clock.after(10, cancelLater);
  const cancelFired = clock.after(5, () => fired.push("fired"));
  clock.advance(30);
  cancelFired();
  cancelLater();
  t.deepEqual(fired, ["fired"]);
});

test("whatever timers are set and however time moves, each fires once and not before its time", (t) => {
  fc.assert(
    fc.property(fc.array(fc.nat(50)), fc.array(fc.nat(20)), (delays, steps) => {
      const clock = new SteppingClock();
      const fired: number[] = [];
      for (const delay of delays) clock.after(delay, () => fired.push(clock.now() - delay));
      for (const step of [...steps, 0]) clock.advance(step);
      t.true(fired.every((late) => late === 0));
      t.is(fired.length, delays.filter((delay) => delay <= clock.now()).length);
      return true;
    }),
  );
});

test.serial(
  "the clock of the process goes on, and its timers fire and can be canceled",
  async (t) => {
    const before = systemClock.monotonic();
    const wall = systemClock.now();
    const fired: string[] = [];
    systemClock.after(-5, () => fired.push("past"));
    systemClock.after(1, () => fired.push("soon"));
    const cancelSoon = systemClock.after(1, () => fired.push("canceled"));
    const cancelFar = systemClock.after(2 ** 40, () => fired.push("longer than a timer takes"));
    cancelSoon();
    await until(() => fired.length === 2);
    t.deepEqual(fired, ["past", "soon"]);
    cancelFar();
    t.true(systemClock.monotonic() > before);
    t.true(Math.abs(systemClock.now() - wall) < 60_000);
  },
);

test.serial("a timer longer than a plain one takes fires when its whole time is over", (t) => {
  mock.timers.enable({ apis: ["setTimeout"] });
  t.teardown(() => mock.timers.reset());
  let hasFired = false;
  systemClock.after(2 ** 32, () => {
    hasFired = true;
  });
  const part = 2 ** 31 - 1;
  for (let i = 0; i < 2; i++) mock.timers.tick(part);
  t.false(hasFired);
  mock.timers.tick(2);
  t.true(hasFired);
});
