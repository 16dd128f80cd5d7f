/** Holes 19, 20 and 30: runs that are purged, and started again under the same id. */
import { encodeCommit, type Outcome } from "../../shared/entries.ts";
import { encodeReady, encodeStart } from "../../shared/messages.ts";
import { STATUS_HEADER } from "../../shared/subjects.ts";
import { durableTask } from "../../shared/task.ts";
import { until } from "../helpers/until.ts";
import { HandClock } from "./hand-clock.ts";
import { hole } from "./hole.ts";
import type { Place } from "./place.ts";
import { approver, type Durable, stepper } from "./tasks.ts";
import { Wiretap } from "./wiretap.ts";

const ECHO = { taskName: "echo", runId: "r" };
const STEPPER = { taskName: "stepper", runId: "r" };

hole(19, {
  title: "a commit for an earlier start of the same id does not count in the later one",
  scenario: async (place) => {
    await commitTooLate(place);
    const c = await place.worker("C", { tasks: [echo(place, "C")] });
    await c.work();
    return async () => ({
      ...(await place.facts(ECHO)),
      outcome: (await place.state(ECHO)).outcome,
      effects: place.effects,
    });
  },
  closed: {
    status: "completed",
    lifelines: [],
    outcome: { status: "completed", output: 2 },
    effects: ["A 1", "B 1", "C 2"],
  },
  opened: {
    "incarnations-are-not-told-apart": {
      status: "queued", // its start is acknowledged: nobody will ever begin it
      lifelines: [],
      outcome: undefined,
      effects: ["A 1", "B 1"],
    },
  },
});

hole(19, {
  title: "a client is not told the end of an earlier start of the same id",
  scenario: async (place) => {
    await commitTooLate(place);
    const client = await place.build.client.connect(place.access);
    place.atEnd(() => client.close());
    const result = client.get("echo", "r").result();
    const c = await place.worker("C", { tasks: [echo(place, "C")] });
    await client.list(); // what it has asked for before is answered
    await c.work();
    return result;
  },
  closed: 2,
  opened: { "client-takes-any-end": 1 },
});

hole(19, {
  title: "a start whose run has ended and was purged does not begin it again",
  scenario: async (place) => {
    const a = await place.worker("A", { tasks: [stepper(place, "A", ["a"])] });
    const b = await place.worker("B", { tasks: [stepper(place, "B", ["a"])] });
    await place.client.start("stepper", null, { id: "r" });
    const token = await a.take();
    place.redeliver(token);
    await b.work();
    await place.purge(STEPPER);
    a.clock.skip(7 * 24 * 3_600_000); // A was stopped for a week
    await a.handle(token);
    return { effects: place.effects, commits: (await place.commits(STEPPER)).length };
  },
  closed: { effects: ["B a"], commits: 0 },
  opened: { "purged-start-is-claimed": { effects: ["B a", "A a"], commits: 3 } },
});

hole(20, {
  title: "a purge that is repeated because its answer was lost leaves a newer start alone",
  scenario: async (place) => {
    const { requests, admin } = place.build;
    const tap = new Wiretap(place.link, new HandClock());
    await place.client.start("stepper", 1, { id: "r" });
    const { stream, prefix } = place.setup.names.run(STEPPER);
    const before = ((await place.last(STEPPER, "token.start"))?.sequence ?? 0) + 1;
    const lost = tap.trap(({ subject }) => subject.includes("STREAM.PURGE"), "lose-answer", 1);
    const purge = { stream, subject: `${prefix}.>`, before };
    const purged = admin.purgeSubject(new requests.Requests(tap.wire), purge);
    await until(() => lost.caught.length > 0);
    await until(async () => !(await place.last(STEPPER, "token.start")));
    await place.client.start("stepper", 2, { id: "r" });
    await purged;
    return { isStarted: (await place.last(STEPPER, "token.start")) !== undefined };
  },
  closed: { isStarted: true },
  opened: { "purge-has-no-bound": { isStarted: false } },
});

hole(20, {
  title: "what an engine decides to purge is not the next run of this id, however late it does so",
  scenario: async (place) => {
    await place.client.start("echo", 1, { id: "r" });
    await end(place, { status: "completed", output: 1 });
    await place.keepNothing();
    const engine = await place.engine();
    const decided = engine.at("engine-after-retention-decision");
    await decided.reached();
    await place.purge(ECHO); // another engine was faster
    await place.client.start("echo", 2, { id: "r" });
    decided.open();
    await engine.hasPurged();
    return { isStarted: (await place.last(ECHO, "token.start")) !== undefined };
  },
  closed: { isStarted: true },
  opened: { "retention-has-no-bound": { isStarted: false } },
});

hole(20, {
  title: "an end that names an earlier start does not purge the run that has the id now",
  scenario: async (place) => {
    await place.client.start("echo", 1, { id: "r" });
    const { sequence = 0 } = (await place.last(ECHO, "token.start")) ?? {};
    await place.purge(ECHO);
    await place.client.start("echo", 2, { id: "r" });
    await end(place, { status: "completed", output: 1 }, sequence);
    await place.keepNothing();
    const engine = await place.engine();
    await engine.hasPurged();
    return { isStarted: (await place.last(ECHO, "token.start")) !== undefined };
  },
  closed: { isStarted: true },
  opened: { "any-end-counts": { isStarted: false } },
});

hole(20, {
  title: "a retry that is stored while an engine decides to purge its run is not lost",
  on: ["R1", "R3"],
  scenario: async (place) => {
    await place.client.start("echo", 1, { id: "r" });
    await end(place, { status: "failed", error: { name: "Error", message: "no" } });
    await place.keepNothing();
    const engine = await place.engine();
    const decided = engine.at("engine-after-retention-decision");
    await decided.reached();
    await place.client.get("echo", "r").retry();
    decided.open();
    await engine.hasPurged();
    engine.die();
    const c = await place.worker("C", { tasks: [echo(place, "C")] });
    for (const kind of ["token.start", "token.ready"] as const)
      if (await place.last(ECHO, kind)) await c.work();
    return {
      isThere: (await place.last(ECHO, "token.start")) !== undefined,
      effects: place.effects,
    };
  },
  closed: { isThere: true, effects: ["C 1"] },
  opened: {
    "failed-end-is-not-retired": { isThere: false, effects: [] },
    "retry-before-retiring-is-forgotten": { isThere: false, effects: [] },
    "retired-run-drops-its-retry": { isThere: true, effects: [] },
  },
});

hole(21, {
  title: "a child that has ended is kept for its parent",
  scenario: async (place) => {
    await place.client.start("stepper", 1, { id: "r" });
    const { sequence: startSequence = 0 } = (await place.last(STEPPER, "token.start")) ?? {};
    const parent = { ...STEPPER, startSequence, key: "w0 child" };
    const start = { input: 1, events: { after: 0, created: "" }, nonce: "n", by: "test" };
    await place.write(ECHO, "token.start", encodeStart({ ...start, parent }));
    await place.endChild(ECHO, 1);
    await place.keepNothing();
    const engine = await place.engine();
    await engine.hasPurged();
    return { hasEnd: (await place.last(ECHO, "c")) !== undefined };
  },
  closed: { hasEnd: true },
  opened: { "children-go-before-their-parents": { hasEnd: false } },
});

hole(30, {
  title: "a token for a purged run is acknowledged, not read again for ever",
  on: ["R1", "R3"],
  scenario: async (place) => {
    const run = { taskName: "approver", runId: "r" };
    const a = await place.worker("A", { tasks: [approver(place, "A")] });
    await place.client.start("approver", null, { id: "r" });
    await a.work();
    const { tail: answers, startSequence } = await place.state(run);
    await place.purge(run);
    const because = { poke: "somebody" };
    await place.write(
      run,
      "token.ready",
      encodeReady({ answers, startSequence, isChild: false, because }),
    );
    a.clock.pace = 0.01;
    await a.work();
    return async () => (await place.consumer("approver")).ackPending;
  },
  closed: 0,
  opened: { "purged-run-looks-stale": 1 },
});

/** The run ends, without anybody having run it. */
async function end(place: Place, outcome: Outcome, ofStart?: number): Promise<void> {
  const start = await place.last(ECHO, "token.start");
  const startSequence = ofStart ?? start?.sequence ?? 0;
  const frame = { startSequence, pass: "test/r1", token: startSequence, time: start?.timeMs ?? 0 };
  const commit = encodeCommit({ ...frame, entries: [{ kind: "ended", outcome }] }, "an end");
  await place.write(ECHO, "h", commit, [[STATUS_HEADER, outcome.status]]);
}

/** Returns its input, by a step. */
function echo(place: Place, worker: string): Durable {
  return durableTask({
    name: "echo",
    run: (input: unknown, ctx) =>
      ctx.step("echo", () => {
        place.effects.push(`${worker} ${String(input)}`);
        return input;
      }),
  });
}

/**
 * A has begun a run and was stopped before its first commit. B has finished it, it was purged and
 * started again. Then A comes back and commits: the history is empty, as it had been.
 */
async function commitTooLate(place: Place): Promise<void> {
  const a = await place.worker("A", { tasks: [echo(place, "A")] });
  const b = await place.worker("B", { tasks: [echo(place, "B")] });
  await place.client.start("echo", 1, { id: "r" });
  const stopped = a.at("after-step");
  const token = await a.take();
  const handled = a.handle(token);
  await stopped.reached();
  place.redeliver(token);
  await b.work();
  await place.purge(ECHO);
  await place.client.start("echo", 2, { id: "r" });
  stopped.open();
  await handled;
}
