import test from "ava";
import { LiveRuns } from "../../engine/live-runs.ts";
import type { HeaderList } from "../../shared/jetstream/headers.ts";
import { REGISTERS_HEADER, STATUS_HEADER } from "../../shared/subjects.ts";
import { storedMessage } from "./fakes.ts";

const RUN = "ns.log.0.t.r";

/** Runs, and what is registered of them. */
function runs() {
  const registered = new Set<string>();
  const live = new LiveRuns((prefix, wait, kinds) =>
    kinds.every((kind) => registered.has(`${prefix} ${wait} ${kind}`)),
  );
  const note = (sequence: number, kind: string, status?: string, kinds = ""): void => {
    const headers: HeaderList = [
      ...(status === undefined ? [] : ([[STATUS_HEADER, status]] as const)),
      ...(kinds === "" ? [] : ([[REGISTERS_HEADER, kinds]] as const)),
    ];
    live.note(storedMessage(sequence, `${RUN}.${kind}`, { headers }), sequence);
  };
  const watched = (): unknown[] =>
    [...live.watched()].map(({ status, sequence }) => [status, sequence]);
  return { live, registered, note, watched };
}

test("a run is queued from its start to its first commit, and watched while it is carried", (t) => {
  const { live, note, watched } = runs();
  note(1, "token.start");
  t.is(live.queuedCount, 1);
  t.deepEqual(watched(), []);
  note(2, "h", "running");
  note(3, "h", "running");
  t.is(live.queuedCount, 0);
  t.deepEqual(watched(), [["running", 3]]);
  note(4, "h", "completed");
  t.deepEqual(watched(), []);
  t.false(live.hasQueued("ns.log.0.t"));
});

test("a run that waits is watched until all its registrations were seen, and paused ones never", (t) => {
  const { live, registered, note, watched } = runs();
  note(4, "h", "waiting", "timer wait");
  t.deepEqual(watched(), [["waiting", 4]]);
  registered.add(`${RUN} 4 timer`);
  live.noteRegistered(RUN);
  t.deepEqual(watched(), [["waiting", 4]]);
  registered.add(`${RUN} 4 wait`);
  live.noteRegistered(RUN);
  t.deepEqual(watched(), []);
  note(4, "h", "waiting", "timer wait"); // a follower may be told of it when they are known already
  t.deepEqual(watched(), []);
  note(9, "h", "paused");
  t.deepEqual(watched(), []);
});

test("a run that was answered stays watched although it is registered, until its next commit", (t) => {
  const { live, registered, note, watched } = runs();
  registered.add(`${RUN} 4 wait`);
  note(4, "h", "waiting", "wait");
  live.watch({ prefix: RUN, status: "waiting", sequence: 4, answeredAt: 4 }, 0);
  live.noteRegistered(RUN);
  t.deepEqual(watched(), [["waiting", 4]]);
  note(6, "h", "running");
  live.watch({ prefix: RUN, status: "waiting", sequence: 4, answeredAt: 4 }, 0); // told of it late
  t.deepEqual(watched(), [["running", 6]]);
});
