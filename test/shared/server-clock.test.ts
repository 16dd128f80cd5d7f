import test from "ava";
import fc from "fast-check";
import { SteppingClock } from "../../shared/clock.ts";
import { ServerClock } from "../../shared/server-clock.ts";

function clocks(): { local: SteppingClock; server: ServerClock } {
  const local = new SteppingClock(1_000);
  return { local, server: new ServerClock(() => local.monotonic()) };
}

test("a clock that has learned nothing knows no time: nothing is due, and no sleep can be counted", (t) => {
  const { server } = clocks();
  t.is(server.earliest(), Number.NEGATIVE_INFINITY);
  t.is(server.latest(), Number.POSITIVE_INFINITY);
});

test("an answer bounds the server's time by when it was asked for and when it came", (t) => {
  const { local, server } = clocks();
  local.advance(40);
  server.learn(5_000, 1_000, 1_040); // the server wrote 5,000 somewhere between
  t.deepEqual([server.earliest(), server.latest()], [5_000, 5_040]);
  local.advance(100);
  t.deepEqual([server.earliest(), server.latest()], [5_100, 5_140]);
});

test("further answers narrow the bounds, and time without one widens them", (t) => {
  const { local, server } = clocks();
  local.advance(40);
  server.learn(5_000, 1_000, 1_040);
  local.advance(10);
  server.learn(5_035, 1_040, 1_050);
  t.deepEqual([server.earliest(), server.latest()], [5_035, 5_045]);
  server.widen(2);
  t.deepEqual([server.earliest(), server.latest()], [5_033, 5_047]);
});

test("when the server's clock is set, the new answer holds", (t) => {
  const { local, server } = clocks();
  server.learn(5_000, 1_000, 1_000);
  server.learn(90_000, 1_000, 1_000);
  t.deepEqual([server.earliest(), server.latest()], [90_000, 90_000]);
  local.advance(10);
  server.learn(7_000, 1_000, 1_010);
  t.deepEqual([server.earliest(), server.latest()], [7_000, 7_010]);
});

test("whatever the delays of questions and answers, the server's time is within the bounds", (t) => {
  const exchange = fc.record({ pause: fc.nat(5_000), there: fc.nat(300), back: fc.nat(300) });
  fc.assert(
    fc.property(fc.array(exchange), fc.integer(), fc.nat(10), (exchanges, offset, drift) => {
      const { local, server } = clocks();
      for (const { pause, there, back } of exchanges) {
        local.advance(pause);
        server.widen(drift);
        const askedAt = local.monotonic();
        local.advance(there);
        const answer = local.monotonic() + offset;
        local.advance(back);
        server.learn(answer, askedAt, local.monotonic());
        const truth = local.monotonic() + offset;
        t.true(server.earliest() <= truth && truth <= server.latest());
        t.true(server.latest() - server.earliest() <= there + back);
      }
      return true;
    }),
  );
});
