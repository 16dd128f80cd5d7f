/** Entries, commits and the other messages of a run as our processes write them. */

import type { Entry } from "../../../shared/entries.ts";
import type { Random } from "../../chaos/random.ts";
import { dotted, text, word } from "./texts.ts";
import { count, json, storable, storableOr } from "./values.ts";

/** Few, so that entries of one history mean the same operations. */
const OPERATIONS = ["s0 a", "s1 a", "s0 undo a", "w0 wait", "w1 wait", "w0 run b", "c0 b"];

const TIME = 1_767_225_600_000;
const NAMES = ["a", "order", "b"];

/** The key of an operation. */
export function operation(random: Random): string {
  return random.chance(0.95) ? random.pick(OPERATIONS) : text(random).slice(0, 100);
}

/** A point in time in milliseconds. */
export function time(random: Random): number {
  return TIME + random.whole(-1_000, 1_000_000_000) / 4;
}

/** A failure with causes. */
export function failure(random: Random, depth = 2): object {
  return {
    name: word(random),
    message: text(random).slice(0, 300),
    ...(random.chance(0.3) ? { stack: text(random).slice(0, 300) } : {}),
    ...(random.chance(0.2) ? { code: word(random) } : {}),
    ...(random.chance(0.1) ? { exceeded: { limitName: word(random), limit: count(random) } } : {}),
    ...(depth > 0 && random.chance(0.4) ? { cause: failure(random, depth - 1) } : {}),
  };
}

function outcome(random: Random): object {
  const status = random.pick(["completed", "completed", "failed", "canceled"]);
  return status === "completed"
    ? { status, output: storable(random, 2) }
    : { status, error: failure(random) };
}

function leafOutcome(random: Random): object {
  const { taskName, runId } = address(random);
  return random.pick<() => object>([
    () => ({ kind: "sleep" }),
    () => ({
      kind: "event",
      ...{ name: dotted(random), data: storable(random, 2), sequence: count(random) },
      publishedAt: time(random),
      ...(random.chance(0.1) ? { error: failure(random) } : {}),
    }),
    () => ({ kind: "child", taskName, runId, outcome: outcome(random) }),
    () => ({
      kind: "children",
      ended: Array.from({ length: random.whole(0, 4) }, () => [
        random.whole(0, 5),
        outcome(random),
      ]),
    }),
  ])();
}

/** A task and a run. */
export function address(random: Random): { taskName: string; runId: string } {
  const name = (): string =>
    random.chance(0.9) ? random.pick(NAMES) : text(random).slice(0, 40) || "x";
  return { taskName: name(), runId: name() };
}

/** A leaf of a condition as it is stored. */
export function leaf(random: Random): object {
  const { taskName, runId } = address(random);
  return random.pick<() => object>([
    () => ({ kind: "sleep", dueAt: time(random) }),
    () => ({
      ...{ kind: "event", name: dotted(random), after: count(random) },
      ...(random.chance(0.5) ? { where: storableOr(filter(random), { a: 1 }) } : {}),
    }),
    () => ({ kind: "child", taskName, runId, ...(random.chance(0.2) ? { isLeft: true } : {}) }),
    () => ({ kind: "children", taskName, first: count(random), count: random.whole(0, 5) }),
  ])();
}

/** A condition as it is stored. */
export function condition(random: Random, depth = 3): object {
  if (depth === 0 || random.chance(0.5)) return leaf(random);
  const kind = random.pick(["anyOf", "allOf"]);
  const isNamed = random.chance(0.5);
  const of = Array.from({ length: random.whole(0, 4) }, (_, i) => [
    isNamed ? word(random) : i,
    condition(random, depth - 1),
  ]);
  return { kind, of };
}

const OPERATORS = "$eq $ne $gt $gte $lt $lte $in $nin $exists $not $all $elemMatch $size".split(
  " ",
);
const HOSTILE = "$where $regex $expr $function $mod $type $options $jsonSchema $and $or $nor".split(
  " ",
);

/** A filter, or what looks like one. */
export function filter(random: Random, depth = 3): object {
  const made: { [field: string]: unknown } = {};
  for (let left = random.whole(0, 3); left > 0; left--) {
    const field = random.pick([
      "a",
      "b",
      "a.b",
      "order.id",
      "a.0",
      "a.length",
      "constructor",
      word(random),
    ]);
    const chance = random.next();
    if (chance < 0.3) made[field] = random.pick([1, "x", null, true, 0, "1", -0]);
    else if (chance < 0.55) made[field] = comparison(random, depth - 1);
    else if (chance < 0.7 && depth > 0)
      made[random.pick(["$and", "$or", "$nor"])] = [
        filter(random, depth - 1),
        filter(random, depth - 1),
      ];
    else if (chance < 0.8 && depth > 0) made["$not"] = filter(random, depth - 1);
    else if (chance < 0.9 && depth > 0) made[field] = filter(random, depth - 1);
    else made[random.pick(HOSTILE)] = json(random, 1);
  }
  return made;
}

function comparison(random: Random, depth: number): object {
  const made: { [operator: string]: unknown } = {};
  for (let left = random.whole(1, 3); left > 0; left--) {
    const operator = random.pick(random.chance(0.9) ? OPERATORS : HOSTILE);
    made[operator] = operand(operator, random, depth);
  }
  return made;
}

function operand(operator: string, random: Random, depth: number): unknown {
  if (random.chance(0.08)) return json(random, 2);
  switch (operator) {
    case "$in":
    case "$nin":
    case "$all":
      return Array.from({ length: random.whole(0, 3) }, () => random.pick([1, "x", null, true, 2]));
    case "$exists":
      return random.chance(0.5);
    case "$not":
      return depth > 0 ? comparison(random, depth - 1) : { $eq: 1 };
    case "$elemMatch":
      return depth > 0 && random.chance(0.5) ? filter(random, depth - 1) : comparison(random, 0);
    case "$size":
      return random.whole(0, 3);
    case "$eq":
    case "$ne":
      return json(random, 2);
    default:
      return random.pick([1, 2, "x", "y", 0]);
  }
}

/** An entry of any kind. */
export function entry(random: Random): Entry {
  const key = operation(random);
  const at = random.whole(0, 4);
  const by = word(random);
  const reason = text(random).slice(0, 200);
  const source = random.chance(0.3) ? { source: "tasks.js:1" } : {};
  const step = { key, at, attempts: random.whole(1, 3), durationMs: random.whole(0, 1_000) };
  const made = random.pick<() => object>([
    () => ({
      kind: "claimed",
      worker: word(random),
      because: random.pick(["start", "takeover", "x"]),
    }),
    () => ({ kind: "step-completed", ...step, value: storable(random, 2), ...source }),
    () => ({ kind: "step-failed", ...step, error: failure(random), ...source }),
    () => ({
      kind: "attempt-failed",
      key,
      at,
      attempt: 1,
      error: failure(random),
      retryAt: time(random),
    }),
    () => ({ kind: "heartbeat", key, details: storable(random, 2) }),
    () => ({ kind: "wait-opened", key, at, condition: condition(random), ...source }),
    () => ({ kind: "wait-settled", key, leaf: random.whole(0, 3), outcome: leafOutcome(random) }),
    () => ({
      kind: "child-started",
      key,
      at,
      taskName: "b",
      runIds: ["x"],
      first: 0,
      isLeft: false,
    }),
    () => ({ kind: "waiting" }),
    () => ({ kind: "paused", reason, details: storable(random, 2) }),
    () => ({ kind: "cancel-requested", by, reason }),
    () => ({ kind: "timed-out", limitMs: random.whole(1, 1_000) }),
    () => ({ kind: "cleanup-over" }),
    () => ({ kind: "operation-interrupted", key, at }),
    () => ({ kind: "ended", outcome: outcome(random) }),
    () => ({ kind: "change-noted", name: word(random), at }),
    () => ({ kind: "version-pinned", version: word(random) }),
    () => ({ kind: "outlived" }),
    () => ({ kind: "retired", end: count(random) }),
    () => ({ kind: "resumed", by, reason }),
    () => ({ kind: "retried", by, reason, again: [key] }),
    () => ({ kind: "step-skipped", by, reason, key, value: storable(random, 2) }),
    () => ({
      ...{ kind: "continued", input: storable(random, 2), count: 1, firstOrdinal: 0 },
      ...{ limitFrom: time(random), eventsAfter: count(random), consumed: [count(random)] },
    }),
  ])();
  return made as Entry;
}

/** A commit of the start 1. */
export function commit(random: Random): {
  startSequence: number;
  pass: string;
  token: number;
  time: number;
  entries: Entry[];
} {
  return {
    startSequence: random.chance(0.95) ? 1 : 2,
    pass: `${word(random)}/${random.pick(["d", "r", "x"])}${random.whole(0, 40)}`,
    token: count(random),
    time: time(random),
    entries: Array.from({ length: random.whole(0, 4) }, () => entry(random)),
  };
}
