/** Closed loops, bursts and arrivals. */
import test from "ava";
import { arrivals, burst, closedLoops } from "../../bench/loops.ts";
import { scenariosOf } from "../../bench/scenarios/index.ts";
import { orderOf } from "../../bench/tasks.ts";

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("closed loops never have more operations at once than loops", async (t) => {
  let now = 0;
  let most = 0;
  const options = { concurrency: 3, warmUpMs: 5, durationMs: 20 };
  const result = await closedLoops(options, async () => {
    most = Math.max(most, ++now);
    await turn();
    now--;
  });
  t.is(most, 3);
  t.true(result.total >= result.latenciesMs.length);
  t.is(result.tenths.length, 1);
});

test("an operation that fails ends all loops and is told", async (t) => {
  const options = { concurrency: 2, warmUpMs: 0, durationMs: 60_000 };
  const failing = closedLoops(options, async (index) => {
    await turn();
    if (index === 5) throw new Error("the sixth");
  });
  await t.throwsAsync(failing, { message: "the sixth" });
});

test("a burst operates exactly as often as asked", async (t) => {
  const seen: number[] = [];
  await burst({ count: 10, concurrency: 3 }, async (index) => {
    await turn();
    seen.push(index);
  });
  t.deepEqual(
    seen.sort((a, b) => a - b),
    Array.from({ length: 10 }, (_, index) => index),
  );
});

test("arrivals do not wait for each other", async (t) => {
  let now = 0;
  let most = 0;
  await arrivals({ perSecond: 100_000, durationMs: 1 }, async () => {
    most = Math.max(most, ++now);
    await turn();
    now--;
  });
  t.true(most > 1);
});

test("an order has 256 bytes as JSON, whatever its id", (t) => {
  for (const id of ["a", "order-123456"]) t.is(JSON.stringify(orderOf(id)).length, 256);
});

test("a scenario is chosen by its name or the beginning of it", (t) => {
  const names = (given: string[]): string[] => scenariosOf(given).map(({ name }) => name);
  t.deepEqual(names(["noop"]), ["noop-1", "noop-256"]);
  t.deepEqual(names(["steps-64", "noop-1"]), ["noop-1", "steps-64"]);
  t.true(names([]).length > 10);
  t.throws(() => names(["noo"]), { message: /There is no scenario "noo"\. There are: .*noop-1/ });
});
