import test, { type ExecutionContext } from "ava";
import { Lead, readRecord } from "../../engine/lead.ts";
import { type Clock, systemClock } from "../../shared/clock.ts";
import { connectNats, type NatsLink } from "../../shared/jetstream/connection.ts";
import { KvBucket } from "../../shared/jetstream/kv.ts";
import { LEAD_TTL_MS } from "../../shared/limits.ts";
import { silentLog } from "../../shared/logger.ts";
import { type Namespace, namespaceOf } from "../helpers/engine.ts";
import { forEachTopology, type TestTopology } from "../helpers/nats.ts";
import { until } from "../helpers/until.ts";

/** One engine's lead, and whether its term is on. */
class Candidate {
  readonly lead: Lead;
  readonly link: NatsLink;
  terms = 0;
  isServing = false;
  /** Ends the next terms at once, as an error would. */
  fails = false;

  constructor(link: NatsLink, { names }: Namespace, name: string, clock: Clock = systemClock) {
    this.link = link;
    this.lead = new Lead({
      link,
      names,
      clock,
      log: silentLog,
      name,
      serve: (signal) => this.#serve(signal),
    });
  }

  async #serve(signal: AbortSignal): Promise<void> {
    this.terms++;
    if (this.fails) throw new Error("cannot serve");
    this.isServing = true;
    await new Promise<void>((resolve) => {
      signal.addEventListener("abort", () => resolve(), { once: true });
    });
    this.isServing = false;
  }
}

/** A clock of a process that is paused: its timers do not fire, and its time goes on. */
class PausableClock implements Clock {
  isPaused = false;
  #late: (() => void)[] = [];

  now(): number {
    return systemClock.now();
  }

  monotonic(): number {
    return systemClock.monotonic();
  }

  after(delayMs: number, fire: () => void): () => void {
    let isOver = false;
    const cancel = systemClock.after(delayMs, () => {
      const run = (): void => {
        if (!isOver) fire();
      };
      if (this.isPaused) this.#late.push(run);
      else run();
    });
    return () => {
      isOver = true;
      cancel();
    };
  }

  resume(): void {
    this.isPaused = false;
    for (const fire of this.#late.splice(0)) fire();
  }
}

async function candidate(
  t: ExecutionContext,
  topology: TestTopology,
  at: Namespace,
  name: string,
  clock?: Clock,
): Promise<Candidate> {
  const link = await connectNats({ servers: topology.urls });
  const one = new Candidate(link, at, name, clock);
  t.teardown(async () => {
    await one.lead.close();
    await link.close();
  });
  one.lead.start();
  return one;
}

forEachTopology((title, start, inTurn) => {
  let topology: TestTopology;

  test.before(async () => {
    topology = await start();
  });
  test.after.always(() => topology?.stop());

  test(
    `${title}: one of two engines leads; closing it hands the lead over at once`,
    inTurn(async (t) => {
      const at = await namespaceOf(t, topology);
      const [a, b] = [await candidate(t, topology, at, "a"), await candidate(t, topology, at, "b")];
      await until(() => a.isServing || b.isServing);
      const [first, second] = a.isServing ? [a, b] : [b, a];
      const bucket = new KvBucket(at.link, at.names.engineBucket);
      const entry = await bucket.get("lead", { leader: true });
      t.is(entry && readRecord(entry)?.engine, first.lead.id);
      t.false(second.lead.isLeading);
      await first.lead.close();
      t.false(first.isServing);
      await until(() => second.isServing, { withinMs: LEAD_TTL_MS / 2 });
      t.is(second.terms, 1);
    }),
  );

  test(
    `${title}: a lead is renewed, and runs out when its engine is gone`,
    inTurn(async (t) => {
      const at = await namespaceOf(t, topology);
      const a = await candidate(t, topology, at, "a");
      await until(() => a.isServing);
      const bucket = new KvBucket(at.link, at.names.engineBucket);
      const revision = async (): Promise<number> => (await bucket.entry("lead"))?.revision ?? 0;
      const first = await revision();
      await until(async () => (await revision()) > first + 1);
      t.is(a.terms, 1);
      const b = await candidate(t, topology, at, "b");
      await a.link.close(); // as by SIGKILL: nothing is released
      await until(() => b.isServing, { withinMs: 2 * LEAD_TTL_MS });
      await until(() => !a.isServing, { withinMs: LEAD_TTL_MS });
    }),
  );

  test(
    `${title}: a lead that no server takes away and nobody renews is taken`,
    inTurn(async (t) => {
      const at = await namespaceOf(t, topology);
      const bucket = new KvBucket(at.link, at.names.engineBucket);
      const record = { engine: "gone", name: "gone", since: new Date(0).toISOString() };
      await bucket.put("lead", Buffer.from(JSON.stringify(record))); // without a time to live
      const a = await candidate(t, topology, at, "a");
      await until(() => a.isServing, { withinMs: 3 * LEAD_TTL_MS });
      const entry = await bucket.get("lead", { leader: true });
      t.is(entry && readRecord(entry)?.engine, a.lead.id);
    }),
  );

  test(
    `${title}: an engine that was paused finds that it does not lead any more`,
    inTurn(async (t) => {
      const at = await namespaceOf(t, topology);
      const clock = new PausableClock();
      const a = await candidate(t, topology, at, "a", clock);
      await until(() => a.isServing);
      const b = await candidate(t, topology, at, "b");
      clock.isPaused = true;
      await until(() => b.isServing, { withinMs: 2 * LEAD_TTL_MS });
      t.true(a.isServing); // it does not know yet
      clock.resume();
      await until(() => !a.isServing, { withinMs: 1_000 });
      t.true(b.isServing);
      t.is(a.terms, 1);
    }),
  );

  test(
    `${title}: an engine whose term fails leaves the lead to others`,
    inTurn(async (t) => {
      const at = await namespaceOf(t, topology);
      const a = await candidate(t, topology, at, "a");
      await until(() => a.isServing);
      const b = await candidate(t, topology, at, "b");
      b.fails = true;
      await a.lead.close();
      await until(() => b.terms >= 1);
      const c = await candidate(t, topology, at, "c");
      await until(() => c.isServing);
      t.false(b.isServing);
    }),
  );
});

test("a lease that somebody else wrote is none", (t) => {
  const read = (text: string) => readRecord({ data: new TextEncoder().encode(text) });
  const record = { engine: "e", name: "n", since: "2026-01-01T00:00:00Z" };
  t.deepEqual(read(JSON.stringify(record)), record);
  for (const text of ["", "null", "1", "[]", "{}", JSON.stringify({ ...record, since: {} })])
    t.is(read(text), undefined, text);
});
