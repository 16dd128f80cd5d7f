/** Examinations of real servers, sound and damaged. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { type ExamineOptions, examine } from "../../../engine/doctor/examine.ts";
import type { Check, Finding } from "../../../engine/doctor/findings.ts";
import { startEngine } from "../../../engine/engine.ts";
import { setupNamespace } from "../../../engine/setup.ts";
import { callApi, errorOf } from "../../../shared/jetstream/api.ts";
import { connectNats, type NatsLink } from "../../../shared/jetstream/connection.ts";
import { ensureTaskConsumer } from "../../../shared/jetstream/task-consumer.ts";
import { Names } from "../../../shared/subjects.ts";
import { task } from "../../../shared/task.ts";
import { startWorker } from "../../../worker/index.ts";
import { temporaryFolder } from "../../helpers/folders.ts";
import { startTestServer, type TestServer } from "../../helpers/nats.ts";
import { until } from "../../helpers/until.ts";

async function serverWith(t: ExecutionContext, config = ""): Promise<TestServer> {
  const file = config === "" ? "" : join(temporaryFolder(t), "nats.conf");
  if (file !== "") writeFileSync(file, config);
  const server = await startTestServer(file);
  t.teardown(() => server.stop());
  return server;
}

async function linkTo(t: ExecutionContext, server: TestServer): Promise<NatsLink> {
  const link = await connectNats({ servers: server.url });
  t.teardown(() => link.close());
  return link;
}

async function findingsOf(
  { url }: TestServer,
  check: Check,
  options: Partial<ExamineOptions> = {},
): Promise<Finding[]> {
  const findings = await examine({ servers: url, ...options });
  return findings.filter((finding) => finding.check === check);
}

/** Changes a stream or consumer as somebody might by hand. */
async function call(link: NatsLink, subject: string, body?: object): Promise<void> {
  const error = errorOf(await callApi(link.requests, subject, body));
  if (error) throw new Error(error.description);
}

test("a sound namespace with an engine and a worker has no problem", async (t) => {
  const server = await serverWith(t);
  const servers = server.url;
  const engine = await startEngine({ servers, shards: 2, name: "engine-1" });
  t.teardown(() => engine.close());
  const tasks = [task({ name: "to do", run: () => 1 })];
  const worker = await startWorker({ servers, tasks, slots: { regular: 3, durable: 4 } });
  t.teardown(() => worker.close());
  const findings = await until(
    async () => {
      const all = await examine({ servers });
      return all.some(({ check, verdict }) => check === "worker" && verdict === "ok") &&
        !all.some(({ verdict }) => verdict === "problem")
        ? all
        : undefined;
    },
    { withinMs: 30_000, everyMs: 100 },
  );
  t.deepEqual(
    findings.map(({ check, verdict }) => `${check} ${verdict}`),
    [
      ...["server ok", "limits ok", "sync unknown", "namespace ok", "clock ok", "durability note"],
      ...Array.from({ length: 7 }, () => "stream ok"),
      ...["consumer ok", "message ok", "engine ok", "worker ok"],
    ],
  );
  const of = (check: Check): Finding | undefined =>
    findings.find((finding) => finding.check === check);
  t.like(of("namespace")?.details, { namespace: "contrail", shards: 2, claimTimeoutMs: 10_000 });
  t.like(of("consumer")?.details, { task: "to do", pendingTokens: 0 });
  t.like(of("engine")?.details, { name: "engine-1", engines: ["engine-1"] });
  t.like(of("worker")?.details, { worker: worker.id, pid: process.pid });
  t.regex(of("worker")?.message ?? "", /0 of 3 regular slots held, 0 of 4 durable slots held/);
});

test("a namespace that is not set up is a problem, and the server is examined all the same", async (t) => {
  const server = await serverWith(t);
  const findings = await examine({ servers: server.url, namespace: "nowhere" });
  t.deepEqual(
    findings.map(({ check, verdict }) => `${check} ${verdict}`),
    ["server ok", "limits ok", "sync unknown", "namespace problem"],
  );
  t.regex(findings[3]?.message ?? "", /no namespace "nowhere".*contrail setup/);
});

test("nobody there is a problem for engines and a note for workers", async (t) => {
  const server = await serverWith(t);
  await setupNamespace(await linkTo(t, server), { shards: 1 });
  const [engine] = await findingsOf(server, "engine");
  t.is(engine?.verdict, "problem");
  t.regex(engine?.message ?? "", /No engine leads; 0 engines answer\..*contrail engine/);
  t.is((await findingsOf(server, "worker"))[0]?.verdict, "note");
});

test("a stream that differs is a problem that names the field, and one that is gone too", async (t) => {
  const server = await serverWith(t);
  const link = await linkTo(t, server);
  await setupNamespace(link, { shards: 2 });
  const state = await link.reader.streamState("contrail_LOG_1");
  await call(link, "STREAM.UPDATE.contrail_LOG_1", { ...state?.config, max_age: 60_000_000_000 });
  for (const bucket of ["slots_durable", "engine"])
    await call(link, `STREAM.DELETE.KV_contrail_${bucket}`);
  const bad = (await findingsOf(server, "stream")).filter(({ verdict }) => verdict === "problem");
  t.deepEqual(
    bad.map(({ message }) => message),
    [
      'Stream KV_contrail_slots_durable is missing. "contrail setup" makes it again, without what was in it.',
      'Stream KV_contrail_engine is missing. "contrail setup" makes it again, without what was in it.',
      "Stream contrail_LOG_1 is not as expected: max_age is 60000000000, expected 0.",
    ],
  );
});

test("messages that nobody could read are told one by one, until they are gone", async (t) => {
  const server = await serverWith(t);
  const engine = await startEngine({ servers: server.url, shards: 1 });
  t.teardown(() => engine.close());
  const worker = await startWorker({
    servers: server.url,
    tasks: [task({ name: "to do", run: () => 1 })],
    name: "reader",
  });
  t.teardown(() => worker.close());
  const link = await linkTo(t, server);
  const names = new Names("contrail", 1);
  const run = names.run({ taskName: "to do", runId: "1" });
  const garbage = new TextEncoder().encode("hello");
  for (const subject of [`${run.prefix}.token.start`, `${run.prefix}.cancel`])
    await link.publisher.publish(subject, garbage);
  const [summary, ...each] = await until(async () => {
    const found = await findingsOf(server, "message");
    return found.length === 3 && found;
  });
  t.like(summary, { verdict: "problem", details: { count: 2 } });
  const bySequence = [...each].sort(
    (a, b) => (a.details["sequence"] as number) - (b.details["sequence"] as number),
  );
  t.like(bySequence[0]?.details, { subject: `${run.prefix}.token.start`, sequence: 1 });
  t.regex(
    bySequence[0]?.message ?? "",
    /by worker reader-\S+ .* The run that it was to start has failed/,
  );
  t.like(bySequence[1]?.details, { subject: `${run.prefix}.cancel`, fate: "It cancels nothing." });
  await call(link, `STREAM.PURGE.${names.logStream(0)}`, {});
  t.like(await findingsOf(server, "message"), [{ verdict: "ok", details: { count: 0 } }]);
});

test("consumers are compared on every shard, and tokens that nobody asks for are told", async (t) => {
  const server = await serverWith(t);
  const link = await linkTo(t, server);
  const { names, claimTimeoutMs } = await setupNamespace(link, { shards: 2 });
  const taskName = "send mail";
  for (const shard of [0, 1])
    await ensureTaskConsumer(link.requests, { names, taskName, shard, claimTimeoutMs });
  const consumer = names.taskConsumer(taskName);
  const [sound] = await findingsOf(server, "consumer");
  t.is(sound?.verdict, "ok");

  const run = names.run({ taskName, runId: "1" });
  await link.publisher.publish(`${run.prefix}.token.start`, new Uint8Array(1));
  const [idle] = await findingsOf(server, "consumer");
  t.is(idle?.verdict, "note");
  t.regex(idle?.message ?? "", /has 1 tokens? that no worker asks for/);

  const info = await callApi(link.requests, `CONSUMER.INFO.contrail_LOG_0.${consumer}`, undefined);
  const config = { ...(info.config as object), ack_wait: 1_000_000_000 };
  await call(link, `CONSUMER.CREATE.contrail_LOG_0.${consumer}`, {
    stream_name: "contrail_LOG_0",
    config,
    action: "update",
  });
  const [changed] = await findingsOf(server, "consumer");
  t.is(changed?.verdict, "problem");
  t.regex(changed?.message ?? "", /ack_wait on shard 0 is 1000000000, expected 10000000000/);

  await call(link, `CONSUMER.DELETE.contrail_LOG_0.${consumer}`);
  const [missing] = await findingsOf(server, "consumer");
  t.is(missing?.verdict, "problem");
  t.regex(missing?.message ?? "", /has no consumer on shard 0/);
});

test("the sync setting is read from a monitoring port", async (t) => {
  for (const [interval, verdict] of [
    ["always", "ok"],
    ["30s", "note"],
  ] as const) {
    const server = await serverWith(
      t,
      `http: "127.0.0.1:-1"\njetstream { sync_interval: "${interval}" }\n`,
    );
    const port = /Starting http monitor on 127\.0\.0\.1:(\d+)/.exec(server.log())?.[1];
    const monitors = [`http://127.0.0.1:${port}`];
    const [sync] = await findingsOf(server, "sync", { monitors });
    t.is(sync?.verdict, verdict, sync?.message);
    if (verdict === "note") t.regex(sync?.message ?? "", /within 30 s/);
  }
});

test("the sync setting is told to a user of the system account", async (t) => {
  const server = await serverWith(
    t,
    `jetstream { sync_interval: always }
accounts {
  SYS: { users: [{ user: "s", password: "p" }] }
  APP: { jetstream: enabled, users: [{ user: "a", password: "p" }] }
}
system_account: SYS
`,
  );
  const user = { user: "a", pass: "p" };
  const [unseen] = await findingsOf(server, "sync", user);
  t.is(unseen?.verdict, "unknown");
  const [sync] = await findingsOf(server, "sync", { ...user, system: { user: "s", pass: "p" } });
  t.is(sync?.verdict, "ok", sync?.message);
  await t.throwsAsync(
    examine({ servers: server.url, ...user, system: { user: "s", pass: "wrong" } }),
    {
      code: "unavailable",
    },
  );
});

test("an account without JetStream, or at its limits, is a problem", async (t) => {
  const server = await serverWith(
    t,
    `jetstream {}
accounts {
  PLAIN: { users: [{ user: "plain", password: "p" }] }
  SMALL: { jetstream: { max_streams: 1 }, users: [{ user: "small", password: "p" }] }
}
`,
  );
  const [off] = await findingsOf(server, "limits", { user: "plain", pass: "p" });
  t.is(off?.verdict, "problem");
  t.regex(off?.message ?? "", /JetStream is not enabled for this account/);
  const link = await connectNats({ servers: server.url, user: "small", pass: "p" });
  t.teardown(() => link.close());
  await call(link, "STREAM.CREATE.only", { name: "only", subjects: ["only"] });
  const [full] = await findingsOf(server, "limits", { user: "small", pass: "p" });
  t.is(full?.verdict, "problem");
  t.regex(full?.message ?? "", /streams 1 of 1; .*A limit is reached/);
});
