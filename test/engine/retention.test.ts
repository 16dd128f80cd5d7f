import test, { type ExecutionContext } from "ava";
import { examine } from "../../engine/doctor/examine.ts";
import { prepareNamespace } from "../../engine/prepare.ts";
import { setupNamespace } from "../../engine/setup.ts";
import type { Term } from "../../engine/term.ts";
import { connect } from "../../shared/client.ts";
import { type Entry, encodeCommit } from "../../shared/entries.ts";
import { InvalidInputError, RepairRefusedError, RunNotFoundError } from "../../shared/errors.ts";
import { callApi, errorOf } from "../../shared/jetstream/api.ts";
import type { NatsLink } from "../../shared/jetstream/connection.ts";
import { KvBucket } from "../../shared/jetstream/kv.ts";
import { KEEP_ENDED_MS } from "../../shared/limits.ts";
import { encodeCancel } from "../../shared/messages.ts";
import { keepEndedMsOf, SETUP_METADATA } from "../../shared/setup.ts";
import { STATUS_HEADER } from "../../shared/subjects.ts";
import { Barrier, beginTerm, type Namespace, namespaceOf } from "../helpers/engine.ts";
import { FakeRun } from "../helpers/fake-run.ts";
import { forEachTopology, startTestServer, type TestTopology } from "../helpers/nats.ts";
import { until } from "../helpers/until.ts";
import { startEngineProcess } from "./engine-process.ts";

/** Where an engine dies, in the order in which it comes there with a failed parent and its child. */
const PLACES = [
  "engine-before-retiring",
  "engine-after-retiring",
  "engine-before-purge",
  "engine-after-purge",
];
const GOES_WITHIN = { withinMs: 20_000 };

/** Sets the keep time to what no user can set. */
async function keepFor({ link, names }: Namespace, text: string): Promise<void> {
  for (let shard = 0; shard < names.shardCount; shard++) {
    const stream = names.logStream(shard);
    const { config = {} } = (await link.reader.streamState(stream)) ?? {};
    const before = config["metadata"] as Readonly<Record<string, string>>;
    const metadata = { ...before, [SETUP_METADATA.keepEndedMs]: text };
    const answer = await callApi(link.requests, `STREAM.UPDATE.${stream}`, { ...config, metadata });
    if (errorOf(answer)) throw new Error(errorOf(answer)?.description);
  }
}

/** Ended runs of this test are kept; they go with the next test that purges. */
async function keeping(t: ExecutionContext, topology: TestTopology): Promise<Namespace> {
  const at = await namespaceOf(t, topology);
  await keepFor(at, "forever");
  return at;
}

function newRun({ link, names }: Namespace, parent?: FakeRun): Promise<FakeRun> {
  return new FakeRun(link, names, parent ? { parent } : {}).start();
}

/** How many messages the leader has of a run: what it says is as new as it can be. */
async function countOf({ link }: Namespace, { stream, prefix }: FakeRun): Promise<number> {
  const request = { subjects_filter: `${prefix}.>` };
  const answer = await callApi(link.requests, `STREAM.INFO.${stream}`, request);
  const { subjects = {} } = answer["state"] as { subjects?: Readonly<Record<string, number>> };
  return Object.values(subjects).reduce((sum, count) => sum + count, 0);
}

function isGone(at: Namespace, run: FakeRun): Promise<unknown> {
  const gone = async (): Promise<boolean> => (await countOf(at, run)) === 0;
  return until(gone, { ...GOES_WITHIN, what: `${run.address.runId} is purged` });
}

/** A whole look has begun and ended since. */
async function hasLooked(term: Term): Promise<void> {
  const enough = term.status.retention.looks + 2;
  await until(() => term.status.retention.looks >= enough, { withinMs: 30_000 });
}

forEachTopology((title, start, inTurn) => {
  let topology: TestTopology;

  test.before(async () => {
    topology = await start();
  });
  test.after.always(() => topology?.stop());

  test(
    `${title}: ended runs go when their keep time is over, and no others`,
    inTurn(async (t) => {
      const at = await keeping(t, topology);
      const [completed, failed, canceled] = [await newRun(at), await newRun(at), await newRun(at)];
      const [queued, active, waiting] = [await newRun(at), await newRun(at), await newRun(at)];
      const paused = await newRun(at);
      await completed.waitFor([{ kind: "event", name: "never", after: 0 }]);
      await completed.claim();
      await completed.end();
      const { startSequence, prefix } = completed; // somebody is late
      const cancel = encodeCancel({ startSequence, by: "test", reason: "", isTermination: false });
      t.true((await at.link.publisher.publish(`${prefix}.cancel`, cancel)).ok);
      await failed.fail();
      await canceled.fail("canceled");
      await active.claim();
      await waiting.suspend();
      await paused.commit([{ kind: "paused", reason: "test", details: null }], "paused");
      const { term } = await beginTerm(t, at);
      await until(() => term.status.retention.looks > 0);
      for (const run of [completed, failed, canceled]) t.true((await countOf(at, run)) > 0);
      await keepFor(at, "0"); // holds without a new term, and for runs that have ended
      for (const run of [completed, failed, canceled]) await isGone(at, run);
      await hasLooked(term);
      t.is(await countOf(at, queued), 1);
      for (const run of [active, waiting, paused]) t.is(await countOf(at, run), 2);
      t.true(term.status.retention.purged >= 3);
      const client = await connect({ servers: topology.urls });
      t.teardown(() => client.close());
      const { taskName, runId } = failed.address;
      await t.throwsAsync(client.get(taskName, runId).result(), { instanceOf: RunNotFoundError });
      t.deepEqual(await client.list({ taskName, runId }), []);
    }),
  );

  test(
    `${title}: children are kept as long as their parent, and go with it`,
    inTurn(async (t) => {
      const at = await keeping(t, topology);
      const parent = await newRun(at);
      const [first, second] = [await newRun(at, parent), await newRun(at, parent)];
      const grandchild = await newRun(at, first);
      await parent.suspend();
      await grandchild.end();
      await first.fail();
      await second.end();
      await keepFor(at, "0");
      const { term } = await beginTerm(t, at);
      await until(() => term.status.retention.keptForParents === 3, GOES_WITHIN);
      await hasLooked(term);
      for (const run of [first, second, grandchild]) t.is(await countOf(at, run), 2);
      await parent.claim();
      await parent.end();
      for (const run of [parent, first, second, grandchild]) await isGone(at, run);
      t.is(term.status.retention.keptForParents, 0);
      const left = await newRun(at, parent); // it was left to itself, and ends after its parent
      await left.end();
      await isGone(at, left);
    }),
  );

  test(
    `${title}: a retry that is asked for before its run is retired keeps it, a later one is refused`,
    inTurn(async (t) => {
      const at = await keeping(t, topology);
      const client = await connect({ servers: topology.urls });
      t.teardown(() => client.close());
      const run = await newRun(at);
      const handle = client.get(run.address.taskName, run.address.runId);
      const end = await run.fail();
      const retiring = new Barrier("engine-before-retiring");
      retiring.arm();
      await keepFor(at, "0");
      const { term, end: endTerm } = await beginTerm(t, at, retiring);
      await retiring.reached; // it is decided, and nothing is written
      await handle.retry();
      retiring.open();
      const view = await until(async () => {
        const found = await handle.view();
        return found.state.retiredEnd === end && found;
      }, GOES_WITHIN);
      t.truthy(view.repairRequest);
      await handle.retry(); // it is asked for already
      await hasLooked(term);
      run.tail = view.state.tail;
      const again: Entry = { kind: "retried", by: "test", reason: "", again: [] };
      await run.commit([{ kind: "claimed", worker: "w", because: "repair" }, again], "running");
      await hasLooked(term);
      t.is((await handle.view()).state.status, "running");
      await endTerm();
      await run.fail();
      const retired = new Barrier("engine-after-retiring");
      retired.arm();
      await beginTerm(t, at, retired);
      await retired.reached;
      await t.throwsAsync(handle.retry(), {
        instanceOf: RepairRefusedError,
        message: /is about to be removed/,
      });
      retired.open();
      await isGone(at, run);
    }),
  );

  test(
    `${title}: what two engines decide about one run never meets a later start of its id`,
    inTurn(async (t) => {
      const at = await keeping(t, topology);
      const run = await newRun(at);
      await run.end();
      const purging = new Barrier("engine-before-purge");
      purging.arm();
      await keepFor(at, "0");
      const slow = await beginTerm(t, at, purging);
      await purging.reached;
      const quick = await beginTerm(t, at);
      await isGone(at, run);
      const again = await new FakeRun(at.link, at.names, run.address).start();
      purging.open();
      await until(() => slow.term.status.retention.looks > 0, GOES_WITHIN);
      await hasLooked(slow.term);
      t.is(await countOf(at, again), 1);
      // A worker of the first run was stopped for a week and commits its end now.
      const { startSequence } = run;
      const outcome = { status: "completed", output: 1 } as const;
      const frame = { startSequence, pass: "p", token: startSequence, time: 0 };
      const late = encodeCommit({ ...frame, entries: [{ kind: "ended", outcome }] }, "");
      const headers = [[STATUS_HEADER, "completed"]] as const;
      t.true((await at.link.publisher.publish(again.history, late, headers)).ok);
      await hasLooked(slow.term);
      await hasLooked(quick.term);
      t.is(await countOf(at, again), 2);
    }),
  );

  test(
    `${title}: a purge that is interrupted by the death of its engine is finished by the next one`,
    inTurn(async (t) => {
      const at = await keeping(t, topology);
      const bucket = new KvBucket(at.link, at.names.engineBucket);
      const { urls: servers, replicas } = topology;
      const parent = await newRun(at);
      const child = await newRun(at, parent);
      await child.end();
      await parent.fail();
      await keepFor(at, "0");
      for (const place of PLACES) {
        const dying = startEngineProcess(t, { servers, replicas, failpoints: `${place}=kill` });
        await until(dying.isGone, { withinMs: 30_000, what: `an engine has died at ${place}` });
        t.is(dying.child.signalCode, "SIGKILL", place);
        const lead = await bucket.entry("lead", { leader: true }); // nobody waits for it to run out
        if (lead) await bucket.delete("lead", { expect: lead.revision, timeToLiveMs: 1_000 });
      }
      const next = startEngineProcess(t, { servers, replicas });
      await isGone(at, parent);
      await isGone(at, child);
      next.kill("SIGTERM");
      await until(next.isGone);
    }),
  );
});

test("the keep time is an hour or more, or for ever", async (t) => {
  const link = {} as NatsLink;
  for (const keepEndedFor of ["59 minutes", "0s", { seconds: 1 }])
    await t.throwsAsync(setupNamespace(link, { keepEndedFor }), {
      instanceOf: InvalidInputError,
      message: /keepEndedFor is \d+ ms\. Expected an hour or more, or "forever"/,
    });
  const refused = setupNamespace(link, { keepEndedFor: "a while" });
  await t.throwsAsync(refused, { instanceOf: InvalidInputError, message: /option keepEndedFor/ });
});

test("what a stream says about the keep time is believed as far as it can be read", (t) => {
  const of = (text?: string): number =>
    keepEndedMsOf(text === undefined ? {} : { metadata: { [SETUP_METADATA.keepEndedMs]: text } });
  t.is(of(), KEEP_ENDED_MS);
  t.is(of("3600000"), 3_600_000);
  for (const text of ["forever", "", "-1", "1e3", "soon"]) t.is(of(text), Number.POSITIVE_INFINITY);
});

test.serial("the keep time is changed when that is asked for, and only then", async (t) => {
  const topology = await startTestServer();
  t.teardown(() => topology.stop());
  const access = { servers: topology.urls, shards: 2 };
  t.is((await prepareNamespace(access)).keepEndedMs, KEEP_ENDED_MS);
  t.is(
    (await prepareNamespace({ ...access, keepEndedFor: { days: 30 } })).keepEndedMs,
    2_592_000_000,
  );
  t.is((await prepareNamespace(access)).keepEndedMs, 2_592_000_000);
  t.is((await prepareNamespace({ ...access, keepEndedFor: "forever" })).keepEndedMs, "forever");
  const findings = await examine({ servers: topology.urls });
  const found = findings.find(({ check }) => check === "namespace");
  t.regex(found?.message ?? "", /ended runs are kept for ever/);
  t.is(found?.details["keepEndedMs"], "forever");
  t.deepEqual(
    findings.filter(({ check, verdict }) => check === "stream" && verdict !== "ok"),
    [],
  );
});
