import test from "ava";
import { SteppingClock } from "../../shared/clock.ts";
import type { DeliveredMessage } from "../../shared/jetstream/delivery.ts";
import type { PullRequest } from "../../shared/jetstream/puller.ts";
import { silentLog } from "../../shared/logger.ts";
import { Intake } from "../../worker/intake.ts";
import { type Slot, SlotPool } from "../../worker/slots.ts";

/** A source that answers by hand. */
class Source {
  readonly requests: PullRequest[] = [];
  readonly got: Slot[] = [];
  /** Tokens that were given back. */
  returned = 0;
  #received = 0;
  readonly #name: string;

  constructor(name: string) {
    this.#name = name;
  }

  get asked(): number {
    return this.requests.reduce((sum, { batch }) => sum + batch, 0) - this.#received;
  }

  /** Delivers a token that was asked for. */
  deliver(pending: number): void {
    const nak = (): void => void this.returned++;
    const token = { subject: this.#name, pending, nak } as Partial<DeliveredMessage>;
    this.#received++;
    this.requests.at(-1)?.onMessage(token as DeliveredMessage);
  }

  get tokenSource() {
    return {
      name: this.#name,
      puller: { request: (request: PullRequest) => void this.requests.push(request) },
      runOf: () => ({ taskName: this.#name, runId: String(this.#received) }),
      onToken: (_: DeliveredMessage, slot: Slot) => void this.got.push(slot),
      restore: async () => {},
    };
  }
}

class Desk {
  readonly clock = new SteppingClock();
  readonly sources: Source[];
  readonly pool: SlotPool;
  readonly intake: Intake;

  constructor(capacity: number, sources: number) {
    this.sources = Array.from({ length: sources }, (_, i) => new Source(`task-${i}`));
    this.pool = new SlotPool(capacity, () => this.intake.fill());
    this.intake = new Intake(
      { pool: this.pool, clock: this.clock, log: silentLog, expiresMs: 1_000 },
      this.sources.map(({ tokenSource }) => tokenSource),
    );
  }

  get asked(): number[] {
    return this.sources.map(({ asked }) => asked);
  }

  async open(): Promise<this> {
    this.intake.open();
    await Promise.resolve();
    return this;
  }

  async advance(ms: number): Promise<void> {
    this.clock.advance(ms);
    await Promise.resolve();
  }
}

const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);

test("idle sources are asked for one token each, one that brings some for what is free", async (t) => {
  const desk = await new Desk(10, 3).open();
  t.deepEqual(desk.asked, [1, 1, 1]);
  desk.sources[1]?.deliver(5);
  await desk.advance(0);
  t.deepEqual(desk.asked, [1, 9, 1]);
});

test("with one free slot and tokens everywhere one is asked for, each time at another source", async (t) => {
  const desk = await new Desk(1, 4).open();
  const [first, ...others] = desk.sources as [Source, ...Source[]];
  first.deliver(9);
  for (const other of others) other.deliver(9); // asked for while the slot was free
  await desk.advance(100);
  t.deepEqual(desk.asked, [0, 0, 0, 0]);
  t.is(sum(others.map(({ returned }) => returned)), 3);
  const served = [];
  for (let turn = 0; turn < 8; turn++) {
    desk.pool.held[0]?.release();
    await desk.advance(0);
    t.is(sum(desk.asked), 1, `turn ${turn}`);
    const index = desk.asked.indexOf(1);
    served.push(index);
    desk.sources[index]?.deliver(9);
    await desk.advance(200);
  }
  t.deepEqual(served.toSorted(), [0, 0, 1, 1, 2, 2, 3, 3]);
});

test("a source whose tokens others have taken keeps none of the others waiting", async (t) => {
  const desk = await new Desk(1, 2).open();
  const [taken, other] = desk.sources as [Source, Source];
  taken.deliver(9);
  other.deliver(9);
  await desk.advance(100);
  desk.pool.held[0]?.release();
  await desk.advance(0);
  t.is(sum(desk.asked), 1);
  await desk.advance(10);
  t.deepEqual(desk.asked, [1, 1]);
});

test("requests at a source without tokens take nothing from one that has some", async (t) => {
  const desk = await new Desk(10, 2).open();
  const [dry, full] = desk.sources as [Source, Source];
  dry.deliver(0);
  await desk.advance(0);
  t.deepEqual(desk.asked, [9, 1]);
  full.deliver(50);
  await desk.advance(0);
  t.true((desk.asked[1] ?? 0) >= 4, String(desk.asked));
});

test("a token that finds no slot gets the next one, and is given back when none is in a moment", async (t) => {
  const desk = await new Desk(1, 3).open();
  const [a, b, c] = desk.sources as [Source, Source, Source];
  a.deliver(0);
  b.deliver(0);
  await desk.advance(20);
  t.is(desk.pool.waiting, 1);
  a.got[0]?.release();
  t.deepEqual([b.got.length, b.returned, desk.pool.waiting], [1, 0, 0]);
  c.deliver(0);
  await desk.advance(24);
  t.is(c.returned, 0);
  await desk.advance(1);
  t.deepEqual([c.got.length, c.returned, desk.pool.waiting], [0, 1, 0]);
  b.got[0]?.release();
  t.is(desk.pool.free, 1);
});

test("an intake that closes gives back what waits for a slot, and what still comes", async (t) => {
  const desk = await new Desk(1, 3).open();
  const [a, b, c] = desk.sources as [Source, Source, Source];
  a.deliver(0);
  b.deliver(0);
  desk.intake.close();
  c.deliver(0);
  t.deepEqual([b.returned, c.returned], [1, 1]);
  a.got[0]?.release();
  await desk.advance(100);
  t.deepEqual([a.got.length, b.got.length, b.returned], [1, 0, 1]);
  t.is(desk.pool.free, 1);
});

test("slots that are given back fast have tokens before they are free, slow ones do not", async (t) => {
  const desk = await new Desk(2, 1).open();
  const [source] = desk.sources as [Source];
  const turn = async (ms: number): Promise<void> => {
    while (desk.asked[0]) source.deliver(99);
    await desk.advance(ms);
    desk.pool.held[0]?.release();
    await desk.advance(0);
  };
  for (let i = 0; i < 40; i++) await turn(1);
  t.true(desk.pool.waiting + (desk.asked[0] ?? 0) > 2, "asked in advance");
  t.true(desk.pool.waiting + (desk.asked[0] ?? 0) <= 5, "but not for more than come free");
  for (let i = 0; i < 10; i++) await turn(200);
  t.is(desk.pool.waiting, 0);
  t.true((desk.asked[0] ?? 0) <= 2);
});
