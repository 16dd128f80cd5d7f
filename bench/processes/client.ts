/** The client process: starts runs, publishes events, awaits results, and takes the time of it. */
import { type Client, connect, type RunHandle } from "../../shared/index.ts";
import {
  arrivals,
  burst,
  closedLoops,
  type LoopOptions,
  type LoopResult,
  preciseNow,
} from "../loops.ts";
import * as tasks from "../tasks.ts";
import { serveCalls } from "./calls.ts";

/** Where the client is to connect. */
export interface ClientSettings {
  readonly servers: readonly string[];
  readonly namespace: string;
}

/** Closed loops over one task. */
export interface TaskLoop extends LoopOptions {
  readonly task: "noop" | "steps";
}

/** A number of sleeping runs. */
export interface Sleep {
  readonly count: number;
  /** Each sleeps so long: a random time between these. */
  readonly fromMs: number;
  readonly toMs: number;
}

/** Runs that wait for an event each. */
export interface WaitingRuns {
  readonly count: number;
  /** Steps in the history of each before it waits; none: the task `approval`. */
  readonly entries?: number;
}

/** Sleeping runs that become due within a second. */
export interface Wave {
  readonly count: number;
  readonly dueInMs: number;
}

/** Runs of `alternation`. */
export interface Alternations {
  readonly runs: number;
  readonly alternation: Omit<tasks.Alternation, "waitMs">;
  /** Each wait is a random time up to this. */
  readonly longestWaitMs: number;
}

/** How many starts are under way at once where only their number counts. */
const STARTS_AT_ONCE = 256;

let client: Client | undefined;
let waiting: { readonly orderId: string; readonly run: RunHandle<string> }[] = [];
let running: RunHandle<unknown>[] = [];
let count = 0;

function connected(): Client {
  if (!client) throw new Error("The client has not been started.");
  return client;
}

function newOrderId(): string {
  return `order-${process.pid}-${count++}`;
}

function between(from: number, to: number): number {
  return Math.round(from + Math.random() * (to - from));
}

/** What the client process can be asked for. */
export class ClientCalls {
  async start({ servers, namespace }: ClientSettings): Promise<void> {
    client = await connect({ servers, namespace });
  }

  /** Start to result, over and over. */
  loop({ task, ...options }: TaskLoop): Promise<LoopResult> {
    const order = tasks.orderOf("order-1");
    return closedLoops(options, async () => {
      if (task === "steps") {
        const run = await connected().start(tasks.steps, order);
        if ((await run.result()) !== 970) throw new Error("A run returned something else.");
        return;
      }
      const run = await connected().start(tasks.noop, order);
      const output = await run.result();
      if (output.note !== order.note) throw new Error("A run returned something else.");
    });
  }

  /** Starts sleeping runs at once and waits for their end. */
  async sleepAll({ count, fromMs, toMs }: Sleep): Promise<void> {
    await burst({ count }, async () => {
      const run = await connected().start(tasks.sleeper, { ms: between(fromMs, toMs) });
      await run.result();
    });
  }

  /** Starts runs that come to wait for an event. */
  async startWaiting({ count, entries }: WaitingRuns): Promise<void> {
    waiting = [];
    await burst({ count, concurrency: STARTS_AT_ONCE }, async () => {
      const orderId = newOrderId();
      const run =
        entries === undefined
          ? await connected().start(tasks.approval, { orderId })
          : await connected().start(tasks.longHistory, { orderId, entries });
      waiting.push({ orderId, run });
    });
  }

  /** Publishes the events one at a time, each when the run before has ended; times of each. */
  async approveEach(): Promise<Float64Array> {
    const latencies: number[] = [];
    for (const { orderId, run } of waiting.splice(0)) {
      const startedAt = performance.now();
      const published = connected().publish("order.approved", { orderId });
      if ((await run.result()) !== orderId) throw new Error("A run got another run's event.");
      latencies.push(performance.now() - startedAt);
      await published;
    }
    return Float64Array.from(latencies);
  }

  /** Publishes all events at once; milliseconds until the last run has ended. */
  async approveAll(): Promise<number> {
    const startedAt = performance.now();
    await Promise.all(
      waiting.splice(0).map(async ({ orderId, run }) => {
        await connected().publish("order.approved", { orderId });
        await run.result();
      }),
    );
    return performance.now() - startedAt;
  }

  /** Runs one parent; milliseconds to its result, and how often it was claimed after its start. */
  async runParent(input: tasks.Parent): Promise<{ totalMs: number; claims: number }> {
    const startedAt = performance.now();
    const run = await connected().start(tasks.parent, input);
    const ended = await run.result();
    const totalMs = performance.now() - startedAt;
    if (ended !== input.children) throw new Error(`Only ${ended} children have ended.`);
    const { state } = await run.view();
    return { totalMs, claims: state.claims };
  }

  /** Starts runs that sleep until a time far away. */
  async startSleepers({ count, due }: { count: number; due: number }): Promise<void> {
    await burst({ count, concurrency: STARTS_AT_ONCE }, async () => {
      await connected().start(tasks.longSleeper, { due });
    });
  }

  /** Starts sleeping runs that become due evenly within one second; when the first is due. */
  async startWave({ count, dueInMs }: Wave): Promise<number> {
    running = [];
    const first = Date.now() + dueInMs;
    await burst({ count, concurrency: STARTS_AT_ONCE }, async (index) => {
      const due = first + (index / count) * 1_000;
      running.push(await connected().start(tasks.longSleeper, { due }));
    });
    return first;
  }

  /** Starts runs that alternate work and waiting; resolves when all starts are stored. */
  async startAlternations({ runs, alternation, longestWaitMs }: Alternations): Promise<void> {
    running = [];
    await burst({ count: runs, concurrency: STARTS_AT_ONCE }, async () => {
      const waitMs = Array.from({ length: alternation.rounds }, () => between(0, longestWaitMs));
      const run = await connected().start(tasks.alternation, { ...alternation, waitMs });
      running.push(run);
    });
  }

  /** Waits for what was started last. */
  async awaitStarted(): Promise<void> {
    await Promise.all(running.splice(0).map((run) => run.result()));
  }

  /** Fulfilments that arrive at random; each is approved after a while. Resolves with their number. */
  async fulfilments(options: { perSecond: number; durationMs: number }): Promise<number> {
    let started = 0;
    await arrivals(options, async () => {
      started++;
      await fulfilment(between(20, 500));
    });
    return started;
  }

  /** Fulfilments in closed loops, with hardly any waiting: how many this machine can do. */
  async fulfilmentLoop(options: LoopOptions): Promise<number> {
    const { perSecond } = await closedLoops(options, () => fulfilment(0));
    return perSecond;
  }

  /** How many durable slots the leases show as held. */
  async heldDurableSlots(): Promise<number> {
    const leases = await connected().leases();
    return leases.reduce((sum, { pool, held }) => sum + (pool === "durable" ? held.length : 0), 0);
  }
}

async function fulfilment(waitMs: number): Promise<void> {
  const orderId = newOrderId();
  const input = { orderId, askedAt: preciseNow(), skus: ["a", "b"], holdMs: waitMs * 3 };
  const run = await connected().start(tasks.fulfil, input);
  if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
  await connected().publish("order.approved", { orderId });
  if ((await run.result()) !== "done") throw new Error("A fulfilment expired.");
}

serveCalls(new ClientCalls(), async () => client?.close());
