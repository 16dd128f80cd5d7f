import test from "ava";
import type { CancelRequest, Start } from "../../shared/messages.ts";
import { initialState, type RunState } from "../../shared/run-state.ts";
import { type DurableTaskOptions, durableTask, task } from "../../shared/task.ts";
import { definitionOf } from "../../shared/task-definition.ts";
import type { Execution } from "../../worker/execution.ts";
import {
  cleanupOver,
  endToUndo,
  interruptionAt,
  overdueEntry,
} from "../../worker/interruptions.ts";
import { earlier, limitOf } from "../../worker/run-limits.ts";

const STARTED_AT = 1_000;
const request: CancelRequest = { startSequence: 1, by: "ann", reason: "", isTermination: false };
const interruption = { kind: "cancel", by: "ann", reason: "late", at: 5_000 } as const;
const options = { name: "a", runTimeout: "2s", cleanupTimeout: "500ms", run: () => 1 } as const;
const durable = definitionOf(durableTask(options as DurableTaskOptions<unknown, number>));
const regular = definitionOf(task(options as never));

const stateWith = (fields: Partial<RunState>): RunState => ({
  ...initialState(1, STARTED_AT),
  ...fields,
});

/** What a claim finds, and how the run ends by it. */
function found(facts: Partial<Parameters<typeof interruptionAt>[0]>): unknown[] {
  const defaults = { state: stateWith({}), cancel: undefined, start: undefined };
  const claim = { ...defaults, definition: durable, now: STARTED_AT, ...facts };
  const { entry, outcome } = interruptionAt(claim);
  const error = outcome && "error" in outcome ? outcome.error.name : undefined;
  return [entry?.kind, outcome?.status, error];
}

const NOTHING = [undefined, undefined, undefined];
const CANCELED = ["cancel-requested", "canceled", "RunCanceledError"];
const TIMED_OUT = ["timed-out", "failed", "TimeoutError"];

test("a claim ends a canceled run that has no code to tell, and tells the others", (t) => {
  t.deepEqual(found({}), NOTHING);
  const unreadable = stateWith({ status: "paused", unreadableAt: 7 });
  for (const state of [stateWith({ status: "queued" }), unreadable])
    t.deepEqual(found({ cancel: request, state }), CANCELED);
  for (const status of ["running", "waiting", "paused"] as const) {
    const state = stateWith({ status });
    t.deepEqual(found({ cancel: request, state }), ["cancel-requested", undefined, undefined]);
    t.deepEqual(found({ cancel: request, state, definition: regular }), CANCELED);
    const cancel = { ...request, isTermination: true, reason: "now" };
    t.deepEqual(found({ cancel, state: { ...state, interruption } }), CANCELED);
  }
});

test("a run that is interrupted already is not interrupted again, and a regular one ends", (t) => {
  const state = stateWith({ status: "running", interruption });
  t.deepEqual(found({ state, cancel: request, now: 9e9 }), NOTHING);
  t.deepEqual(found({ state, definition: regular }), [undefined, ...CANCELED.slice(1)]);
  const limitless = { ...regular, runTimeoutMs: undefined };
  const late = stateWith({ status: "running", interruption: { ...interruption, kind: "timeout" } });
  for (const definition of [regular, limitless])
    t.deepEqual(found({ state: late, definition }), [undefined, ...TIMED_OUT.slice(1)]);
});

test("a claim finds that the time of the run, or its time in the queue, is over", (t) => {
  const start = { queueTimeoutMs: 300 } as Start;
  t.deepEqual(found({ start, now: STARTED_AT + 299 }), NOTHING);
  t.deepEqual(found({ start, now: STARTED_AT + 300 }), TIMED_OUT);
  t.deepEqual(found({ start, now: 9_000, cancel: request }), CANCELED);
  t.deepEqual(found({ now: STARTED_AT + 2_000 }), TIMED_OUT);
  const waiting = stateWith({ status: "waiting" });
  const told = ["timed-out", undefined, undefined];
  t.deepEqual(found({ start, now: STARTED_AT + 2_000, state: waiting }), told);
});

test("a run has one time limit at a time: its own, that of its cleanup, none for its undos", (t) => {
  t.is(limitOf(stateWith({}), durable), STARTED_AT + 2_000);
  t.is(limitOf(stateWith({}), { ...durable, runTimeoutMs: undefined }), undefined);
  t.is(limitOf(stateWith({ interruption }), durable), 5_500);
  t.is(limitOf(stateWith({ interruption, givenUpAt: 3 }), durable), undefined);
  t.is(limitOf(stateWith({ outcome: { status: "completed", output: 1 } }), durable), undefined);
  t.is(overdueEntry(stateWith({ interruption }), durable, 5_499), undefined);
  t.deepEqual(overdueEntry(stateWith({ interruption }), durable, 5_500), { kind: "cleanup-over" });
  t.deepEqual([earlier(undefined, 5), earlier(5, undefined), earlier(7, 6)], [5, 5, 6]);
});

test("code that is given up learns by which interruption, and after how long", (t) => {
  t.regex(String(cleanupOver(interruption, durable)), /^RunCanceledError: .*500 ms.*: late\.$/);
  const timeout = { ...interruption, kind: "timeout", reason: "" } as const;
  t.regex(String(cleanupOver(timeout, durable)), /^TimeoutError: .*interrupted/);
});

test("steps are undone when the code has failed, or where it was given up, and once", (t) => {
  const execution = (fields: object, state: Partial<RunState> = {}) =>
    ({
      ...{ state: stateWith(state), cursor: { received: 2 }, end: undefined },
      ...{ isUndoing: false, hasUndos: true, ...fields },
    }) as unknown as Execution<unknown>;
  const end = { ok: false, thrown: new RangeError("no") } as const;
  t.is(endToUndo(execution({}), durable), undefined);
  t.is(endToUndo(execution({ end }), durable), end);
  t.is(endToUndo(execution({ end, hasUndos: false }), durable), undefined);
  t.is(endToUndo(execution({ end, isUndoing: true }), durable), undefined);
  t.is(endToUndo(execution({ end: { ok: true, output: 1 } }), durable), undefined);
  t.is(endToUndo(execution({}, { interruption, givenUpAt: 3 }), durable), undefined);
  t.like(endToUndo(execution({}, { interruption, givenUpAt: 2 }), durable), { ok: false });
  t.like(endToUndo(execution({}, { entries: 60_000, givenUpAt: 2 }), durable), {
    thrown: { limitName: "history-length", actual: 60_000 },
  });
});
