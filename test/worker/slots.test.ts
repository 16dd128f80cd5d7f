import { setImmediate } from "node:timers/promises";
import test from "ava";
import fc from "fast-check";
import { type Slot, SlotPool } from "../../worker/slots.ts";

const holder = (runId: string) => ({ taskName: "task", runId });
const names = (slots: readonly Slot[]): string[] => slots.map(({ runId }) => runId);

test("a pool grants as many slots as it has, and no more", (t) => {
  const pool = new SlotPool(2, () => {});
  const a = pool.tryAcquire(holder("a"), 7);
  t.deepEqual([a?.taskName, a?.runId, a?.since], ["task", "a", 7]);
  t.truthy(pool.tryAcquire(holder("b"), 8));
  t.is(pool.tryAcquire(holder("c"), 9), undefined);
  t.deepEqual([names(pool.held), pool.free], [["a", "b"], 0]);
  t.is(new SlotPool(0, () => {}).tryAcquire(holder("a"), 0), undefined);
});

test("a slot is given back once", (t) => {
  const pool = new SlotPool(2, () => {});
  const a = pool.tryAcquire(holder("a"), 0);
  pool.tryAcquire(holder("b"), 0);
  for (let i = 0; i < 3; i++) a?.release();
  t.deepEqual([names(pool.held), pool.free], [["b"], 1]);
});

test("who waits for a slot gets it in order, before anybody who asks later", async (t) => {
  const pool = new SlotPool(1, () => {});
  const first = await pool.acquire(holder("a"), () => 1);
  const waiting = ["b", "c"].map((runId) => pool.acquire(holder(runId), () => 2));
  t.is(pool.waiting, 2);
  first.release();
  t.is(pool.tryAcquire(holder("thief"), 3), undefined);
  t.deepEqual([names(pool.held), pool.waiting], [["b"], 1]);
  (await waiting[0])?.release();
  t.deepEqual(names(pool.held), ["c"]);
  const last = await waiting[1];
  t.is(last?.since, 2);
  last?.release();
  t.deepEqual([pool.free, pool.waiting], [1, 0]);
});

test("each grant and each release is told once", async (t) => {
  const told: number[] = [];
  const pool: SlotPool = new SlotPool(1, () => told.push(pool.held.length));
  const a = pool.tryAcquire(holder("a"), 0);
  pool.tryAcquire(holder("b"), 0);
  const waiting = pool.acquire(holder("c"), () => 0);
  t.deepEqual(told, [1]);
  a?.release();
  a?.release();
  t.deepEqual(told, [1, 1]);
  (await waiting).release();
  t.deepEqual(told, [1, 1, 0]);
});

test("whatever is asked and given back, in any order, no more slots are out than there are", async (t) => {
  await fc.assert(
    fc.asyncProperty(
      fc.nat(3),
      fc.array(fc.tuple(fc.nat(3), fc.nat(9))),
      async (capacity, calls) => {
        const pool = new SlotPool(capacity, () => t.true(pool.held.length <= capacity));
        const slots: Slot[] = [];
        const asked: string[] = [];
        const granted: string[] = [];
        for (const [index, [kind, pick]] of calls.entries()) {
          if (kind === 0) {
            const slot = pool.tryAcquire(holder(`${index}`), 0);
            if (slot) slots.push(slot);
          } else if (kind === 1) {
            asked.push(`${index}`);
            void pool
              .acquire(holder(`${index}`), () => 0)
              .then((slot) => {
                granted.push(slot.runId);
                slots.push(slot);
              });
          } else slots[pick % Math.max(slots.length, 1)]?.release();
          if (kind === 3) await setImmediate();
          t.true(pool.free >= 0 && pool.free + pool.held.length === capacity);
          t.true(pool.free === 0 || pool.waiting === 0, "a free slot while somebody waits");
        }
        for (let i = 0; i < asked.length + 1 && capacity > 0; i++) {
          await setImmediate();
          for (const slot of slots) slot.release();
        }
        await setImmediate();
        if (capacity > 0) t.deepEqual(granted, asked);
        return true;
      },
    ),
    { numRuns: 300 },
  );
});
