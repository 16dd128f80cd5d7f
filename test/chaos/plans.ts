/**
 * What the runs of the workload do. The input of a run is a program, so that whoever judges the run
 * can tell from the input alone what its output must be.
 */
import type { Random } from "./random.ts";

/** Input of a regular run. */
export interface Job {
  readonly value: number;
  readonly ms: number;
  /** So many attempts fail on purpose before one succeeds. */
  readonly failures: number;
  /** Whether it fails in the end. */
  readonly mode: "ok" | "fail";
}

/** Input of a durable run. */
export interface Plan {
  readonly plan: readonly Op[];
  /** Its last operation waits for what does not come while the chaos run lasts. */
  readonly never?: boolean;
  /** It throws after its last operation. */
  readonly end?: "fail";
}

/** One operation of a durable run. Names are unique within the run. */
export type Op =
  | { op: "step"; name: string; ms: number; failures: number }
  | { op: "sleep"; name: string; ms: number }
  | {
      op: "event";
      name: string;
      event: string;
      key: string;
      timeoutMs?: number;
      unpublished?: boolean;
    }
  | { op: "events"; name: string; event: string; key: string; count: number }
  | { op: "race"; name: string; ms: number; event: string; key: string; unpublished?: boolean }
  | { op: "both"; name: string; ms: number; event: string; key: string }
  | { op: "children"; name: string; count: number; ms: number; failures: number }
  | { op: "singles"; name: string; count: number; ms: number }
  | { op: "child"; name: string; plan: Op[] }
  | { op: "left"; name: string; ms: number }
  | { op: "parallel"; name: string; of: Op[] }
  /** Whatever is thrown there is caught, and the code goes on, also when the run was told to stop. */
  | { op: "guarded"; name: string; of: Op[] }
  | { op: "random"; name: string };

/** An event that the client has to publish for a run. */
export interface PlannedEvent {
  readonly event: string;
  readonly key: string;
  readonly n: number;
  /** So long after the run's start was stored. */
  readonly afterMs: number;
}

/** An event that nobody publishes. */
export const NEVER = "chaos.never";
/** Steps whose names begin so have other names in changed code. */
export const FRAGILE = "fragile";
const HOUR_MS = 3_600_000;
const EVENT_NAMES = ["chaos.paid", "chaos.approved", "chaos.delivered"];

/** A program for a run. @param runId Keys of events begin with it. */
export function newPlan(random: Random, runId: string): Plan {
  const maker = new PlanMaker(random, runId);
  const plan = maker.ops(random.whole(1, 4), 0);
  if (random.chance(0.06)) return { plan: [...plan, maker.endless()], never: true };
  return random.chance(0.05) ? { plan, end: "fail" } : { plan };
}

/** A program that takes longer than a run of `chaos-hurry` may. */
export function longPlan(random: Random, runId: string): Plan {
  const plan = new PlanMaker(random, runId).ops(1, 1);
  return { plan: [...plan, { op: "sleep", name: "too long", ms: 20_000 }] };
}

/** Input for a regular run. */
export function newJob(random: Random, value: number): Job {
  const isFailing = random.chance(0.1);
  return {
    ...{ value, ms: random.whole(0, 150), failures: random.chance(0.2) ? random.whole(1, 2) : 0 },
    mode: isFailing ? "fail" : "ok",
  };
}

/** The events that a program needs: some before it waits, some meanwhile, some late. */
export function eventsOf(random: Random, ops: readonly Op[]): PlannedEvent[] {
  return ops.flatMap((op): PlannedEvent[] => {
    if (op.op === "parallel" || op.op === "guarded") return eventsOf(random, op.of);
    if (op.op === "child") return eventsOf(random, op.plan);
    const isWait = op.op === "event" || op.op === "events" || op.op === "race" || op.op === "both";
    if (!isWait || ("unpublished" in op && op.unpublished)) return [];
    const count = op.op === "events" ? op.count : 1;
    return Array.from({ length: count }, (_, n) => ({
      ...{ event: op.event, key: op.key, n },
      afterMs: random.chance(0.4) ? 0 : random.whole(0, 4_000),
    }));
  });
}

class PlanMaker {
  readonly #random: Random;
  readonly #runId: string;
  #count = 0;

  constructor(random: Random, runId: string) {
    this.#random = random;
    this.#runId = runId;
  }

  ops(count: number, depth: number): Op[] {
    return Array.from({ length: count }, () => this.#op(depth));
  }

  /** An operation that does not end: an event that nobody publishes, an hour, or a child like that. */
  endless(depth = 0): Op {
    const name = this.#name("never");
    const event = {
      op: "event",
      name,
      event: NEVER,
      key: this.#key(name),
      unpublished: true,
    } as const;
    const kinds = ["event", "timeout", "sleep", ...(depth === 0 ? ["child"] : [])];
    const kind = this.#random.pick(kinds);
    if (kind === "timeout") return { ...event, timeoutMs: HOUR_MS };
    if (kind === "sleep") return { op: "sleep", name, ms: HOUR_MS };
    if (kind === "child") return { op: "child", name, plan: [this.endless(1)] };
    return event;
  }

  #op(depth: number): Op {
    const random = this.#random;
    const nested = depth < 2 ? { child: 1, parallel: 2, guarded: 2 } : {};
    const simple = { step: 6, sleep: 3, event: 3, events: 1, race: 2, both: 1, random: 1 };
    const isFragile = random.chance(0.3);
    const op = random.weighted({ ...simple, ...nested, children: 1, singles: 1, left: 0.5 });
    const name = this.#name(op === "step" && isFragile ? FRAGILE : op);
    const event = { name, event: random.pick(EVENT_NAMES), key: this.#key(name) };
    const ms = random.whole(0, 150);
    switch (op) {
      case "step":
        return { op, name, ms, failures: random.chance(0.15) ? random.whole(1, 2) : 0 };
      case "sleep":
        return { op, name, ms: random.chance(0.5) ? ms : random.whole(900, 4_000) };
      case "event":
        if (random.chance(0.7)) return { op, ...event };
        return { op, ...event, timeoutMs: random.whole(500, 3_000), unpublished: true };
      case "events":
        return { op, ...event, count: random.whole(2, 4) };
      case "race":
        return { op, ...event, ms: random.whole(300, 3_000), unpublished: random.chance(0.3) };
      case "both":
        return { op, ...event, ms: random.whole(50, 2_500) };
      case "children":
        return { op, name, count: random.whole(1, 12), ms, failures: random.chance(0.2) ? 1 : 0 };
      case "singles":
        return { op, name, count: random.whole(2, 5), ms };
      case "child":
        return { op, name, plan: this.ops(random.whole(1, 2), depth + 1) };
      case "parallel":
        return { op, name, of: this.ops(random.whole(2, 3), depth + 1) };
      case "guarded":
        return { op, name, of: this.ops(1, depth + 1) };
      case "left":
      case "random":
        return op === "left" ? { op, name, ms } : { op, name };
    }
  }

  #name(op: string): string {
    return `${op} ${this.#count++}`;
  }

  #key(name: string): string {
    return `${this.#runId}/${name}`;
  }
}
