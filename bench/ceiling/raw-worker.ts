/**
 * The process of a ceiling that does what workers do, or what the engine does for events: the same
 * writes and reads over plain NATS, nothing else. It reads `bench-raw.<shard>.<run>.<kind>`:
 *
 * - `start`: one guarded write that ends the run, then the acknowledgement.
 * - `nap` (float64 ms): up to a second a timer here; else a guarded waiting commit and a schedule.
 * - `ready` (float64 due time or 0, waiting commit, entries to read): read, claim, end.
 */
import type { Msg } from "@nats-io/transport-node";
import { preciseNow } from "../loops.ts";
import { serveCalls } from "../processes/calls.ts";
import { fail, guard, RawConnection } from "./raw-connection.ts";
import { readHistory } from "./raw-history.ts";
import { RAW_EVENTS_STREAM, RAW_PREFIX, type RawKind, rawStream } from "./raw-streams.ts";

/** What the process is to do. */
export interface RawWorkerSettings {
  readonly servers: readonly string[];
  readonly shards: number;
  readonly kinds: readonly RawKind[];
  /** Match events, as the engine does. */
  readonly matches?: boolean;
  /** The body of a start holds, from its ninth byte, when it was sent: note how long it took. */
  readonly timesStarts?: boolean;
}

const CLAIM = Buffer.from("c");
const WAIT = Buffer.from("w");
const END = Buffer.from("e");
const SHORT_MS = 1_000;
/** The server wakes its scheduler this often, so timers are set that much early. */
const EARLY_MS = 250;

let connection: RawConnection;
let timesStarts = false;
const lateMs: number[] = [];
const startMs: number[] = [];

/** What the process can be asked for. */
export class RawWorkerCalls {
  async start({ servers, shards, kinds, ...settings }: RawWorkerSettings): Promise<void> {
    connection = await RawConnection.open(servers, "bench raw worker");
    timesStarts = settings.timesStarts ?? false;
    const takers = { start: takeStart, nap: takeNap, ready: takeReady } as const;
    for (let shard = 0; shard < shards; shard++)
      for (const kind of kinds)
        connection.pull(rawStream(shard), kind, (message) =>
          takers[kind](message, message.subject.slice(0, -kind.length)),
        );
    if (settings.matches) connection.pull(RAW_EVENTS_STREAM, "matcher", match);
  }

  takeLateness(): Float64Array {
    return Float64Array.from(lateMs.splice(0));
  }

  takeStarts(): Float64Array {
    return Float64Array.from(startMs.splice(0));
  }
}

function takeStart(message: Msg, run: string): void {
  if (timesStarts) startMs.push(preciseNow() - Buffer.from(message.data).readDoubleLE(8));
  const done = (): void => connection.acknowledge(message);
  connection.publish(`${run}h`, message.data, guard(0), done);
}

function takeNap(message: Msg, run: string): void {
  const dueAt = preciseNow() + Buffer.from(message.data).readDoubleLE();
  const isShort = dueAt - preciseNow() <= SHORT_MS;
  if (isShort) {
    atTime(dueAt, () =>
      connection.publish(`${run}h`, END, guard(0), () => connection.acknowledge(message)),
    );
    return;
  }
  connection.publish(`${run}h`, WAIT, guard(0), (sequence) => {
    const at = new Date(dueAt - EARLY_MS).toISOString();
    const headers = `NATS/1.0\r\nNats-Schedule: @at ${at}\r\nNats-Schedule-Target: ${run}ready\r\n\r\n`;
    const body = readyBody({ dueAt, sequence, entries: 0 });
    const done = (): void => connection.acknowledge(message);
    connection.publish(`${run}timer`, body, Buffer.from(headers), done);
  });
}

function takeReady(message: Msg, run: string): void {
  const body = Buffer.from(message.data);
  const dueAt = body.readDoubleLE(0);
  const sequence = body.readDoubleLE(8);
  const entries = body.readDoubleLE(16);
  const resume = (): void =>
    connection.publish(`${run}h`, CLAIM, guard(sequence), (claim) =>
      connection.publish(`${run}h`, END, guard(claim), () => connection.acknowledge(message)),
    );
  if (entries > 0) {
    const shard = Number(run.split(".")[1]);
    void readHistory(connection.nc, rawStream(shard), `${run}h`, entries).then(resume).catch(fail);
  } else if (dueAt > 0) atTime(dueAt, resume);
  else resume();
}

/** Calls back not before a time, and notes how late. */
function atTime(dueAt: number, then: () => void): void {
  const restMs = dueAt - preciseNow();
  if (restMs > 0) {
    setTimeout(() => atTime(dueAt, then), Math.ceil(restMs));
    return;
  }
  lateMs.push(-restMs);
  then();
}

/** The body of a `ready`. */
function readyBody(ready: { dueAt: number; sequence: number; entries: number }): Buffer {
  const body = Buffer.alloc(24);
  body.writeDoubleLE(ready.dueAt, 0);
  body.writeDoubleLE(ready.sequence, 8);
  body.writeDoubleLE(ready.entries, 16);
  return body;
}

/** The body of an event is that of the `ready` it leads to. */
function match(message: Msg): void {
  const [, shard, run] = message.subject.split(".");
  const subject = `${RAW_PREFIX}.${shard}.${run}.ready`;
  connection.publish(subject, message.data, undefined, () => connection.acknowledge(message));
}

serveCalls(new RawWorkerCalls(), async () => connection?.close());
