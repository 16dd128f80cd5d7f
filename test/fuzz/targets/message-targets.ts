/** The messages of a run's log besides its history, and what the engine makes of registrations. */
import { PendingWait } from "../../../engine/conditions.ts";
import { WaitIndex } from "../../../engine/wait-index.ts";
import { encode } from "../../../shared/codec.ts";
import { encodeCommit } from "../../../shared/entries.ts";
import { InvalidInputError, UndecodableError } from "../../../shared/errors.ts";
import { toJson } from "../../../shared/json.ts";
import {
  decodeCancel,
  decodeEnclosed,
  decodeExpiry,
  decodeReady,
  decodeStart,
  decodeWait,
  encodeReady,
  encodeStart,
  encodeWait,
} from "../../../shared/messages.ts";
import { stateOfStart } from "../../../shared/start-state.ts";
import { Names } from "../../../shared/subjects.ts";
import type { Random } from "../../chaos/random.ts";
import { messageBody } from "../inputs/bytes.ts";
import { address, commit, leaf, operation, time } from "../inputs/histories.ts";
import { text, word } from "../inputs/texts.ts";
import { count, data, json, mutated, storable } from "../inputs/values.ts";
import { attempt, hold, REFUSED, type Target, target } from "../target.ts";

const names = new Names("ns", 4);

/** A body that is a list of fields, some of them not what they should be. */
function body(random: Random, fields: unknown): Uint8Array {
  const whole = (): Uint8Array => {
    const made = random.chance(0.5) ? fields : mutated(random, fields, () => data(random, 2));
    const written = attempt(() => encode(made, "message"), InvalidInputError);
    return written === REFUSED ? encode(fields, "message") : written;
  };
  return random.chance(0.75) ? whole() : messageBody(random, whole);
}

function start(random: Random): unknown {
  const { taskName, runId } = address(random);
  const parent = random.chance(0.5) ? null : [taskName, runId, count(random), operation(random)];
  const input = storable(random);
  const made = [input, count(random), word(random), parent, word(random), text(random)];
  if (random.chance(0.4)) made.push(random.pick([null, 1_000]));
  if (random.chance(0.2)) {
    const commits = [encodeCommit(commit(random), "commit"), new Uint8Array([1])];
    made.push([
      runId,
      time(random),
      word(random),
      text(random),
      commits.slice(0, random.whole(0, 2)),
    ]);
  }
  return made;
}

function because(random: Random): object {
  const key = operation(random);
  return random.pick<() => object>([
    () => ({ timer: time(random) }),
    () => ({ events: [[key, 0, count(random)]] }),
    () => ({ children: [[key, 0, [0, 1, 5]]] }),
    () => ({ cancel: count(random) }),
    () => ({ poke: text(random) }),
    () => ({ repair: { by: "x", reason: text(random), again: [key] } }),
    () => ({ repair: { by: "x", reason: "", skip: { key, value: storable(random) } } }),
  ])();
}

function ready(random: Random): unknown {
  const made: unknown[] = [count(random), count(random), random.chance(0.5), because(random)];
  const row = [count(random), word(random), time(random), "", new Uint8Array([1])];
  if (random.chance(0.4)) made.push([row, row]);
  return made;
}

function wait(random: Random): unknown {
  const leaves = Array.from({ length: random.whole(0, 4) }, (_, i) => {
    const ranges = random.pick([
      [],
      [[0, 1]],
      [
        [0, 0],
        [2, 3],
      ],
      [[3, 1]],
      [[0, 2 ** 53 - 1]],
      [[0, count(random)]],
    ]);
    return [operation(random), i, leaf(random), ranges];
  }).filter(([, , condition]) => (condition as { kind: string }).kind !== "sleep");
  const made: unknown[] = [
    count(random),
    count(random),
    random.chance(0.2),
    leaves,
    [1, count(random)],
    3,
  ];
  if (random.chance(0.5)) made.push(word(random));
  return made;
}

/** What the engine does with a registration. */
function register(message: Uint8Array, payload: unknown): void {
  const read = attempt(() => decodeWait(message, "here"), UndecodableError);
  if (read === REFUSED) return;
  const run = { taskName: "a", runId: "b" };
  const make = (sequence: number): PendingWait =>
    new PendingWait(names, run, { sequence, registration: read });
  const index = new WaitIndex();
  const earlier = make(1);
  index.add(earlier);
  const pending = make(2);
  pending.learnFrom(earlier);
  index.add(pending);
  let touched = 0;
  for (const [i, name] of ["a", "a.b", "order", "order.paid", ...named(pending)].entries())
    index.offerEvent({ sequence: 2 ** 40 + i, name, payload }, () => touched++);
  for (const single of pending.singles) index.endChild(single.prefix, () => touched++);
  for (const group of pending.groups) for (let i = 0; i < 3; i++) group.end(i);
  if (touched > 0) hold(pending.hasHappened || pending.groups.length > 0, "touched by nothing");
  const said = pending.because();
  encodeReady({ answers: 1, startSequence: 1, isChild: false, because: said });
  for (const group of pending.groups)
    hold([...group.unrecorded()].length <= group.count, "too many");
  index.remove(pending);
  hold(index.size === 0, "a wait is left");
  const again = attempt(() => encodeWait(read), InvalidInputError);
  if (again !== REFUSED)
    hold(toJson(decodeWait(again, "there")) === toJson(read), "a registration is read differently");
}

function named({ events }: PendingWait): string[] {
  return events.map(({ name }) => name).filter((name) => name.length < 4_000);
}

/** Reads what may be a message; whatever is read can be shown. */
function reads<T>(
  decode: (message: Uint8Array, where: string) => T,
): (message: Uint8Array) => void {
  return (message) => {
    const read = attempt(() => decode(message, "here"), UndecodableError);
    if (read !== REFUSED) toJson(read);
  };
}

/** The targets of shared/messages.ts. */
export const messageTargets: readonly Target[] = [
  target({
    name: "messages/start",
    covers: ["shared/messages.ts decodeStart"],
    make: (random) => body(random, start(random)),
    check(message) {
      const read = attempt(() => decodeStart(message, "here"), UndecodableError);
      if (read === REFUSED) return;
      attempt(() => stateOfStart(read, 1, 0), UndecodableError);
      if (read.parent) names.run(read.parent);
      const written = attempt(() => encodeStart(read), InvalidInputError);
      if (written === REFUSED) return;
      const again = decodeStart(written, "there");
      hold(toJson(again) === toJson(read), "a start is read differently");
    },
  }),
  target({
    name: "messages/ready",
    covers: ["shared/messages.ts decodeReady", "shared/messages.ts decodeEnclosed"],
    make: (random) => body(random, ready(random)),
    check(message) {
      reads(decodeEnclosed)(message);
      const read = attempt(() => decodeReady(message, "here"), UndecodableError);
      if (read === REFUSED) return;
      const written = attempt(() => encodeReady(read), InvalidInputError);
      if (written === REFUSED) return;
      hold(toJson(decodeReady(written, "there")) === toJson(read), "a token is read differently");
    },
  }),
  target({
    name: "messages/wait",
    covers: ["shared/messages.ts decodeWait"],
    make: (random) => ({ message: body(random, wait(random)), payload: json(random) }),
    check: ({ message, payload }) => register(message, payload),
  }),
  target({
    name: "messages/cancel",
    covers: ["shared/messages.ts decodeCancel"],
    make: (random) => body(random, [count(random), text(random), text(random), random.chance(0.5)]),
    check: reads(decodeCancel),
  }),
  target({
    name: "messages/expiry",
    covers: ["shared/messages.ts decodeExpiry"],
    make: (random) => body(random, [count(random), count(random)]),
    check: reads(decodeExpiry),
  }),
];
