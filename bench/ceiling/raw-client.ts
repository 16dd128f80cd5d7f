/** The process of a ceiling that does what clients do, over plain NATS. */
import { jetstream } from "@nats-io/jetstream";
import {
  arrivals,
  burst,
  closedLoops,
  type LoopOptions,
  type LoopResult,
  preciseNow,
} from "../loops.ts";
import { serveCalls } from "../processes/calls.ts";
import { orderOf } from "../tasks.ts";
import { fail, guard, RawConnection } from "./raw-connection.ts";
import {
  makeRawStreams,
  RAW_EVENTS,
  RAW_LIVE,
  RAW_PREFIX,
  type RawSetup,
  removeNamespace,
  removeRawStreams,
} from "./raw-streams.ts";

/** Where to connect and what to make. */
export interface RawClientSettings extends RawSetup {
  readonly servers: readonly string[];
  /** Removed when the process closes. Default: none. */
  readonly removes?: string | undefined;
}

/** How many raw writes are under way at once where only their number counts. */
const AT_ONCE = 256;
const STEP_COUNT = 10;
const CLAIM = "c".charCodeAt(0);
const WAIT = "w".charCodeAt(0);
/** An entry of a history: 100 bytes that are no end. */
const STEP = Buffer.alloc(100, "w");
const ORDER = Buffer.from(JSON.stringify(orderOf("order-1")));

let connection: RawConnection;
let settings: RawClientSettings;
let count = 0;
/** Called when a run has ended. */
const ends: Map<string, () => void> = new Map();
let waiting: { readonly run: Run; readonly body: Buffer }[] = [];

/** A run's name and the subject of its shard and name. */
interface Run {
  readonly name: string;
  readonly subject: string;
  readonly shard: number;
}

function newRun(): Run {
  const shard = count % settings.shards;
  const name = `r${count++}`;
  return { name, shard, subject: `${RAW_PREFIX}.${shard}.${name}.` };
}

/** What the process can be asked for. */
export class RawClientCalls {
  async start(options: RawClientSettings): Promise<void> {
    settings = options;
    connection = await RawConnection.open(options.servers, "bench raw client");
    await makeRawStreams(connection.nc, options);
    connection.nc.subscribe(`${RAW_LIVE}.*`, {
      callback: (error, message) => {
        if (error) return fail(error);
        const first = message.data[0];
        if (first === CLAIM || first === WAIT) return;
        const run = message.subject.slice(RAW_LIVE.length + 1);
        ends.get(run)?.();
        ends.delete(run);
      },
    });
    await connection.nc.flush();
  }

  /** Start to end, over and over. */
  loop(options: LoopOptions): Promise<LoopResult> {
    return closedLoops(options, () => toEnd("start", ORDER));
  }

  /** The writes of a run of ten steps, each awaited before the next. */
  stepsLoop(options: LoopOptions): Promise<LoopResult> {
    return closedLoops(options, async () => {
      const { subject } = newRun();
      await connection.store(`${subject}begin`, ORDER, guard(0));
      let last = 0;
      for (let i = 0; i <= STEP_COUNT; i++)
        last = await connection.store(`${subject}steps`, STEP, guard(last)); // not republished
    });
  }

  /** One write, awaited. */
  publishLoop(options: LoopOptions): Promise<LoopResult> {
    return closedLoops(options, async () => {
      await connection.store(`${newRun().subject}h`, STEP, guard(0));
    });
  }

  /** One write by the official client, awaited. */
  officialLoop(options: LoopOptions): Promise<LoopResult> {
    const official = jetstream(connection.nc);
    return closedLoops(options, async () => {
      const expect = { lastSubjectSequence: 0 };
      await official.publish(`${newRun().subject}h`, STEP, { expect });
    });
  }

  /** Starts so many runs at once; milliseconds until the last has ended. */
  async burst(runs: number): Promise<number> {
    const startedAt = performance.now();
    await burst({ count: runs }, () => toEnd("start", ORDER));
    return performance.now() - startedAt;
  }

  async sleepAll(sleep: { count: number; fromMs: number; toMs: number }): Promise<void> {
    await burst({ count: sleep.count }, () => {
      const body = Buffer.alloc(8);
      body.writeDoubleLE(Math.round(sleep.fromMs + Math.random() * (sleep.toMs - sleep.fromMs)));
      return toEnd("nap", body);
    });
  }

  /** Writes runs that wait for an event, with so many entries in their history. */
  async startWaiting(runs: { count: number; entries?: number }): Promise<void> {
    waiting = [];
    await burst({ count: runs.count, concurrency: AT_ONCE }, async () => {
      const run = newRun();
      let last = 0;
      for (let i = 0; i < Math.max(1, runs.entries ?? 0); i++)
        last = await connection.store(`${run.subject}h`, STEP, guard(last));
      const body = Buffer.alloc(24);
      body.writeDoubleLE(last, 8);
      body.writeDoubleLE(runs.entries ?? 0, 16);
      waiting.push({ run, body });
    });
  }

  async approveEach(): Promise<Float64Array> {
    const latencies: number[] = [];
    for (const one of waiting.splice(0)) {
      const startedAt = performance.now();
      await approve(one);
      latencies.push(performance.now() - startedAt);
    }
    return Float64Array.from(latencies);
  }

  async approveAll(): Promise<number> {
    const startedAt = performance.now();
    await Promise.all(waiting.splice(0).map(approve));
    return performance.now() - startedAt;
  }

  /** Starts that arrive at random and say when they were sent. */
  async arrivals(options: { perSecond: number; durationMs: number }): Promise<void> {
    await arrivals(options, () => {
      const body = Buffer.from(ORDER);
      body.writeDoubleLE(preciseNow(), 8);
      return toEnd("start", body);
    });
  }
}

/** Starts a run; resolves when its start is stored and its end was heard. */
function toEnd(kind: "start" | "nap", body: Uint8Array): Promise<void> {
  return new Promise((resolve) => {
    const { name, subject } = newRun();
    let isHalf = false;
    const half = (): void => {
      if (isHalf) resolve();
      isHalf = true;
    };
    ends.set(name, half);
    connection.publish(subject + kind, body, guard(0), half);
  });
}

function approve({ run, body }: { readonly run: Run; readonly body: Buffer }): Promise<void> {
  return new Promise((resolve) => {
    ends.set(run.name, resolve);
    connection.publish(`${RAW_EVENTS}.${run.shard}.${run.name}`, body, undefined, () => {});
  });
}

serveCalls(new RawClientCalls(), async () => {
  if (!connection || connection.nc.isClosed()) return;
  if (settings.removes !== undefined) {
    await removeRawStreams(connection.nc);
    await removeNamespace(connection.nc, settings.removes);
  }
  await connection.close();
});
